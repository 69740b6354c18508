"""Parts of an image as options give them: start and stop along axes, in voxels or in lengths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from bigunet.errors import OptionError
from bigunet.options.lengths import Length
from bigunet.options.option_kinds import Kind, Text, Whole, items_of, not_of_kind

End: TypeAlias = int | Length
"""Where a region starts or stops: a number of voxels, or a length from the image's own start."""
Ends: TypeAlias = tuple[End, End]
_EXAMPLES = "x=1000:3000 or x=10um:250um"


class Region(Kind):
    """Start and stop for some axes, with a flag for each axis."""

    metavar = "AXIS=START:STOP"
    doc = "mapping of str to (int or str, int or str)"
    is_repeated = True

    def parse(self, text: str) -> tuple[str, Ends]:
        """Read one axis.

        >>> Region().parse("x=0:0.25mm")
        ('x', (0, Length(um=250)))
        """
        try:
            axis, ends = text.split("=")
            start, stop = map(_end, ends.split(":"))
        except ValueError:
            raise ValueError(f"{text!r} is not AXIS=START:STOP, like {_EXAMPLES}") from None
        return axis.strip().lower(), _of_one_unit(axis, start, stop)

    def show(self, value: Any) -> str:
        axis, (start, stop) = value
        return f"{axis}={start}:{stop}"

    def items(self, value: Any) -> Iterable[Any]:
        return tuple(value.items())

    def data(self, value: Any) -> dict[str, list[int | str]]:
        """Voxels as numbers, and lengths as texts."""
        return {
            axis: [end if isinstance(end, int) else str(end) for end in ends]
            for axis, ends in value.items()
        }

    def gather(self, items: Sequence[Any], flag: str) -> dict[str, Ends]:
        axes = [axis for axis, _ in items]
        if len(set(axes)) != len(axes):
            raise OptionError(f"{flag} names an axis twice: {', '.join(axes)}; give each once")
        return dict(items)

    def check(self, value: Any, name: str) -> dict[str, Ends]:
        if not isinstance(value, Mapping):
            raise not_of_kind(name, value, 'a mapping such as {"x": (0, 512)}')
        return {
            Text().check(axis, name): _checked(axis, ends, f"{name} {axis}")
            for axis, ends in value.items()
        }


def _checked(axis: str, ends: Any, label: str) -> Ends:
    both = items_of(ends, label, "whole numbers, such as (0, 512)")
    if len(both) != 2:
        raise not_of_kind(label, ends, "START and STOP")
    start, stop = (_checked_end(end, label) for end in both)
    return _of_one_unit(axis, start, stop)


def _checked_end(end: Any, label: str) -> End:
    if isinstance(end, str):
        try:
            return _end(end)
        except ValueError:
            raise not_of_kind(label, end, "voxels or a length, such as '10um'") from None
    return end if isinstance(end, Length) else Whole().check(end, label)


def _end(text: str) -> End:
    try:
        return int(text)
    except ValueError:
        return Length.parse(text)


def _of_one_unit(axis: str, start: End, stop: End) -> Ends:
    """The ends, where both are voxels or both are lengths; 0 is the same place in each.

    Raises
    ------
    OptionError
        If they are of two kinds: a number without a unit may be meant in the other's unit.
    """
    lengths = [isinstance(end, Length) for end in (start, stop)]
    if any(lengths) and not all(lengths) and not {0, Length(0)} & {start, stop}:
        voxels = stop if lengths[0] else start
        raise OptionError(
            f"roi {axis}={start}:{stop}: {voxels} has no unit and the other end has one; give both "
            "in voxels, or both with a unit"
        )
    return start, stop


def in_order(start: End, stop: End) -> bool:
    """Whether a region with these ends may hold voxels."""
    first, last = (end.um if isinstance(end, Length) else end for end in (start, stop))
    return 0 <= first < last
