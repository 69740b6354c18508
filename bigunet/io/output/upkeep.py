"""Checks whether a published output is still as it was written, and removes damaged metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import zarr

from bigunet.errors import ImageError
from bigunet.io.output.arrays import array_form, expected_form
from bigunet.io.output.metadata import group_attributes, is_listed
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import is_complete
from bigunet.io.output.writing import writing
from bigunet.stores.access import find_node

_METADATA_NAMES = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}


def is_whole(outputs: Sequence[OutputImage], *, record: str, inside_image: bool = False) -> bool:
    """Whether all arrays and metadata of published outputs are still as they were written.

    Parameters
    ----------
    outputs : sequence of OutputImage
        Outputs of one store.
    record : str
        Path of the node that `create_record_node` made.
    inside_image : bool
        Whether the store is the image that was segmented.
    """
    store, group = outputs[0].store, outputs[0].group
    try:
        return (
            is_complete(store, group if inside_image else "")
            and isinstance(find_node(store, record), zarr.Array)
            and all(_is_as_written(output, inside_image=inside_image) for output in outputs)
        )
    except ImageError:
        return False


def _is_as_written(output: OutputImage, *, inside_image: bool) -> bool:
    node = find_node(output.store, output.group)
    expected = group_attributes(output, inside_image=inside_image)
    if node is None or not expected.items() <= node.attrs.asdict().items():
        return False
    folder, _, name = output.group.rpartition("/")
    labels = find_node(output.store, folder) if output.kind == "label" else None
    if output.kind == "label" and (labels is None or not is_listed(labels.attrs.asdict(), name)):
        return False
    return all(
        array_form(find_node(output.store, output.level_path(number)))
        == expected_form(output, level)
        for number, level in enumerate(output.layout.levels)
    )


def remove_damaged_metadata(folder: str | Path) -> None:
    """Remove metadata files of an output that are cut short, so that they are written again.

    Raises
    ------
    OutputError
        If one cannot be read or removed.
    """
    for place, folders, names in os.walk(folder):
        # The folders of chunks are skipped: they may hold millions of files.
        folders[:] = [name for name in folders if name != "c" and not _is_row(place, name)]
        for name in _METADATA_NAMES.intersection(names):
            path = Path(place, name)
            with writing(str(path)):
                if not _is_json_object(path):
                    path.unlink()


def _is_row(place: str, name: str) -> bool:
    """Whether a folder holds chunks of a zarr 2 array, which is a folder with a number as name."""
    return name.isdigit() and os.path.basename(place).isdigit()


def _is_json_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False
