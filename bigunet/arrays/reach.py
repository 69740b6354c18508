"""Whether the workers of a run see the temporary files of this machine."""

from __future__ import annotations

from pathlib import Path

import psutil
from distributed import Client
from distributed.comm import get_address_host

from bigunet.engine.clusters.spec import BATCH_KINDS, ClusterSpec
from bigunet.errors import OptionError

_REMEDY = "give scratch=FOLDER, a folder that they see at the same path"


def check_reach(workers: Client | ClusterSpec | None, scratch: str | Path | None) -> None:
    """Raise OptionError if workers on other machines cannot see the files of this one.

    Parameters
    ----------
    workers : Client or ClusterSpec, optional
    scratch : path, optional
        Where the user says that they see files.
    """
    if scratch is not None or workers is None:
        return
    if isinstance(workers, ClusterSpec):
        if workers.scheduler is not None or workers.kind in BATCH_KINDS:
            raise OptionError(f"the workers may be on other machines: {_REMEDY}")
    elif isinstance(workers, Client) and not all(map(_is_here, workers.nthreads())):
        raise OptionError(f"workers of the client are on other machines: {_REMEDY}")


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    return address.startswith("inproc://") or get_address_host(address) in _own_hosts()


def _own_hosts() -> set[str]:
    addresses = psutil.net_if_addrs().values()
    return {"127.0.0.1", "localhost", "::1"} | {one.address for many in addresses for one in many}
