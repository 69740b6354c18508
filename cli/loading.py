"""Importing what commands run, which takes seconds: help and usage errors do without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bigunet_cli.stopping import while_starting

from bigunet.engine.clusters.dask_settings import check_dask_settings


@contextmanager
def loading() -> Iterator[None]:
    """Import torch, Dask and zarr meanwhile; Ctrl-C leaves at once.

    Raises
    ------
    ClusterError
        If Dask's configuration cannot be used: Dask reads it in the middle of its import.
    """
    distributed = logging.getLogger("distributed")
    level = distributed.level
    with while_starting():
        check_dask_settings()
        yield
    # Its import makes it speak as Dask's configuration says, not as `--debug` does.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed.") and logging.getLogger(name).level:
            logging.getLogger(name).setLevel(max(level, logging.getLogger(name).level))
    distributed.setLevel(level)
