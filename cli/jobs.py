"""``bigunet jobs``: scripts for batch systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.jobs_options import job_options, request_from
from bigunet_cli.loading import loading
from bigunet_cli.options import options_from, segment_options

from bigunet.errors import OptionError

if TYPE_CHECKING:
    from bigunet.choices import Existing


@click.group()
def jobs() -> None:
    """Print job scripts for batch systems."""


@jobs.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@segment_options
@job_options
def slurm(
    source: str,
    target: str | None,
    *,
    resume: bool,
    overwrite: bool,
    measure: bool,
    **given: Any,
) -> None:
    """Print a script for Slurm that segments IN into OUT: bigunet jobs slurm IN OUT > job.sh.

    Time, memory and the number of jobs are chosen from the plan and from a few tiles that run
    here. Jobs end before their time is up, are queued again by themselves, and go on.
    """
    with loading():
        from bigunet.jobs.slurm import slurm_script

    if resume and overwrite:
        raise OptionError("--resume continues an output, --overwrite discards it: give one of them")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    script = slurm_script(
        source,
        target,
        model=given["model"],
        options=options_from(given),
        request=request_from(given),
        existing=existing,
        measure=measure,
    )
    click.echo(script, nl=False)
