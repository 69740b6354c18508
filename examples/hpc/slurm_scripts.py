"""Writes slurm-array.sh and slurm-dask.sh, as 'bigunet jobs slurm' prints them for one image.

python examples/hpc/slurm_scripts.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from bigunet.jobs.request import JobRequest
from bigunet.jobs.script import Commands, JobText, array_script, dask_script
from bigunet.jobs.size import JobSize

COMMANDS = Commands("bigunet", "dask", "python")
NOTE = "Image, numbers and environment are an example's: 'bigunet jobs slurm' fills in yours."
PLACES = ["/scratch/me/image.zarr", "/scratch/me/out.zarr"]
LEDGERS = f"{PLACES[1]}/bigunet"


def array() -> str:
    """Eight jobs of eight cores."""
    request = JobRequest(partition="cpu", environment=("source ~/bigunet/.venv/bin/activate",))
    size = JobSize(
        jobs=8,
        walltime_seconds=7200,
        memory_mib=10000,
        cpus=8,
        lead_seconds=600,
        part_seconds=None,
    )
    words = [*PLACES, "--channel=DAPI", "--memory-limit=8000MB"]
    text = JobText("Eight parts of an image.", words, [NOTE], LEDGERS)
    return array_script(request, size, text, COMMANDS)


def dask() -> str:
    """Two nodes of four GPUs."""
    request = JobRequest(
        way="dask",
        gpus=4,
        partition="gpu",
        interface="ib0",
        environment=("module load cuda", "source ~/bigunet/.venv/bin/activate"),
    )
    size = JobSize(
        jobs=2,
        walltime_seconds=14400,
        memory_mib=64000,
        cpus=32,
        lead_seconds=300,
        part_seconds=None,
    )
    words = [*PLACES, "--device=cuda", "--memory-limit=60000MB"]
    text = JobText("An image on the GPUs of two nodes, through Dask.", words, [NOTE], LEDGERS)
    return dask_script(request, size, text, COMMANDS, resume=False)


def main() -> None:
    """Write both."""
    folder = Path(sys.argv[1])
    (folder / "slurm-array.sh").write_text(array())
    (folder / "slurm-dask.sh").write_text(dask())


if __name__ == "__main__":
    main()
