"""Certificates of one run, which admit its own workers alone."""

from __future__ import annotations

from collections.abc import Callable

from distributed import Security

from bigunet.engine.clusters.exposure import configured_security
from bigunet.engine.clusters.spec import ClusterSpec


def security_of(spec: ClusterSpec, tell: Callable[[str], None]) -> Security | None:
    """The certificates that workers on this host use; None for a scheduler that is open.

    Certificates that Dask's settings name come first. Otherwise each run makes its own. Their keys
    are in no file: a worker gets them at its start. A scheduler that admits other hosts has no
    certificates of its own, because workers there could not get the keys.

    Parameters
    ----------
    spec : ClusterSpec
    tell : callable
        Gets a line for people if certificates cannot be made: it says who may then connect.
    """
    configured = configured_security()
    if configured is not None or spec.host or spec.interface:
        return configured
    try:
        return Security.temporary()
    except ImportError:
        tell(
            "every user of this machine can run code as you while this runs: pip install "
            "cryptography, which makes the certificates that keep them out"
        )
        return None
