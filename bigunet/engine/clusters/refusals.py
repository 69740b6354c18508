"""Says in one line why a cluster did not start."""

from __future__ import annotations

import errno
import socket

from bigunet.engine.clusters.exposure import listening_host
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.machine.processes import GUARD

# Distributed's messages for a process that ended before it was a worker.
_ENDED = ("failed to start worker", "Worker failed", "failed to connect")


def why_not_started(spec: ClusterSpec, error: BaseException) -> str:
    """A line for people about an error that Distributed raised at its start."""
    cause = _first_cause(error)
    if isinstance(cause, socket.gaierror | UnicodeError):
        return f"{_place(spec)} is no address that this machine knows: {_message(cause)}"
    if isinstance(cause, OSError) and cause.errno == errno.EADDRNOTAVAIL:
        return f"{_place(spec)} is no address of this machine; give one that it has, or 127.0.0.1"
    if any(word in str(error) + str(cause) for word in _ENDED):
        return (
            "a worker ended as it started: memory may be short, or the script lacks "
            f"`{GUARD}` around the call; --cluster threads starts no process"
        )
    return f"workers cannot be started: {_message(cause)}"


def _first_cause(error: BaseException) -> BaseException:
    """The error that came first: those that Distributed wraps around it say nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _place(spec: ClusterSpec) -> str:
    """The option with the address at which this host cannot listen."""
    host = listening_host(spec)
    if not _can_listen(host):
        return f"--interface {spec.interface}" if not spec.host else f"--host {host}"
    return f"--dashboard-address {spec.dashboard}"


def _can_listen(host: str) -> bool:
    try:
        family, kind, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as one:
            one.bind(address)
    except (OSError, UnicodeError):
        return False
    return True


def _message(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return said or type(error).__name__
