"""Makes the groups and arrays of an output; it writes no voxels and no OME-Zarr metadata."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ContainsArrayError

from bigunet.errors import OutputError
from bigunet.io.output.layout import PyramidLevel
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writing import ZARR_FORMAT, open_group, writing
from bigunet.options.choices import OmeVersion
from bigunet.stores.access import Node, find_node, join_url

_BITSHUFFLE = 2  # the number of this shuffle in numcodecs
# A chunk of labels is one block of Blosc. With its own, smaller blocks, level 3 takes up to four
# times as long for files of the same size.
_LEVEL, _BLOSC_BYTES = 1, 262_144


def create_arrays(output: OutputImage) -> None:
    """Create the arrays of all levels, and the plain groups above them.

    No metadata mark them as an image yet: see `bigunet.io.output.publish`. An array that exists
    already and has the same form is kept, with its voxels.

    Raises
    ------
    OutputError
        If a different array exists, if the root has the other zarr format, or if the place cannot
        be written.
    """
    foreign = Path(output.store, ".zgroup" if output.is_sharded else "zarr.json")
    if foreign.exists():
        raise OutputError(
            f"{output.store} is not OME-Zarr {output.version} ({foreign.name} is there): "
            "choose another output or the other version"
        )
    parts = output.group.split("/")
    for depth in range(len(parts) + 1):
        open_group(output.store, "/".join(parts[:depth]), output.version)
    for number, level in enumerate(output.layout.levels):
        _create_array(output, output.level_path(number), level)


def create_record_node(
    store: str,
    path: str,
    *,
    version: OmeVersion,
    about: str = "ledger and report of the bigunet run that wrote this output",
) -> None:
    """Make the folder ``path`` of an output a zarr array of one voxel, so that it may hold files.

    Zarr warns about unknown files in the folder of a group, but not in the folder of an array.
    """
    with writing(join_url(store, path)), suppress(ContainsArrayError):
        zarr.create_array(
            store,
            name=path,
            shape=(1,),
            dtype="uint8",
            zarr_format=ZARR_FORMAT[version],
            attributes={"about": about},
        )


def create_marked_group(store: str, group: str, mark: str, *, version: OmeVersion) -> None:
    """Make a group of an image with a folder that says who made it; the folder comes first.

    Parameters
    ----------
    store, group : str
    mark : str
        Name of the folder in the group.
    version : {"0.4", "0.5", "0.6"}

    Raises
    ------
    OutputError
        If they cannot be made.
    """
    with writing(join_url(store, group)):
        Path(store, group, mark).mkdir(parents=True, exist_ok=True)
    parts = group.split("/")
    for depth in range(1, len(parts) + 1):
        open_group(store, "/".join(parts[:depth]), version)
    create_record_node(store, f"{group}/{mark}", version=version, about="mark of a bigunet run")


def array_form(node: Node | None) -> tuple[Any, ...] | None:
    """Shape, chunk, shard and dtype of an array; None if the node is no array."""
    if not isinstance(node, zarr.Array):
        return None
    return (node.shape, node.chunks, node.shards, node.dtype.name)


def expected_form(output: OutputImage, level: PyramidLevel) -> tuple[Any, ...]:
    """The form that the array of a level should have, in the words of `array_form`."""
    shape = output.as_stored(level.shape, channel=output.num_channels)
    chunk = output.as_stored(level.chunk, channel=1)
    shard = output.as_stored(level.shard, channel=1)
    return (shape, chunk, shard if output.is_sharded else None, output.dtype)


def _create_array(output: OutputImage, path: str, level: PyramidLevel) -> None:
    shape = output.as_stored(level.shape, channel=output.num_channels)
    chunk = output.as_stored(level.chunk, channel=1)
    shard = output.as_stored(level.shard, channel=1)
    if output.is_sharded:
        options: dict[str, Any] = {
            "shards": shard,
            "dimension_names": [axis.name for axis in output.axes],
            "compressors": BloscCodec(
                cname="zstd", clevel=_LEVEL, shuffle="bitshuffle", blocksize=_BLOSC_BYTES
            ),
        }
    else:
        options = {
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
            "compressors": {
                "id": "blosc",
                "cname": "zstd",
                "clevel": _LEVEL,
                "shuffle": _BITSHUFFLE,
                "blocksize": _BLOSC_BYTES,
            },
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
                zarr_format=ZARR_FORMAT[output.version],
                **options,
            )
        except ContainsArrayError:
            _check_same(output, path, level)


def _check_same(output: OutputImage, path: str, level: PyramidLevel) -> None:
    existing, expected = array_form(find_node(output.store, path)), expected_form(output, level)
    if existing != expected:
        raise OutputError(
            f"{join_url(output.store, path)} exists and differs: it has (shape, chunk, shard, "
            f"dtype) {existing}, expected {expected}; choose another output or overwrite it"
        )
