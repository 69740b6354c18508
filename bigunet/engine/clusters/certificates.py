"""Certificates of one run, which let in nobody but its own workers."""

from __future__ import annotations

from collections.abc import Callable

from distributed import Security

from bigunet.engine.clusters.exposure import configured_security
from bigunet.engine.clusters.spec import ClusterSpec


def security_of(spec: ClusterSpec, tell: Callable[[str], None]) -> Security | None:
    """What workers on this machine show each other; None for a scheduler that is open.

    That is what Dask's settings name, else certificates that are made anew for each run, and whose
    keys are in no file: workers are handed them as they are started. Where other machines are let
    in, they must come in without.

    Parameters
    ----------
    tell : callable
        Told, in a line for people, who may come in where there can be no certificates.
    """
    found = configured_security()
    if found is not None or spec.host or spec.interface:
        return found
    try:
        return Security.temporary()
    except ImportError:
        tell(
            "every user of this machine can run code as you while this runs: pip install "
            "cryptography, which makes the certificates that keep them out"
        )
        return None
