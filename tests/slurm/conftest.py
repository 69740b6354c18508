"""A Slurm that the tests of this folder share; each process of pytest has its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.slurm_daemons import Slurm, running_slurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Two nodes, n1 and n2; each has 4 CPUs, 8000 MB and two pretended GPUs."""
    if missing := Slurm.missing():
        pytest.skip(f"Slurm lacks {', '.join(missing)}; run tests/slurm/install.sh as root")
    # Paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, running_slurm(Path(folder)) as up:
        yield up
