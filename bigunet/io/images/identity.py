"""The fingerprint of the content of an image, and the difference between two fingerprints.

A fingerprint covers the metadata that give voxels their meaning, and the stored files of the voxels
that are read. Of each file it has the size and a hash. The hash covers all bytes of the file if the
budget allows, else some pieces that are spread evenly; only then the time of the file counts, too.
If there are more files than the limit, or if the store is not local, the fingerprint covers a
sample of the files, spread evenly.
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
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.stores.access import join_url, open_array, reading
from bigunet.stores.stored_files import Stamp, stamps_of, stamps_of_files

# Files are compared in at most this many groups, so that a fingerprint has only a few kilobytes.
_MAX_GROUPS = 256
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Content:
    """Fingerprint of the content of an image.

    Parameters
    ----------
    url : str
        For messages; it is no part of the fingerprint.
    metadata : str
        Hash of the metadata that give voxels their meaning: shape, codecs, fill value, axes, scale.
    files : tuple of str
        For each group of files, a hash of their names, sizes and bytes.
    times : tuple of str
        For each group, a hash of the times of the files that were not hashed whole; empty if all
        files were hashed whole.
    newest : tuple of str
        For each group, the file that was changed last; no part of the fingerprint.
    """

    url: str
    metadata: str
    files: tuple[str, ...]
    times: tuple[str, ...]
    newest: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fingerprint as JSON. The hundreds of hashes are joined into one string."""
        return {
            "metadata": self.metadata,
            "files": " ".join(self.files),
            "times": ",".join(self.times) if any(self.times) else "",
        }

    def difference(self, before: Mapping[str, Any]) -> str:
        """A line about the difference from an earlier fingerprint; empty if there is none.

        If all files have new times, the image was probably copied, and only the hashes decide. If
        only some files have new times, these files were probably changed; this counts as a
        difference for files that were not hashed whole.
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
    """Take the fingerprint of the stored voxels of a level.

    It reads at most 128 MB of local files, and at most 4 MB from other stores.

    Parameters
    ----------
    image : Multiscale
    level : int
    channels : sequence of int
        The channels that the fingerprint covers; all channels if empty.
    region : Box, optional
        The box that the fingerprint covers, in voxels of the level; the part outside the volume
        is ignored.

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
    return _content(image, _description(image, level, array), stamps)


def content_of_files(image: ImageDescription, files: Sequence[str], *, level: int = 0) -> Content:
    """Take the fingerprint of a level of an image that lies in files of another format.

    Parameters
    ----------
    image : ImageDescription
    files : sequence of str
        Paths of all files that hold its voxels. Of these, 128 MB are read at most.
    level : int

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    with reading(f"the files of {image.url}"):
        stamps = stamps_of_files(files)
    return _content(image, json.dumps(_place_and_axes(image, level), default=str), stamps)


def _content(image: ImageDescription, metadata: str, stamps: Sequence[Stamp]) -> Content:
    groups = [list(group) for group in _groups(stamps)]
    return Content(
        image.url,
        _hash(metadata),
        tuple(_hash("".join(stamp.digest for stamp in group)) for group in groups),
        tuple(_times(group) for group in groups),
        tuple(map(_newest, groups)),
    )


def _description(image: Multiscale, level: int, array: zarr.Array[Any]) -> str:
    """The metadata that give stored bytes their meaning, as JSON; names and notes do not."""
    metadata = dict(array.metadata.to_dict())
    for name in ("attributes", "consolidated_metadata", "dimension_names"):
        metadata.pop(name, None)
    return json.dumps([metadata, *_place_and_axes(image, level)], default=str)


def _place_and_axes(image: ImageDescription, level: int) -> list[Any]:
    """Scale, translation and axes; where no metadata of zarr do so, also shape and type."""
    shown = asdict(image.level(level))
    axes = [(axis.name, axis.type, axis.unit) for axis in image.axes]
    known = [] if isinstance(image, Multiscale) else [shown["shape"], shown["dtype"]]
    return [*known, shown["scale"], shown["translation"], axes]


def _stored_box(image: Multiscale, level: int, channels: Sequence[int], region: Box | None) -> Box:
    """The box that is read, along the axes of the array."""
    volume = Box.of_shape(image.volume_shape(level))
    inside = volume if region is None else volume.intersection(region)
    ends = [(0, n) for n in image.level(level).shape]
    for stored, start, stop in zip(image.volume_order, inside.start, inside.stop):
        ends[stored] = (start, stop)
    if image.channel_axis is not None and channels:
        ends[image.channel_axis] = (min(channels), max(channels) + 1)
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


def _sample(array: zarr.Array[Any], box: Box, limit: int) -> Iterator[str]:
    """Keys of the files that hold a box; at most ``limit`` of them, spread evenly."""
    extent: Point = array.shards or array.chunks
    first = tuple(a // n for a, n in zip(box.start, extent))
    shape = tuple(ceil_div(b, n) - a for a, b, n in zip(first, box.stop, extent))
    count = math.prod(shape)
    chosen: Iterable[int] = range(count)
    if count > limit:
        # Equal steps could always hit the same column of the grid.
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
    """Hash of the times of the files that were not hashed whole; empty if there are none."""
    times = [stamp.time for stamp in group if not stamp.whole]
    return _hash(" ".join(times)) if times else ""


def _newest(group: Sequence[Stamp]) -> str:
    """The file that was changed last, which is the most likely one to differ."""
    name = max(group, key=lambda stamp: stamp.order).name
    return name if len(group) == 1 or not name else f"{name} (or one of {len(group) - 1} beside it)"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
