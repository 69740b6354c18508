"""What identifies the content of an image: fingerprints of its stored files, and what changed.

A fingerprint holds the metadata that decide what a voxel is, and for each stored file of the
voxels that are read its size and a hash: of all its bytes where the budget allows, else of pieces
that are spread evenly. Times say something only about files that were not hashed whole. Of more
files than the limit, or of a store that is not local, a sample is taken, spread evenly.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import zarr

from bigunet.geometry import Box, Point, ceil_div
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.stores.access import join_url, open_array, reading
from bigunet.io.stores.stored_files import Stamp, stamps_of

# Files are compared in at most so many groups, so that a fingerprint stays at a few kilobytes.
_MAX_GROUPS = 256
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Content:
    """Fingerprint of an image's content.

    Parameters
    ----------
    url : str
        For messages; it is no part of the fingerprint.
    metadata : str
        Hash of what decides what a voxel is: shape, codecs, fill value, axes, scale.
    files : tuple of str
        Per group of files, a hash of their names, sizes and bytes.
    times : tuple of str
        Per group, a hash of the times of those that were not hashed whole; empty where all were.
    newest : tuple of str
        Per group, the file that was changed last; no part of the fingerprint.
    """

    url: str
    metadata: str
    files: tuple[str, ...]
    times: tuple[str, ...]
    newest: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fingerprint as JSON: lists are one string, because there are hundreds of hashes."""
        return {
            "metadata": self.metadata,
            "files": " ".join(self.files),
            "times": ",".join(self.times) if any(self.times) else "",
        }

    def difference(self, before: Mapping[str, Any]) -> str:
        """What is seen to differ from an earlier fingerprint; empty if the content is the same.

        Times that are new for every file tell of a copy, and the bytes that were compared decide.
        Times that are new for some files tell of a change to them, unless all bytes were compared.
        """
        now = self.to_dict()
        if before == now:
            return ""
        if before.get("metadata") != now["metadata"]:
            return f"the metadata of {self.url} changed"
        hashes = str(before.get("files", "")).split(" ")
        if len(hashes) != len(self.files):
            return f"{self.url} is stored in other files"
        for old, new, name in zip(hashes, self.files, self.newest):
            if old != new:
                return f"{name} changed" if name else f"files of {self.url} are missing"
        times = str(before.get("times", "")).split(",") if before.get("times") else []
        if len(times) != len(self.times):
            return ""
        timed = [(old, new, name) for old, new, name in zip(times, self.times, self.newest) if new]
        newer = [name for old, new, name in timed if old != new]
        if newer and len(newer) < len(timed):
            return f"{newer[0]} has another time, and is too large to compare all its bytes"
        return ""


def content_of(
    image: Multiscale,
    *,
    level: int = 0,
    channels: Sequence[int] = (),
    region: Box | None = None,
) -> Content:
    """Take the fingerprint of the stored voxels of an image's level.

    It reads 128 MB of local files at most, and 4 MB from other stores.

    Parameters
    ----------
    image : Multiscale
    level : int
    channels : sequence of int
        Those that are read; all if empty.
    region : Box, optional
        What is read, in voxels of the level; what lies outside the volume is ignored.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    stored = image.level(level)
    with reading(f"the files of {join_url(image.url, stored.path)}"):
        array = open_array(image.url, stored.path)
        box = _stored_box(image, level, channels, region)
        stamps = stamps_of(array, lambda limit: _sample(array, box, limit))
    groups = [list(group) for group in _groups(stamps)]
    return Content(
        image.url,
        _hash(_description(image, level, array)),
        tuple(_hash("".join(stamp.digest for stamp in group)) for group in groups),
        tuple(_times(group) for group in groups),
        tuple(map(_newest, groups)),
    )


def _description(image: Multiscale, level: int, array: zarr.Array[Any]) -> str:
    """What of all metadata decides about the meaning of stored bytes; names and notes do not."""
    metadata = dict(array.metadata.to_dict())
    for name in ("attributes", "consolidated_metadata", "dimension_names"):
        metadata.pop(name, None)
    shown = asdict(image.level(level))
    axes = [(axis.name, axis.type, axis.unit) for axis in image.axes]
    return json.dumps([metadata, shown["scale"], shown["translation"], axes], default=str)


def _stored_box(image: Multiscale, level: int, channels: Sequence[int], region: Box | None) -> Box:
    """What is read, in the array's own axes."""
    volume = Box.of_shape(image.volume_shape(level))
    inside = volume if region is None else volume.intersection(region)
    ends = [(0, n) for n in image.level(level).shape]
    for stored, start, stop in zip(image.volume_order, inside.start, inside.stop):
        ends[stored] = (start, stop)
    if image.channel_axis is not None and channels:
        ends[image.channel_axis] = (min(channels), max(channels) + 1)
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


def _sample(array: zarr.Array[Any], box: Box, limit: int) -> Iterator[str]:
    """Keys of the files that hold a box; of more than ``limit``, so many, spread evenly."""
    extent: Point = array.shards or array.chunks
    first = tuple(a // n for a, n in zip(box.start, extent))
    shape = tuple(ceil_div(b, n) - a for a, b, n in zip(first, box.stop, extent))
    count = math.prod(shape)
    chosen: Iterable[int] = range(count)
    if count > limit:
        # Not in equal steps, which could follow a column of the grid.
        chosen = (int((k + k * _GOLDEN % 1) * count / limit) for k in range(limit))
    for number in chosen:
        cell = []
        for n in reversed(shape):
            number, place = divmod(number, n)
            cell.append(place)
        key = array.metadata.encode_chunk_key(
            tuple(a + place for a, place in zip(first, reversed(cell)))
        )
        yield f"{array.store_path.path}/{key}".lstrip("/")


def _groups(stamps: Sequence[Stamp]) -> Iterator[Sequence[Stamp]]:
    count = min(len(stamps), _MAX_GROUPS)
    for k in range(count):
        yield stamps[k * len(stamps) // count : (k + 1) * len(stamps) // count]


def _times(group: Sequence[Stamp]) -> str:
    times = [stamp.time for stamp in group if not stamp.whole]
    return _hash(" ".join(times)) if times else ""


def _newest(group: Sequence[Stamp]) -> str:
    """The file that was changed last: of those that may have changed, the likeliest."""
    name = max(group, key=lambda stamp: stamp.order).name
    return name if len(group) == 1 or not name else f"{name} (or one of {len(group) - 1} beside it)"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
