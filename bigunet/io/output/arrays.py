"""Makes an output's groups and arrays, and publishes it once all is written; writes no voxels."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ContainsArrayError

from bigunet.errors import BigUNetError, OutputError
from bigunet.io.output.layout import PyramidLevel
from bigunet.io.output.metadata import (
    PROVENANCE_KEY,
    Attributes,
    OutputImage,
    group_attributes,
    is_listed,
    is_published,
    labels_attributes,
    provenance_attributes,
    root_attributes,
)
from bigunet.io.stores.access import Node, find_node, join_url

_ZARR_FORMAT: dict[str, Literal[2, 3]] = {"0.4": 2, "0.5": 3}
_BITSHUFFLE = 2  # as numcodecs numbers it
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
_ADVICE = {
    errno.ENOSPC: "free space there, then resume",
    errno.EDQUOT: "free space within your quota, then resume",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a file stands where a folder should be, choose another place",
    errno.EROFS: "the file system is read-only, choose another place",
    errno.EACCES: "you may not write there, choose another place or change its permissions",
    errno.EPERM: "you may not write there, choose another place or change its permissions",
}


def create_arrays(output: OutputImage) -> None:
    """Create the arrays of all levels, and plain groups on the way to them.

    Nothing marks them as an image yet: see `write_discovery_metadata`. An array that is there
    already and is what would be created is kept, with its voxels.

    Raises
    ------
    OutputError
        If an array that differs is there, the root is of the other zarr format, or the place
        cannot be written.
    """
    foreign = Path(output.store, ".zgroup" if output.version == "0.5" else "zarr.json")
    if foreign.exists():
        raise OutputError(
            f"{output.store} is not OME-Zarr {output.version} ({foreign.name} is there): "
            "choose another output or the other version"
        )
    parts = output.group.split("/")
    for depth in range(len(parts) + 1):
        _group(output.store, "/".join(parts[:depth]), output.version)
    for number, level in enumerate(output.layout.levels):
        _create_array(output, f"{output.group}/{number}", level)


def write_discovery_metadata(
    outputs: Sequence[OutputImage], *, provenance: Mapping[str, Any], inside_image: bool = False
) -> None:
    """Make finished outputs of one store known to readers; the last thing that is written.

    Each output's own group comes first, then the list of labels, then the root, which shows the
    first label, or the first output where there are no labels.

    Parameters
    ----------
    outputs : sequence of OutputImage
        All outputs of one store, fully written.
    provenance : mapping
        How they were made (model, normalisation, options), as JSON; kept under ``"bigunet"``.
    inside_image : bool
        Whether the store is the image that was segmented. Its root is then left alone, labels
        name it as their source, and the provenance goes to each output's own group.

    Raises
    ------
    OutputError
        If the outputs are none or of several stores or versions, or cannot be written.
    """
    if len({(output.store, output.version) for output in outputs}) != 1:
        raise OutputError(
            f"outputs {[(o.store, o.version) for o in outputs]} must be of one store and version"
        )
    labels = [output for output in outputs if output.kind == "label"]
    for output in outputs:
        attributes = group_attributes(output, inside_image=inside_image)
        if inside_image:
            attributes |= provenance_attributes(provenance)
        _update(output, output.group, attributes)
    if labels:
        names = [output.name for output in labels]
        existing = _group(labels[0].store, "labels", labels[0].version).attrs.asdict()
        _update(labels[0], "labels", labels_attributes(existing, names, labels[0].version))
    if not inside_image:
        first = (labels or list(outputs))[0]
        _update(first, "", root_attributes(first, provenance))


def withdraw_label(store: str, group: str, version: Literal["0.4", "0.5"]) -> None:
    """Take a label that is to be written, anew or at all, off its image's list of labels.

    The list is made where there is none, so that the image stays valid meanwhile.

    Raises
    ------
    OutputError
        If the list cannot be written.
    """
    folder, _, name = group.rpartition("/")
    with writing(join_url(store, folder)):
        labels = _group(store, folder, version)
        existing = labels.attrs.asdict()
        labels.attrs.update(labels_attributes(existing, (), version, without=[name]))


def is_complete(store: str, group: str = "") -> bool:
    """Whether `write_discovery_metadata` finished here.

    Parameters
    ----------
    store : str
        Local path of the root group; need not exist.
    group : str
        The root, or the group of an output that was written into its source image.

    Raises
    ------
    ImageError
        If metadata are there but cannot be read.
    """
    node = find_node(store, group)
    if not isinstance(node, zarr.Group) or not is_published(node.attrs.asdict()):
        return False
    folder, _, name = group.rpartition("/")
    if folder != "labels":
        return True
    labels = find_node(store, folder)
    return labels is not None and is_listed(labels.attrs.asdict(), name)


def read_provenance(store: str, group: str = "") -> dict[str, Any]:
    """How a published output was made, as `write_discovery_metadata` was told; else empty.

    Parameters
    ----------
    store, group : str
        As for `is_complete`.

    Raises
    ------
    ImageError
        If metadata are there but cannot be read.
    """
    if not is_complete(store, group):
        return {}
    node = find_node(store, group)
    found = None if node is None else node.attrs.asdict().get(PROVENANCE_KEY)
    return dict(found) if isinstance(found, Mapping) else {}


def create_record_node(store: str, path: str, *, version: str) -> None:
    """Make the folder ``path`` of an output a zarr array of one voxel, so that files may lie in it.

    Zarr warns of files that it finds in a group, but never looks into an array's folder.
    """
    with writing(join_url(store, path)), suppress(ContainsArrayError):
        zarr.create_array(
            store,
            name=path,
            shape=(1,),
            dtype="uint8",
            zarr_format=_ZARR_FORMAT[version],
            attributes={"about": "ledger and report of the bigunet run that wrote this output"},
        )


def sweep_partial_files(store: str | Path) -> int:
    """Remove what killed writers left half-written, and return how many files that were.

    Only for a store that nobody is writing: a file in the making has the same name.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    num_removed = 0
    for folder, _, names in os.walk(store):
        for name in filter(_PARTIAL.search, names):
            path = Path(folder, name)
            with writing(str(path)):
                path.unlink(missing_ok=True)
            num_removed += 1
    return num_removed


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn every failure of the operating system to write ``what`` into an OutputError."""
    try:
        yield
    except BigUNetError:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        advice = _ADVICE.get(error.errno or 0, "see that the place exists and can be written")
        raise OutputError(f"cannot write {what}: {reason}; {advice}") from error


def _group(store: str, path: str, version: Literal["0.4", "0.5"]) -> zarr.Group:
    with writing(join_url(store, path)):
        return zarr.open_group(
            store,
            path=path,
            mode="a",
            zarr_format=_ZARR_FORMAT[version],
            use_consolidated=False,
        )


def _update(output: OutputImage, path: str, attributes: Attributes) -> None:
    with writing(join_url(output.store, path)):
        _group(output.store, path, output.version).attrs.update(attributes)


def _create_array(output: OutputImage, path: str, level: PyramidLevel) -> None:
    shape = output.as_stored(level.shape, channel=output.num_channels)
    chunk = output.as_stored(level.chunk, channel=1)
    shard = output.as_stored(level.shard, channel=1)
    if output.version == "0.5":
        options: dict[str, Any] = {
            "shards": shard,
            "dimension_names": [axis.name for axis in output.axes],
            "compressors": BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
        }
    else:
        options = {
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
            "compressors": {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": _BITSHUFFLE},
        }
    with writing(join_url(output.store, path)):
        try:
            zarr.create_array(
                output.store,
                name=path,
                shape=shape,
                dtype=output.dtype,
                chunks=chunk,
                fill_value=0,
                zarr_format=_ZARR_FORMAT[output.version],
                **options,
            )
        except ContainsArrayError:
            _check_same(output, path, level)


def _check_same(output: OutputImage, path: str, level: PyramidLevel) -> None:
    found, wanted = array_form(find_node(output.store, path)), wanted_form(output, level)
    if found != wanted:
        raise OutputError(
            f"{join_url(output.store, path)} is there already and differs: it has (shape, chunk, "
            f"shard, dtype) {found}, wanted {wanted}; choose another output or overwrite it"
        )


def array_form(node: Node | None) -> tuple[Any, ...] | None:
    """What an array looks like to those who write it; None if there is no array."""
    if not isinstance(node, zarr.Array):
        return None
    return (node.shape, node.chunks, node.shards, node.dtype.name)


def wanted_form(output: OutputImage, level: PyramidLevel) -> tuple[Any, ...]:
    """What the array of a level should look like, as `array_form` says it."""
    shape = output.as_stored(level.shape, channel=output.num_channels)
    chunk = output.as_stored(level.chunk, channel=1)
    shard = output.as_stored(level.shard, channel=1)
    return (shape, chunk, shard if output.version == "0.5" else None, output.dtype)
