"""Options that several commands share, and the descriptions built from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from bigunet.choices import (
    BackendChoice,
    ClusterKind,
    DeviceChoice,
    LevelChoice,
    Nonfinite,
    OmeVersionChoice,
    Output,
    PrecisionChoice,
)
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import OptionError
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.segment_options import SegmentOptions

F = TypeVar("F", bound=Callable[..., Any])


class ShapeType(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers separated by commas."""

    name = "N,N[,N]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not whole numbers separated by commas, like 512,512")


class RoiType(click.ParamType):  # type: ignore[type-arg]
    """A range along one axis."""

    name = "AXIS=START:STOP"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, tuple[int, int]]:
        if isinstance(value, tuple):
            return value
        try:
            axis, ends = value.split("=")
            start, stop = ends.split(":")
            return axis.strip().lower(), (int(start), int(stop))
        except ValueError:
            self.fail(f"{value!r} is not AXIS=START:STOP, like x=1000:3000")


class LevelType(click.ParamType):  # type: ignore[type-arg]
    """The number of a level, or ``auto``."""

    name = "K|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> LevelChoice:
        try:
            return "auto" if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor auto")


class RangeType(click.ParamType):  # type: ignore[type-arg]
    """Two numbers; integers stay integers, however large."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = map(_number, value.split(":"))
        except ValueError:
            self.fail(f"{value!r} is not {self.name}, like 1:99.8")
        return low, high


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


class PartType(click.ParamType):  # type: ignore[type-arg]
    """A part of a run."""

    name = "I/N"

    def convert(self, value: Any, param: Any, ctx: Any) -> Part:
        if isinstance(value, Part):
            return value
        try:
            return Part.parse(value)
        except OptionError as error:
            self.fail(str(error))


class SizeType(click.ParamType):  # type: ignore[type-arg]
    """Bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        # Dask takes its time to be imported, which `--help` need not wait for.
        from dask.utils import parse_bytes

        try:
            return int(parse_bytes(value))
        except ValueError:
            self.fail(f"{value!r} is no size, like 8GB or 500MB")


def model_option(command: F) -> F:
    """``--model``, as the commands that run one have it."""
    return click.option(
        "--model",
        default="nuclei",
        show_default=True,
        metavar="NAME|PATH",
        help="A bundled model (see 'bigunet models') or a .safetensors file.",
    )(command)


def axes_option(command: F) -> F:
    """``--axes``."""
    return click.option(
        "--axes",
        default="",
        metavar="LETTERS",
        help="Axes of an array that does not name them: letters of t, c, z, y, x in the order of "
        "storage, such as yxc.",
    )(command)


