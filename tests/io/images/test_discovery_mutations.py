"""The law of tolerance: any JSON in place of the metadata gives an image or an ImageError."""

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.plates import Plate, open_plate

AXES = [{"name": "c"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
SCALE = {"type": "scale", "scale": [1, 2, 2]}
MOVE = {"type": "translation", "translation": [0, 1, 1]}
ENTRY: dict[str, Any] = {
    "version": "0.4",
    "name": "cells",
    "axes": AXES,
    "datasets": [{"path": "0", "coordinateTransformations": [SCALE, MOVE]}],
    "coordinateTransformations": [{"type": "identity"}, SCALE],
}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 1000)
    | st.sampled_from([10**400, 10**30, 2**63, 10**9, 1e308, 1e-320])
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["0", "..", "0.5", "scale", "y", "height", "channel", "space"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "name", "type", "scale"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def paths(value: object, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in a JSON document."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    inner = [path for key in keys for path in paths(value[key], (*prefix, key))]
    return [prefix, *inner] if prefix else inner


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one value, at any depth, replaced or removed."""
    result = copy.deepcopy(document)
    *above, key = draw(st.sampled_from(paths(result)))
    parent: Any = result
    for step in above:
        parent = parent[step]
    if draw(st.integers(0, 3)):
        parent[key] = draw(JSON)
    else:
        del parent[key]
    return result


PLATE = {"plate": {"wells": [{"path": "A/1"}]}, "well": {"images": [{"path": "0"}]}}
SERIES = {"bioformats2raw.layout": 3}
GROUPS: list[dict[str, Any]] = [
    {"multiscales": [ENTRY, ENTRY], "omero": {"channels": [{"label": "A"}, {"color": "FF0000"}]}},
    {"ome": {"version": "0.5", "multiscales": [ENTRY], "omero": {"channels": [{"label": "A"}]}}},
    {"bioformats2raw.layout": 3, "series": ["0"], "labels": ["a"]},
    PLATE,
]
PLACES: dict[str, dict[str, Any]] = {"": {}, "S": SERIES, "A/1": PLATE}
"""The path of the mutated metadata, and the attributes of the root that point to it."""


def write_attributes(path: Path, attributes: dict[str, Any], zarr_format: int) -> None:
    if zarr_format == 2:
        (path / ".zattrs").write_text(json.dumps(attributes))
    else:
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (path / "zarr.json").write_text(json.dumps(document))


def outcome(act: Callable[[Path], Multiscale | Plate], path: Path) -> Multiscale | Plate | str:
    """The description that was read, or the error line."""
    try:
        return act(path)
    except ImageError as error:
        return str(error)


@settings(max_examples=250, deadline=None)
@given(
    attributes=st.sampled_from(GROUPS).flatmap(mutated),
    place=st.sampled_from(list(PLACES)),
    zarr_format=st.sampled_from([2, 3]),
)
def test_any_group_metadata_give_an_image_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory,
    attributes: dict[str, Any],
    place: str,
    zarr_format: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"group{zarr_format}{place.replace('/', '')}"
    if not path.exists():
        group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
        group.require_group("A/1")
        parent = group.require_group(place) if place else group
        parent.create_array("0", shape=(2, 8, 9), dtype="uint8")
        group.create_group("OME").attrs.put({"series": ["S"]})
    write_attributes(path, PLACES[place], zarr_format)
    write_attributes(path / place, attributes, zarr_format)
    for act in (open_multiscale, open_plate):
        result = outcome(act, path)
        assert isinstance(result, Multiscale | Plate) or len(result.replace(str(path), "")) < 500


@settings(max_examples=150, deadline=None)
@given(
    choice=st.data(),
    zarr_format=st.sampled_from([2, 3]),
    axes=st.sampled_from(["", "zyx", "yxc"]),
)
def test_any_array_metadata_give_an_image_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, choice: st.DataObject, zarr_format: int, axes: str
) -> None:
    path = tmp_path_factory.mktemp("array")
    names = ["z", "height", "x"] if zarr_format == 3 else None
    array = zarr.create_array(
        str(path), shape=(5, 8, 9), dtype="uint8", zarr_format=zarr_format, dimension_names=names
    )
    array.attrs["_ARRAY_DIMENSIONS"] = ["z", "height", "x"]
    documents = [".zarray", ".zattrs"] if zarr_format == 2 else ["zarr.json"]
    document = path / choice.draw(st.sampled_from(documents))
    changed = choice.draw(mutated(json.loads(document.read_text())))
    document.write_text(json.dumps(changed))
    with contextlib.suppress(ImageError):
        assert isinstance(open_multiscale(path, axes=axes), Multiscale)
