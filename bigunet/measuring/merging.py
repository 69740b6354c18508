"""Sums of many blocks together: in memory, or in bands where the objects are too many for it.

::

    parts     a  b  c  d  e  f       sums of blocks, in any order
    runs      [abc]    [def]         merged, sorted, and on the disk where there are several
    bands     0..9  10..19  20..     rows of all runs, a few at a time
"""

from __future__ import annotations

import contextlib
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from bigunet.errors import LabelsError
from bigunet.io.output.writing import writing
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.wide import merged_rows

_RUN_ROWS = 1 << 19
"""Objects that are merged in memory: some 350 bytes each, and thrice while two parts become one."""

_BAND_ROWS = 1 << 13
"""Objects of a run that are read at a time."""

_MOST_RUNS = 64
"""Runs that are merged at a time; of more, each 64 become one first."""


def merged(first: ObjectSums, second: ObjectSums) -> ObjectSums:
    """Sums of two parts of an image that share no voxel, such as two blocks.

    The result is the same to the bit for any order of the blocks, and for any grouping of them.

    Raises
    ------
    LabelsError
        If the parts differ in axes, in channels, or in the type of ids or grey values.
    """
    _check_alike(first, second)
    ids = np.concatenate([first.ids, second.ids])
    frames = np.concatenate([first.frames, second.frames])
    order = np.lexsort((ids, frames))
    ids, frames = ids[order], frames[order]
    new = (ids[1:] != ids[:-1]) | (frames[1:] != frames[:-1])
    groups = np.flatnonzero(np.concatenate([[True], new]))[: len(ids)]

    def reduced(ufunc: np.ufunc, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        rows = np.concatenate([one, other])[order]
        return np.asarray(ufunc.reduceat(rows, groups, axis=0) if len(groups) else rows)

    grey = [
        one.merged(other, order, groups, reduced) for one, other in zip(first.grey, second.grey)
    ]
    return ObjectSums(
        ids[groups],
        frames[groups],
        reduced(np.add, first.voxels, second.voxels),
        reduced(np.minimum, first.start, second.start),
        reduced(np.maximum, first.stop, second.stop),
        merged_rows(first.first_moments, second.first_moments, order, groups),
        merged_rows(first.second_moments, second.second_moments, order, groups),
        tuple(grey[: len(first.channels)]),
        None if first.probability is None else grey[-1],
    )


def merged_all(parts: Iterable[ObjectSums]) -> ObjectSums:
    """Sums of all parts (at least one), merged in pairs: each object is copied few times.

    As many merged parts are held at a time as the number of parts has bits.
    """
    towers: list[tuple[int, ObjectSums]] = []
    for part in parts:
        height = 0
        while towers and towers[-1][0] == height:
            part = merged(towers.pop()[1], part)
            height += 1
        towers.append((height, part))
    total = towers.pop()[1]
    while towers:
        total = merged(towers.pop()[1], total)
    return total


def merged_bands(
    parts: Iterable[ObjectSums], *, scratch: Path | None = None, run_rows: int = _RUN_ROWS
) -> Iterator[ObjectSums]:
    """Sums of all parts (at least one) as bands of objects, ascending; no object is in two bands.

    Together the bands are :func:`merged_all`, but memory does not grow with the number of objects.
    What is too much for it lies in files without names, which vanish with the process.

    Parameters
    ----------
    parts : iterable of ObjectSums
        Sums of blocks, in any order; each is taken once.
    scratch : Path, optional
        Folder of the files without names; by default that of temporary files.
    run_rows : int
        Objects that are merged in memory before they go to a file.

    Raises
    ------
    LabelsError
        If the parts differ in axes, in channels, or in the type of ids or grey values.
    OutputError
        If the folder has no space left.
    """
    where = str(scratch or tempfile.gettempdir())
    with writing(f"temporary files in {where}"), contextlib.ExitStack() as files:

        def spilled(bands: Iterator[ObjectSums]) -> Iterator[ObjectSums]:
            return _written(bands, files.enter_context(tempfile.TemporaryFile(dir=scratch)))

        runs: list[Iterator[ObjectSums]] = []
        for whole, is_last in _batches(parts, run_rows):
            runs.append(_bands_of(whole) if is_last and not runs else spilled(_bands_of(whole)))
            if len(runs) == _MOST_RUNS:
                runs = [spilled(_merged_runs(runs))]
        yield from _merged_runs(runs)


def _batches(parts: Iterable[ObjectSums], run_rows: int) -> Iterator[tuple[ObjectSums, bool]]:
    """Parts merged until they have many rows, and whether they are the last."""
    held: list[ObjectSums] = []
    rows = 0
    for part in parts:
        if held and rows + len(part) > run_rows:
            yield merged_all(held), False
            held, rows = [], 0
        held.append(part)
        rows += len(part)
    yield merged_all(held), True


def _bands_of(sums: ObjectSums) -> Iterator[ObjectSums]:
    for begin in range(0, max(1, len(sums)), _BAND_ROWS):
        yield sums.rows(slice(begin, begin + _BAND_ROWS))


def _written(bands: Iterable[ObjectSums], file: IO[bytes]) -> Iterator[ObjectSums]:
    """The same bands, from a file that is written now and read band by band."""
    for band in bands:
        content = band.to_bytes(compressed=False)
        file.write(struct.pack("<Q", len(content)))
        file.write(content)
    file.seek(0)
    return _read_back(file)


def _read_back(file: IO[bytes]) -> Iterator[ObjectSums]:
    with file:
        while length := file.read(8):
            yield ObjectSums.from_bytes(file.read(struct.unpack("<Q", length)[0]))


def _merged_runs(runs: Sequence[Iterator[ObjectSums]]) -> Iterator[ObjectSums]:
    """Take from all runs the rows up to the least last row; one run at least ends its band so."""
    heads = [(next(run), run) for run in runs]
    if not any(len(head) for head, _ in heads):
        yield merged_all(head for head, _ in heads)
    heads = [(head, run) for head, run in heads if len(head)]
    while heads:
        last = min(_key(head, -1) for head, _ in heads)
        counts = [_rows_up_to(head, *last) for head, _ in heads]
        yield merged_all(head.rows(slice(n)) for (head, _), n in zip(heads, counts) if n)
        rest = [(head.rows(slice(n, None)), run) for (head, run), n in zip(heads, counts)]
        refilled = ((head if len(head) else next(run, None), run) for head, run in rest)
        heads = [(head, run) for head, run in refilled if head is not None]


def _key(sums: ObjectSums, row: int) -> tuple[int, int]:
    return int(sums.frames[row]), int(sums.ids[row])


def _rows_up_to(sums: ObjectSums, frame: int, last: int) -> int:
    """Number of rows up to this id of this frame."""
    begin, end = (int(np.searchsorted(sums.frames, frame, side)) for side in ("left", "right"))
    return begin + int(np.searchsorted(sums.ids[begin:end], sums.ids.dtype.type(last), "right"))


def _check_alike(first: ObjectSums, second: ObjectSums) -> None:
    one, other = _kind(first), _kind(second)
    if one != other:
        raise LabelsError(f"parts of different images cannot be merged: {one}; {other}")


def _kind(sums: ObjectSums) -> str:
    grey = ", ".join(f"{channel.name or 'grey'} of {channel.least.dtype}" for channel in sums.grey)
    return f"{sums.ids.dtype} ids, {sums.ndim} axes, channels: {grey or 'none'}"