def json_option(command: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(
        command
    )


def segment_options(command: F) -> F:
    """All that describes a segmentation, but not where it runs."""
    decorators = [
        model_option,
        click.option(
            "--output",
            "outputs",
            multiple=True,
            type=click.Choice(get_args(Output)),
            default=["classes"],
            show_default=True,
            help="What to write; may be repeated.",
        ),
        click.option(
            "--level",
            type=LevelType(),
            default=0,
            show_default=True,
            metavar="K|auto",
            help="Level of the image; auto takes the level with voxels most like those of the "
            "model's training.",
        ),
        click.option(
            "--channel",
            "channels",
            multiple=True,
            metavar="C",
            help="Channel that the model reads, by index or name; index:1 or name:1 where a number "
            "is the name of another channel. Repeat it for each channel of the model.",
        ),
        axes_option,
        click.option(
            "--roi", multiple=True, type=RoiType(), help="Segment a part only; one axis each."
        ),
        click.option(
            "--precision",
            type=click.Choice(get_args(PrecisionChoice)),
            default="auto",
            show_default=True,
            help="Of the convolutions; auto: bf16 if hardware and model are fit for it.",
        ),
        click.option(
            "--device",
            type=click.Choice(get_args(DeviceChoice)),
            default="auto",
            show_default=True,
            help="auto: a worker's GPU if it has one.",
        ),
        click.option(
            "--backend",
            type=click.Choice(get_args(BackendChoice)),
            default="auto",
            show_default=True,
            help="What computes; auto: OpenVINO on a CPU that has it, else torch.",
        ),
        click.option(
            "--block-shape", type=ShapeType(), default=(), help="What one task writes, in voxels."
        ),
        click.option(
            "--tile-shape",
            type=ShapeType(),
            default=(),
            help="The most voxels that one forward pass keeps.",
        ),
        click.option(
            "--tune",
            is_flag=True,
            help="Measure tiles of several sizes first, and take the fastest: for long runs.",
        ),
        click.option(
            "--memory-limit",
            type=SizeType(),
            default=0,
            help="For all processes on a machine; by default half of its memory, or of the "
            "container's or batch job's where that is less; 8 GB per worker at most. Tiles on "
            "GPUs go by theirs.",
        ),
        click.option(
            "--ome-version",
            type=click.Choice(get_args(OmeVersionChoice)),
            default="auto",
            show_default=True,
            help="OME-Zarr version of the output; auto is 0.5, or the image's inside it.",
        ),
        click.option(
            "--tta",
            is_flag=True,
            help="Average over the 8 rotations and mirrors of the plane; 8 times the work.",
        ),
        click.option(
            "--skip-empty",
            is_flag=True,
            help="Chunks of the image that are not stored become label 0, at no cost.",
        ),
        click.option(
            "--mask",
            default="",
            metavar="PATH",
            help="Voxels where this image is 0 become label 0, at no cost; its resolution may be "
            "any.",
        ),
        click.option(
            "--grey-range",
            multiple=True,
            type=RangeType("LOW:HIGH"),
            help="Grey values that the network reads as 0 and 1; repeat it for each channel. "
            "HIGH:LOW turns bright and dark over.  [default: what the model file says]",
        ),
        click.option(
            "--percentiles",
            type=RangeType("P:Q"),
            default=(),
            help="Percentiles of the image that the network reads as 0 and 1.  [default: what the "
            "model file says]",
        ),
        click.option(
            "--grey-range-of",
            default="",
            metavar="PATH",
            help="Another image to measure the grey range on, or an output to take it from, for "
            "series of images that share one range.",
        ),
        click.option(
            "--nonfinite",
            type=click.Choice(get_args(Nonfinite)),
            default="refuse",
            show_default=True,
            help="NaN and infinity in the image: refuse ends the run with their place, background "
            "makes them label 0.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def cluster_options(command: F) -> F:
    """Where the workers come from."""
    decorators = [
        click.option(
            "--cluster",
            type=click.Choice(get_args(ClusterKind)),
            default="auto",
            show_default=True,
            help="threads: workers in this process; local: processes on this machine; cuda: a "
            "worker for each GPU; the others: jobs of a batch system. auto: threads for images "
            "under 16 million voxels, else cuda if torch can use a GPU, else local.",
        ),
        click.option(
            "--scheduler", metavar="ADDRESS|FILE", help="A Dask cluster that runs already."
        ),
        click.option(
            "--workers", type=int, metavar="N", help="How many workers, or jobs, to start."
        ),
        click.option(
            "--host",
            default="",
            metavar="ADDRESS",
            help="Where the scheduler listens, to let in other machines; else this one alone.",
        ),
        click.option(
            "--interface",
            default="",
            metavar="NAME",
            help="The same by the name of a network interface, such as ib0; jobs use theirs, too.",
        ),
        click.option("--queue", default="", metavar="NAME", help="Jobs: queue, or partition."),
        click.option("--account", default="", metavar="NAME", help="Jobs: account, or project."),
        click.option(
            "--walltime",
            default="",
            metavar="TIME",
            help="Jobs: such as 04:00:00; those that end are replaced.",
        ),
        click.option("--job-memory", type=SizeType(), default=0, help="Jobs: memory of each."),
        click.option(
            "--job-cores",
            type=click.IntRange(min=1),
            default=None,
            metavar="N",
            help="Jobs: cores of each.  [default: 3]",
        ),
        click.option(
            "--job-gpus",
            type=click.IntRange(min=1),
            default=None,
            metavar="N",
            help="Jobs: GPUs of each, with one worker each.",
        ),
        click.option(
            "--job-logs",
            default="",
            metavar="FOLDER",
            help="Jobs: where what they print goes, on a file system that they share with this "
            "machine.  [default: under ~/.local/state/bigunet/jobs]",
        ),
        click.option(
            "--dashboard-address",
            default="",
            metavar="HOST:PORT",
            help="Where Dask's dashboard listens; port 0 takes a free one.  [default: 127.0.0.1:0, "
            "and no dashboard with threads]",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def options_from(given: dict[str, Any]) -> SegmentOptions:
    """The description of what :func:`segment_options` collected."""
    axes = [axis for axis, _ in given["roi"]]
    if len(set(axes)) != len(axes):
        raise OptionError(f"--roi names an axis twice: {', '.join(axes)}; give each once")
    return SegmentOptions(
        outputs=tuple(given["outputs"]),
        level=given["level"],
        channels=tuple(given["channels"]),
        axes=given["axes"],
        roi=dict(given["roi"]),
        block_shape=given["block_shape"],
        tile_shape=given["tile_shape"],
        precision=given["precision"],
        device=given["device"],
        backend=given["backend"],
        ome_version=given["ome_version"],
        tta=given["tta"],
        skip_empty=given["skip_empty"],
        memory_limit=given["memory_limit"],
        tune=given["tune"],
        nonfinite=given["nonfinite"],
        mask=_url(given["mask"]) if given["mask"] else "",
        grey_range=tuple(given["grey_range"]),
        percentiles=given["percentiles"],
        grey_range_of=_url(given["grey_range_of"]) if given["grey_range_of"] else "",
    )


def _url(path: str) -> str:
    # Zarr takes its time to be imported, which usage errors need not wait for.
    from bigunet.io.stores.access import normal_url

    return normal_url(path)


def cluster_from(given: dict[str, Any]) -> ClusterSpec:
    """The description of what :func:`cluster_options` collected."""
    return ClusterSpec(
        kind=given["cluster"],
        scheduler=given["scheduler"],
        workers=given["workers"],
        dashboard_address=given["dashboard_address"],
        host=given["host"],
        interface=given["interface"],
        job=JobSpec(
            queue=given["queue"],
            account=given["account"],
            walltime=given["walltime"],
            memory_bytes=given["job_memory"],
            cores=given["job_cores"] or 0,
            gpus=given["job_gpus"] or 0,
            logs=given["job_logs"],
        ),
    )
