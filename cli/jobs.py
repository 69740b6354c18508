"""``bigunet jobs``: scripts for batch systems."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.common_options import existing_of, existing_options, option, segment_options
from bigunet_cli.completing import PATH
from bigunet_cli.config import config_option
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import ExampleGroup, SectionedCommand
from bigunet_cli.loading import loading

from bigunet.jobs.job_request import JOBS, JobRequest
from bigunet.segmentation.segment_options import SegmentOptions


@click.group(
    cls=ExampleGroup,
    examples="""
    bigunet jobs slurm image.zarr out.zarr > job.sh
        Write a script for Slurm.
    sbatch job.sh
        Hand it in.
    """,
)
def jobs() -> None:
    """Print job scripts for batch systems."""


@jobs.command(
    cls=SectionedCommand,
    short_help="Print a script for Slurm.",
    examples="""
    bigunet jobs slurm image.zarr out.zarr > job.sh
        Write a script with time and memory for this image.
    bigunet jobs slurm image.zarr out.zarr --jobs 8 --partition gpu > job.sh
        Share the work among 8 jobs of the partition gpu.
    """,
)
@click.argument("source", type=PATH, metavar="IN")
@click.argument("target", type=PATH, metavar="[OUT]", required=False)
@segment_options
@config_option(unused=("client", "part", "performance_path", "table"))
# A script with --overwrite is refused, with advice.
@existing_options("an output", hide_overwrite=True)
@declared_options(JobRequest, "")
@option(
    "--measure/--no-measure",
    section=JOBS,
    default=True,
    show_default=True,
    help="Run a few tiles here to foretell the time.",
)
def slurm(
    source: str,
    target: str | None,
    *,
    model: str,
    resume: bool,
    overwrite: bool,
    measure: bool,
    **given: Any,
) -> None:
    """Print a script for Slurm that segments IN into OUT: bigunet jobs slurm IN OUT > job.sh.

    Time, memory and the number of jobs are chosen from the plan and from a few tiles that run
    here. A job ends before its time is up, queues itself again, and goes on.
    """
    existing = existing_of("an output", resume=resume, overwrite=overwrite)
    options, request = described(SegmentOptions, given), described(JobRequest, given)
    with loading():
        from bigunet.jobs.slurm import slurm_script

    script = slurm_script(
        source,
        target,
        model=model,
        options=options,
        request=request,
        existing=existing,
        measure=measure,
    )
    click.echo(script, nl=False)
