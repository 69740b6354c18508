"""The options of ``bigunet jobs``: what a batch system is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
from bigunet_cli.options import SizeType

from bigunet.choices import Way
from bigunet.errors import OptionError
from bigunet.jobs.duration import parse_duration
from bigunet.jobs.request import JobRequest

F = TypeVar("F", bound=Callable[..., Any])


class DurationType(click.ParamType):  # type: ignore[type-arg]
    """A length of time, in seconds."""

    name = "TIME"

    def __init__(self, bare: str) -> None:
        self._bare = bare

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration(value, bare=self._bare)
        except OptionError as error:
            self.fail(str(error))


def job_options(command: F) -> F:
    """What a batch system is asked for."""
    number = click.IntRange(min=1)
    decorators = [
        click.option(
            "--way",
            type=click.Choice(get_args(Way)),
            default="array",
            show_default=True,
            help="array: independent jobs, a part each; dask: one job of several nodes.",
        ),
        click.option(
            "--jobs", type=number, metavar="N", help="How many jobs of the array, or nodes."
        ),
        click.option(
            "--within",
            type=DurationType("h"),
            help="So many that all is done in this time, such as 2h, once they run.",
        ),
        click.option(
            "--hours",
            type=DurationType("h"),
            help="What the whole image takes on one job or node, in the place of a measurement.",
        ),
        click.option("--walltime", type=DurationType("min"), help="Of each job, such as 1:30:00."),
        click.option("--memory", type=SizeType(), help="Of each job or node, such as 16GB."),
        click.option("--cpus", type=number, metavar="N", help="Cores of each job or node."),
        click.option("--gpus", type=number, metavar="N", help="GPUs of each job or node."),
        click.option(
            "--workers", type=number, metavar="N", help="Processes that share a job's cores."
        ),
        click.option("--partition", default="", metavar="NAME"),
        click.option("--account", default="", metavar="NAME"),
        click.option("--name", default="bigunet", show_default=True, help="Of the job."),
        click.option(
            "--sbatch",
            "directives",
            multiple=True,
            metavar="OPTION",
            help="Another option of sbatch, such as --sbatch=--qos=long; may be repeated.",
        ),
        click.option(
            "--env",
            "environment",
            multiple=True,
            metavar="LINE",
            help="A line of bash that comes first, such as 'module load cuda'; may be repeated.",
        ),
        click.option(
            "--prefix",
            default="",
            metavar="WORDS",
            help="What runs commands in a container: 'apptainer exec --nv bigunet.sif'. By "
            "default they are those of this environment.",
        ),
        click.option("--interface", default="", metavar="NAME", help="Network for Dask, like ib0."),
        click.option("--resume", is_flag=True, help="Continue an output that was begun."),
        # Refused, with what to do instead.
        click.option("--overwrite", is_flag=True, hidden=True),
        click.option(
            "--measure/--no-measure",
            default=True,
            show_default=True,
            help="Run a few tiles here to foretell the time.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def request_from(given: dict[str, Any]) -> JobRequest:
    """The description of what :func:`job_options` collected."""
    return JobRequest(
        way=given["way"],
        jobs=given["jobs"] or 0,
        within_seconds=given["within"] or 0,
        run_seconds=given["hours"] or 0,
        walltime_seconds=given["walltime"] or 0,
        memory_bytes=given["memory"] or 0,
        cpus=given["cpus"] or 0,
        gpus=given["gpus"] or 0,
        workers=given["workers"] or 0,
        name=given["name"],
        partition=given["partition"],
        account=given["account"],
        directives=given["directives"],
        environment=given["environment"],
        prefix=given["prefix"],
        interface=given["interface"],
    )
