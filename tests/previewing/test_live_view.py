"""Laws of an output as a zarr for a viewer: each voxel is at its place, whatever the axes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from support.whole_output import WholeOutput

from bigunet.geometry import Box
from bigunet.options.choices import SliceAxis
from bigunet.previewing.live_scene import described
from bigunet.previewing.live_view import LiveView
from bigunet.previewing.staleness import Staleness
from bigunet.viewing import zarr_view

_ORDERS = [("yx", "z"), ("xyz", "z"), ("zyx", "x"), ("tczyx", "y"), ("czxy", "x"), ("tyx", "z")]


def view_of(whole: WholeOutput, channel: int = 0) -> LiveView:
    computed: Any = whole
    image = described(whole.output)
    return LiveView(image, (channel,), computed=computed, staleness=Staleness())


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_view, "_PLANE", 3)
    monkeypatch.setattr(zarr_view, "_CUBE", 2)


@pytest.mark.parametrize(("order", "slice_axis"), _ORDERS)
def test_a_reader_of_zarr_sees_the_voxels_along_the_axes_that_are_named(
    order: str, slice_axis: SliceAxis, tmp_path: Path
) -> None:
    whole = WholeOutput(order, slice_axis=slice_axis, smallest=3)
    view = view_of(whole, channel=2 if "c" in order else 0)
    assert len(whole.levels) >= 2
    (multiscale,) = json.loads(view.get("zarr.json") or b"")["attributes"]["ome"]["multiscales"]
    names = [axis["name"] for axis in multiscale["axes"]]
    canonical = whole.output.canonical_names
    for level, values in enumerate(whole.levels):
        array = _as_array(view, level, tmp_path)
        expected = values[2] if "c" in order else values
        turned = expected.transpose([canonical.index(name) for name in names])
        np.testing.assert_array_equal(array, turned)
        scale = multiscale["datasets"][level]["coordinateTransformations"][0]["scale"]
        placed = dict(zip(canonical, whole.output.placement(level)[0]))
        assert scale == [placed[name] for name in names]


def _as_array(view: LiveView, level: int, folder: Path) -> np.ndarray:
    """A level as zarr reads it, with each chunk in a file."""
    metadata = view.get(f"{level}/zarr.json")
    assert metadata is not None
    (folder / str(level)).mkdir()
    (folder / f"{level}/zarr.json").write_bytes(metadata)
    described = json.loads(metadata)
    chunk = described["chunk_grid"]["configuration"]["chunk_shape"]
    cells = (range(-(-n // c)) for n, c in zip(described["shape"], chunk))
    for cell in itertools.product(*cells):
        key = f"{level}/c/{'/'.join(map(str, cell))}"
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(view.get(key) or b"")
    return np.asarray(zarr.open_array(folder / str(level), mode="r")[...])


@given(st.sampled_from(_ORDERS), st.data())
def test_a_chunk_asks_for_the_voxels_that_it_holds(
    order: tuple[str, SliceAxis], data: st.DataObject
) -> None:
    whole = WholeOutput(order[0], slice_axis=order[1], smallest=3)
    view = view_of(whole)
    level = data.draw(st.integers(0, len(whole.levels) - 1))
    shape, chunk = whole.output.layout.levels[level].shape, view.chunk_shape(level)
    cell = [data.draw(st.integers(0, n - 1)) for n in shape]
    cell = [k // c for k, c in zip(cell, chunk)]
    key = f"{level}/c/{'/'.join(map(str, cell))}"
    wishes = view.ask(key)
    if level not in whole.working_levels:
        assert wishes == whole.asked == []
        return
    start = tuple(k * c for k, c in zip(cell, chunk))
    stop = tuple(min(a + c, n) for a, c, n in zip(start, chunk, shape))
    assert whole.asked == [(level, Box(start, stop))]
    content = np.frombuffer(view.get(key) or b"", np.uint16).reshape(chunk)
    inside = content[tuple(slice(b - a) for a, b in zip(start, stop))]
    values = whole.read(level, Box(start, stop))
    np.testing.assert_array_equal(inside, values[0] if "c" in order[0] else values)


def test_a_page_is_stale_if_it_has_a_chunk_from_before_a_block() -> None:
    whole = WholeOutput("yx")
    view = view_of(whole)
    view.staleness.change()
    assert not view.staleness.renew(), "nothing was served"
    view.get("0/c/0/0")
    view.staleness.change()
    assert not view.staleness.renew(), "what was served is final"
    whole.final = False
    view.get("0/c/0/0")
    assert not view.staleness.renew(), "nothing has changed"
    view.staleness.change()
    assert view.staleness.renew()
    view.staleness.change()
    assert not view.staleness.renew(), "the page has read nothing since"
