"""Laws of levels: the largest is level 0, whatever the order in which they are listed."""

from pathlib import Path
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale

SHAPES = [(1, 40, 30), (1, 20, 15), (1, 20, 15), (1, 5, 4)]
AXES = ["c", "y", "x"]


def write(path: Path, shapes: dict[str, tuple[int, ...]], axes: list[str] = AXES) -> Path:
    """Write an image that lists these arrays in this order, each with the scale in its path."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    datasets: list[dict[str, Any]] = []
    for name, shape in shapes.items():
        group.create_array(name, shape=shape, chunks=shape, dtype="uint8")
        scale = {"type": "scale", "scale": [1.0] + [float(f"{int(name) + 1}.5")] * (len(axes) - 1)}
        datasets.append({"path": name, "coordinateTransformations": [scale]})
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


@settings(deadline=None)
@given(st.permutations(range(len(SHAPES))))
def test_levels_are_sorted_by_size_with_their_scales(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "i", {str(k): SHAPES[k] for k in order})
    image = open_multiscale(path)
    assert [level.shape for level in image.levels] == SHAPES
    for level in image.levels:
        assert level.scale == (1.0, int(level.path) + 1.5, int(level.path) + 1.5)
        assert level.shape == SHAPES[int(level.path)]
    # Levels of the same size keep the order of the list.
    assert [level.path for level in image.levels[1:3]] == [str(k) for k in order if k in (1, 2)]
    assert bool(image.notes) == ([level.path for level in image.levels] != list(map(str, order)))


def test_a_note_names_levels_that_were_sorted(tmp_path: Path) -> None:
    image = open_multiscale(write(tmp_path / "i", {"1": SHAPES[1], "0": SHAPES[0]}))
    assert image.notes == (
        f"{tmp_path / 'i'} lists its levels as 1, 0; by size, level 0 first, they are 0, 1",
    )


@pytest.mark.parametrize(
    ("shapes", "line"),
    [
        ([(1, 40, 30), (1, 50, 10)], r"'0' \(1, 40, 30\) and '1' \(1, 50, 10\) neither is"),
        ([(1, 40, 30), (1, 30, 40)], "neither is the larger on every axis"),
        ([(3, 40, 30), (1, 20, 15)], "differ in channels"),
    ],
)
def test_levels_of_different_images_are_refused_by_name(
    tmp_path: Path, shapes: list[tuple[int, ...]], line: str
) -> None:
    path = write(tmp_path / "i", {str(k): shape for k, shape in enumerate(shapes)})
    with pytest.raises(ImageError, match=line):
        open_multiscale(path)


def test_a_level_without_scale_gets_that_of_the_largest_level_in_any_order(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "i", {"1": SHAPES[1], "0": SHAPES[0]})
    group = zarr.open_group(str(path), mode="a")
    (entry,) = group.attrs.asdict()["multiscales"]
    assert isinstance(entry, dict)
    del entry["datasets"][0]["coordinateTransformations"]
    group.attrs["multiscales"] = [entry]
    assert [level.scale for level in open_multiscale(path).levels] == [(1, 1.5, 1.5), (1, 3, 3)]


@pytest.mark.parametrize(("unit", "is_noted"), [("micrometer", True), (None, False)])
def test_a_note_says_that_sizes_with_units_are_not_stated(
    tmp_path: Path, unit: str | None, is_noted: bool
) -> None:
    path = write(tmp_path / "i", {"0": SHAPES[0], "1": SHAPES[1]})
    group = zarr.open_group(str(path), mode="a")
    (entry,) = group.attrs.asdict()["multiscales"]
    assert isinstance(entry, dict)
    for dataset in entry["datasets"]:
        del dataset["coordinateTransformations"]
    space = [{"name": name, "type": "space"} | ({"unit": unit} if unit else {}) for name in "yx"]
    entry["axes"] = [{"name": "c", "type": "channel"}, *space]
    group.attrs["multiscales"] = [entry]
    note = f"{path} states no scale: its voxels are taken as 1 micrometer long"
    assert open_multiscale(path).notes == ((note,) if is_noted else ())
    entry["coordinateTransformations"] = [{"type": "scale", "scale": [1, 2, 2]}]
    group.attrs["multiscales"] = [entry]
    assert open_multiscale(path).notes == ()
