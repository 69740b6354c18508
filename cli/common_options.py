"""Options that several commands have beside those that dataclasses declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from bigunet_cli.completing import MODEL_NAME
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import MESSAGES, RUN, SectionedOption

from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import OptionError
from bigunet.options.option_fields import OptionField, option_fields
from bigunet.segmentation.model_options import NETWORK
from bigunet.segmentation.segment_options import SegmentOptions

if TYPE_CHECKING:
    from bigunet.options.choices import Existing

F = TypeVar("F", bound=Callable[..., Any])


def option(*names: str, section: str, help: str, **attributes: Any) -> Callable[[F], F]:
    """An option of a command that belongs to a section of ``--help``."""
    return click.option(*names, cls=SectionedOption, section=section, help=help, **attributes)


def segment_options(command: F) -> F:
    """Add what describes a segmentation, apart from the workers: ``--model`` and SegmentOptions."""
    command = declared_options(SegmentOptions)(command)
    return option(
        "--model",
        section=NETWORK,
        keyword="model",
        default="nuclei",
        type=MODEL_NAME,
        show_default=True,
        metavar="NAME|PATH",
        help="Bundled model (see 'bigunet models'), a .safetensors or .onnx file; with --trust "
        "also a .pt2 or TorchScript file, or package.module:factory.",
    )(command)


def cluster_options(command: F) -> F:
    """Add what says where the workers come from: ClusterSpec and JobSpec."""
    command = declared_options(JobSpec, "JobSpec({}=…)")(command)
    return declared_options(ClusterSpec, "ClusterSpec({}=…)")(command)


def cluster_of(given: Mapping[str, Any]) -> ClusterSpec:
    """The workers that the options of :func:`cluster_options` describe."""
    return described(ClusterSpec, given, job=described(JobSpec, given))


def axes_option(command: F) -> F:
    """Add ``--axes``, as ``segment`` has it."""
    axes = _declared("axes")
    return option(
        axes.flag,
        section=axes.section,
        keyword="axes",
        default="",
        metavar=axes.metavar,
        help=axes.help,
    )(command)


def trust_option(command: F) -> F:
    """Add ``--trust``, as ``segment`` has it."""
    trust = _declared("trust")
    return option(
        trust.flag, section=trust.section, keyword="trust", is_flag=True, help=trust.help
    )(command)


def _declared(name: str) -> OptionField:
    return next(one for one in option_fields(SegmentOptions) if one.name == name)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return option(
        "--json", "as_json", section=MESSAGES, is_flag=True, help="Print one JSON object on stdout."
    )(command)


def quiet_option(command: F) -> F:
    """Add ``--quiet``."""
    return option(
        "--quiet", section=MESSAGES, is_flag=True, help="Show no progress bar and no summary."
    )(command)


def overwrite_option(what: str, *, hidden: bool = False) -> Callable[[F], F]:
    """Add ``--overwrite``; ``what`` is what it removes."""
    return option(
        "--overwrite",
        section=RUN,
        keyword='existing="overwrite"',
        is_flag=True,
        hidden=hidden,
        help=f"Remove {what} that is there, and begin anew.",
    )


def existing_options(what: str, *, hide_overwrite: bool = False) -> Callable[[F], F]:
    """Add ``--resume`` and ``--overwrite``; ``what`` is what they go on with, or remove."""

    def add(command: F) -> F:
        command = overwrite_option(what, hidden=hide_overwrite)(command)
        return option(
            "--resume",
            section=RUN,
            keyword='existing="resume"',
            is_flag=True,
            help=f"Go on with {what} that was begun before; begin it if there is none.",
        )(command)

    return add


def existing_of(what: str, *, resume: bool, overwrite: bool) -> Existing:
    """What happens to an output that is there.

    Raises
    ------
    OptionError
        If both flags are given.
    """
    if resume and overwrite:
        raise OptionError(f"--resume continues {what}, --overwrite discards it: give one of them")
    return "resume" if resume else "overwrite" if overwrite else "refuse"
