"""Import of what commands run, which takes seconds; help and usage errors do without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bigunet_cli.stopping import while_starting

from bigunet.engine.clusters.dask_settings import check_dask_settings


@contextmanager
def loading(*, dask: bool = True) -> Iterator[None]:
    """A context in which torch, Dask and zarr are imported; Ctrl-C leaves at once.

    Parameters
    ----------
    dask : bool
        Whether the command has workers of Dask, so that Dask's configuration is checked first.

    Raises
    ------
    ClusterError
        If Dask cannot use its configuration, which it reads in the middle of its import.
    """
    distributed = logging.getLogger("distributed")
    level = distributed.level
    with while_starting():
        if dask:
            check_dask_settings()
        yield
    # The import sets levels by Dask's configuration, but `--debug` decides them here.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed.") and logging.getLogger(name).level:
            logging.getLogger(name).setLevel(max(level, logging.getLogger(name).level))
    distributed.setLevel(level)
