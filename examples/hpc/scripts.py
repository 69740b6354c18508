"""Write the scripts of this folder that come from templates: slurm-*.sh and lsf-array.sh.

python examples/hpc/scripts.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from jinja2 import FileSystemLoader

from bigunet.jobs.programs import Programs
from bigunet.jobs.request import JobRequest
from bigunet.jobs.script import JobText, script_text
from bigunet.jobs.size import JobSize
from bigunet.jobs.templating import script_templates

HERE = Path(__file__).parent
PROGRAMS = Programs("bigunet", "dask", "python")
NOTE = "Image, numbers and environment are an example: 'bigunet jobs slurm' fills in yours."
PLACES = ["/scratch/me/image.zarr", "/scratch/me/out.zarr"]
LEDGERS = f"{PLACES[1]}/bigunet"


def slurm_array() -> str:
    """An array of eight jobs with eight cores each, as 'bigunet jobs slurm' prints it."""
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
    return script_text(request, size, text, PROGRAMS)


def slurm_dask() -> str:
    """One job of two nodes with four GPUs each, as 'bigunet jobs slurm' prints it."""
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
    return script_text(request, size, text, PROGRAMS)


def lsf_array() -> str:
    """An array of eight jobs for LSF; it shares the handling of signals with those for Slurm."""
    templates = script_templates(FileSystemLoader(HERE))
    return templates.get_template("lsf-array.sh.in").render()


SCRIPTS = {
    "slurm-array.sh": slurm_array,
    "slurm-dask.sh": slurm_dask,
    "lsf-array.sh": lsf_array,
}


def main() -> None:
    """Write all of them."""
    folder = Path(sys.argv[1])
    for name, script in SCRIPTS.items():
        (folder / name).write_text(script())


if __name__ == "__main__":
    main()
