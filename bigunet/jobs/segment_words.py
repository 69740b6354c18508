"""The command line of a segmentation, from its description: what differs from the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from bigunet.io.images.channels import by_index
from bigunet.segmentation.segment_options import SegmentOptions

# Where the option has another name than the field, and may be repeated.
_REPEATED = {"outputs": "output", "channels": "channel"}


def segment_words(
    source: str, target: str | None, model: str, options: SegmentOptions
) -> list[str]:
    """The words after ``bigunet segment`` that ask for this.

    Parameters
    ----------
    source, target, model : str
        As the command takes them, absolute.
    options : SegmentOptions

    Examples
    --------
    >>> segment_words("/in.zarr", None, "nuclei", SegmentOptions(level=1, tta=True))
    ['/in.zarr', '--level=1', '--tta']
    """
    places = [source] if target is None else [source, target]
    usual = SegmentOptions()
    words = [] if model == "nuclei" else [f"--model={model}"]
    for field in fields(SegmentOptions):
        value = getattr(options, field.name)
        if value != getattr(usual, field.name):
            words += _words(field.name, value)
    return places + words


def _words(field: str, value: object) -> list[str]:
    option = f"--{_REPEATED.get(field, field).replace('_', '-')}"
    if value is True:
        return [option]
    if isinstance(value, dict):
        return [f"{option}={axis}={start}:{stop}" for axis, (start, stop) in value.items()]
    if field == "grey_range" and isinstance(value, tuple):
        return [f"{option}={low!r}:{high!r}" for low, high in value]
    if field == "percentiles" and isinstance(value, tuple):
        return [f"{option}={value[0]!r}:{value[1]!r}"]
    if field in _REPEATED and isinstance(value, Sequence):
        # A number in text may be a name, too.
        return [f"{option}={by_index(v) if isinstance(v, int) else v}" for v in value]
    if isinstance(value, tuple):
        return [f"{option}={','.join(map(str, value))}"]
    if field == "memory_limit" and isinstance(value, int) and value % 10**6 == 0:
        return [f"{option}={value // 10**6}MB"]
    return [f"{option}={value}"]
