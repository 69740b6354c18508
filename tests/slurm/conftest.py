"""The Slurm that tests of this folder share; one for each process of pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.slurm_daemons import Slurm, running_slurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Two nodes, n1 and n2, of 4 CPUs, 8000 MB and two GPUs that are none, each."""
    if missing := Slurm.missing():
        pytest.skip(f"no Slurm here ({', '.join(missing)}): tests/slurm/install.sh as root has it")
    # Sockets want short paths.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, running_slurm(Path(folder)) as up:
        yield up
