"""What commands say: JSON on stdout for programs, words for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bigunet.urls import without_secrets

if TYPE_CHECKING:
    from bigunet.segmentation.segment_report import SegmentReport

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def say(line: str) -> None:
    """A line for people, on stderr."""
    click.echo(without_secrets(line), err=True)


def shown(value: Any) -> Any:
    """The same data, where no text holds the password or token of a URL."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def print_json(data: dict[str, Any]) -> None:
    """The one object that ``--json`` promises."""
    click.echo(json.dumps(shown(data), indent=2))


def print_table(rows: dict[str, Any]) -> None:
    """Names and values in two columns, on stdout."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  {shown(value)}")


def summary(report: SegmentReport) -> str:
    """What a segmentation did, in a few lines."""
    told = report.to_dict()
    shape = " × ".join(map(str, told["shape"]))
    shares = ", ".join(f"{name} {share:.1%}" for name, share in told["class_shares"].items())
    if report.already_finished:
        return (
            f"already finished, in {counted(told['blocks'], 'block')}\n"
            f"classes: {shares}\n"
            f"written to {told['output']}"
        )
    end = (
        f"written to {told['output']}"
        if report.finished
        else f"{counted(report.blocks_done, 'block')} written; other parts of {told['output']} are "
        "still to end"
    )
    return (
        f"{shape} voxels ({', '.join(told['axes'])}) in {counted(told['blocks'], 'block')}: "
        f"{told['seconds']:.1f} s, {told['megapixels_per_second']:.2f} megapixels per second, "
        f"{size(told['peak_memory_bytes'])} of memory at the peak\n"
        f"{grey_range(report)}\n"
        f"classes: {shares}\n"
        f"{end}"
    )


def grey_range(report: SegmentReport) -> str:
    """Which grey values of which channels were used, and where they come from."""
    made, plan = report.normalisation, report.plan
    ranges = []
    for channel, low, high in zip(plan.channels, made.values.low, made.values.high):
        name = plan.image.channel_names[channel]
        label = f" {name!r}" if name and name != str(channel) else ""
        ranges.append(f"channel {channel}{label}: {_grey(low)} to {_grey(high)}")
    measured = f"percentiles {made.low:g} and {made.high:g}"
    if made.level is not None:
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
        notes.append(f"{max(made.left_out):.0%} of the voxels say nothing, and did not count")
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
    """A number of things: ``1 block``, ``2 blocks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(num_bytes: float) -> str:
    """Bytes in a unit that people read: ``1.5 GB``."""
    for unit in _UNITS:
        if num_bytes < 1000 or unit == _UNITS[-1]:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError("the last unit takes everything")
