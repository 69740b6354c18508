"""What commands print: JSON on stdout for programs, words for people."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from bigunet.urls import without_secrets

if TYPE_CHECKING:
    from bigunet.segmentation.segment_report import SegmentReport

_ARTICLES = {"second": "a", "minute": "a", "hour": "an"}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def say(line: str) -> None:
    """Print a line for people on stderr."""
    click.echo(without_secrets(line), err=True)


def shown(value: Any) -> Any:
    """The same data, without passwords and tokens of URLs."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def print_json(data: dict[str, Any]) -> None:
    """Print the one object that ``--json`` promises."""
    click.echo(json.dumps(shown(data), indent=2))


def print_table(rows: dict[str, Any]) -> None:
    """Print names and values in two columns on stdout."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  {shown(value)}")


def summary(report: SegmentReport) -> str:
    """A few lines about a finished segmentation."""
    data = report.to_dict()
    shape = " × ".join(map(str, data["shape"]))
    shares = ", ".join(f"{name} {share:.1%}" for name, share in data["class_shares"].items())
    if report.already_finished:
        return (
            f"already finished, in {counted(data['blocks'], 'block')}\n"
            f"classes: {shares}\n"
            f"{objects(report)}"
            f"{_page(report)}"
            f"written to {data['output']}"
        )
    end = (
        f"written to {data['output']}"
        if report.finished
        else f"{counted(report.blocks_done, 'block')} written; other parts of {data['output']} are "
        "not finished"
    )
    return (
        f"{shape} voxels ({', '.join(data['axes'])}) in {counted(data['blocks'], 'block')}"
        f"{_share_done(report)}: "
        f"{data['seconds']:.1f} s, {data['megapixels_per_second']:.2f} megapixels per second, "
        f"{size(data['peak_memory_bytes'])} of memory at the peak\n"
        f"{grey_range(report)}\n"
        f"{_method(report)}"
        f"classes: {shares}\n"
        f"{objects(report)}"
        f"{_page(report)}"
        f"{end}"
    )


def _method(report: SegmentReport) -> str:
    """A line about a result that is not exact, with its end of line; else empty."""
    return "" if report.plan.exact else f"labels: {report.plan.method}\n"


def _page(report: SegmentReport) -> str:
    """A line with the path of the report's page, with its end of line; empty without a page."""
    return f"report: {report.page}\n" if report.page else ""


def _share_done(report: SegmentReport) -> str:
    """What this run did itself, if earlier runs or other parts did something."""
    done, blocks = report.blocks_done, report.plan.grid.num_blocks
    return "" if done == blocks else f", {done} of them in this run"


def objects(report: SegmentReport) -> str:
    """A line about the objects, with its end of line; empty if no objects were numbered."""
    found, rule = report.objects, report.plan.objects
    if found is None or rule is None:
        return ""
    name = report.plan.model.description.classes[rule.object_class].name
    small = f" ({found.num_small:,} below {rule.smallest} voxels left out)" if rule.smallest else ""
    line = f"objects: {found.num_objects:,} of class {name}{small}"
    if found.num_objects and found.median_voxels is not None:
        line += f", median size {size_figure(found.median_voxels)} voxels"
        if (size_um := report.plan.voxel_size_um) is not None:
            volume = found.median_voxels * math.prod(size_um)
            line += f" or {size_figure(volume)} µm{'²' if len(size_um) == 2 else '³'}"
        line += " at a time point" if report.plan.options.link_time is not None else ""
    return f"{line}\n" + (f"table: {report.table}\n" if report.table else "")


def size_figure(size: float) -> str:
    """A size with three figures at least, and without an exponent where it is no small one.

    >>> size_figure(2759.6), size_figure(810.5), size_figure(0.012345)
    ('2,760', '810.5', '0.0123')
    """
    if size >= 1000 or size == int(size):
        return f"{size:,.0f}"
    return f"{size:.1f}" if size >= 100 else f"{size:.3g}"


def grey_range(report: SegmentReport) -> str:
    """A line about the grey values of each channel, and their origin."""
    made, plan = report.normalisation, report.plan
    ranges = []
    for channel, low, high in zip(plan.channels, made.values.low, made.values.high):
        name = plan.image.channel_names[channel]
        label = f" {name!r}" if name and name != str(channel) else ""
        ranges.append(f"channel {channel}{label}: {_grey(low)} to {_grey(high)}")
    measured = made.statistics or f"percentiles {made.low:g} and {made.high:g}"
    if made.level is not None and not made.statistics:
        part = "a sample of " if made.sampled else ""
        measured += f" of {part}level {made.level}"
    origins = {
        "image": measured,
        "other image": f"{measured} of {made.other}",
        "other output": f"those of {made.other}",
        "options": "as given",
        "model": "fixed by the model",
    }
    notes = [origins[made.origin]]
    if any(share >= 0.005 for share in made.left_out):
        notes.append(f"{max(made.left_out):.0%} of the voxels hold no signal, and did not count")
    if any(made.values.padding):
        listed = ", ".join(f"{v:g}" for values in made.values.padding for v in values)
        notes.append(f"no data: {listed}")
    if any(made.outliers):
        notes.append("a few voxels far beyond all others did not count")
    return f"grey values used, {'; '.join(ranges)} ({'; '.join(notes)})"


def _grey(value: float) -> str:
    """A grey value: integers in full, other numbers with six digits."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 block``, ``2 blocks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def about(seconds: float) -> str:
    """A time that is not known exactly, in the unit that people would say.

    >>> about(0.3), about(1.2), about(100), about(5000), about(100_000), about(200_000)
    ('a second', 'a second', '2 minutes', '83 minutes', '28 hours', '2 days')
    """
    for noun, unit, most in (("second", 1, 90), ("minute", 60, 90), ("hour", 3600, 36)):
        if (number := max(1, round(seconds / unit))) < most:
            return counted(number, noun) if number > 1 else f"{_ARTICLES[noun]} {noun}"
    return counted(round(seconds / 86400), "day")


def size(num_bytes: float) -> str:
    """Bytes in a unit that people read: ``1.5 GB``."""
    for unit in _UNITS:
        if num_bytes < 1000 or unit == _UNITS[-1]:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError("the last unit takes everything")
