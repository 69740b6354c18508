"""Who can reach a cluster that is started here: only this host, certificate holders, or anybody."""

from __future__ import annotations

import contextlib
import ipaddress
import warnings
from collections.abc import Iterator, Sequence

import dask
from distributed import Client, Security
from distributed.comm import get_address_host, get_tcp_server_addresses
from distributed.utils import get_ip_interface

from bigunet.engine.clusters.spec import LOOPBACK, ClusterSpec
from bigunet.errors import ClusterError, OptionError


def configured_security(*, or_none: bool = False) -> Security | None:
    """The certificates that Dask's own settings (``distributed.comm.tls``) name; None without any.

    Parameters
    ----------
    or_none : bool
        Whether to return None even if Dask's settings require encryption.

    Raises
    ------
    ClusterError
        If certificates cannot be read, or are required and missing.
    """
    try:
        security = Security()
        if security.tls_ca_file and security.tls_scheduler_cert and security.tls_client_cert:
            for role in ("scheduler", "worker", "client"):
                security.get_connection_args(role)
            return security
    except (OSError, ValueError) as error:
        raise ClusterError(f"Dask's settings distributed.comm.tls: {error}") from error
    if dask.config.get("distributed.comm.require-encryption") and not or_none:
        raise ClusterError(
            "Dask's setting distributed.comm.require-encryption is on, but distributed.comm.tls "
            "names no ca-file with a cert for scheduler, worker and client: add them"
        )
    return None


def listening_host(spec: ClusterSpec) -> str:
    """The address at which the scheduler of a cluster on this host listens."""
    if spec.host or not spec.interface:
        return spec.host or LOOPBACK
    try:
        address: str = get_ip_interface(spec.interface)
    except ValueError as error:
        raise OptionError(f"interface {spec.interface}: {error}") from error
    return address


def dashboards_of(client: Client) -> list[str]:
    """The addresses at which the dashboard of a cluster started here listens: ``host:port``."""
    scheduler = getattr(client.cluster, "scheduler", None)
    server = getattr(scheduler, "http_server", None)
    addresses = get_tcp_server_addresses(server) if server is not None else []
    return [f"{host}:{port}" for host, port, *_ in addresses]


def exposures(scheduler: str, dashboards: Sequence[str]) -> list[str]:
    """Warnings of what everybody on the network can now do, one line each.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler, such as ``tcp://10.0.0.5:4242``.
    dashboards : sequence of str
        Addresses of the dashboards: ``host:port``.
    """
    lines = []
    # A scheduler in threads of this process has no port.
    open_to_all = not scheduler.startswith(("inproc://", "tls://"))
    if open_to_all and not is_loopback(get_address_host(scheduler)):
        lines.append(
            f"the scheduler listens at {scheduler}: whoever reaches it can run code as you; on a "
            "network that you do not trust use TLS, with Dask's settings distributed.comm.tls and "
            "distributed.comm.require-encryption"
        )
    for dashboard in dashboards:
        if not is_loopback(dashboard.rpartition(":")[0]):
            lines.append(
                f"the dashboard listens at {dashboard}: whoever reaches it sees this run, without "
                "a password; on a network that you do not trust leave it at 127.0.0.1 and use an "
                "ssh tunnel"
            )
    return lines


def moved_dashboard(asked: str, dashboards: Sequence[str]) -> list[str]:
    """A line that says that the dashboard has another port than asked for; none if it has not.

    >>> moved_dashboard("127.0.0.1:8787", ["127.0.0.1:40001"])
    ["the dashboard's port 8787 is taken: it listens at 127.0.0.1:40001"]
    """
    port = asked.rpartition(":")[2]
    ports = {dashboard.rpartition(":")[2] for dashboard in dashboards}
    if port in ("", "0") or not ports or port in ports:
        return []
    return [f"the dashboard's port {port} is taken: it listens at {', '.join(dashboards)}"]


@contextlib.contextmanager
def port_warnings_silenced() -> Iterator[None]:
    """Silence Distributed's own warning, three lines long, that a port is taken."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Port .* is already in use")
        yield


def is_loopback(host: str) -> bool:
    """Whether only this host can reach an address or a name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
