"""Laws of the axes of an image: read from names, stated by the user, or refused; never guessed."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.images.axes import axis_letter, checked_letters, named_letters
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.volume import VolumeReader

SIZES = {"t": 2, "c": 3, "z": 5, "y": 8, "x": 9}
WORDS = {
    "t": ["t", "T", "time", "Frame", "timepoint"],
    "c": ["c", "channel", "Channels", "BAND", "rgb", "samples", "colour"],
    "z": ["z", "depth", "Plane", "slice", "sections"],
    "y": ["y", "Height", "row", "ROWS", "lat"],
    "x": ["x", "width", "Column", "cols", "lon"],
}
ORDERS = [
    "".join(order)
    for extra in ("", "t", "c", "z", "tc", "tz", "cz", "tcz")
    for order in itertools.permutations(extra + "yx")
]


def voxels_of(order: str) -> np.ndarray:
    """An array with its axes in this order; the value of a voxel is its position in the whole."""
    whole = np.arange(np.prod(list(SIZES.values())), dtype=np.uint16).reshape(*SIZES.values())
    kept = whole[tuple(slice(None) if a in order else 0 for a in SIZES)]
    present = [a for a in SIZES if a in order]
    return kept.transpose([present.index(a) for a in order])


def read(image: Multiscale) -> np.ndarray:
    """All voxels, with those of the axes (c, t, z, y, x) that the image has."""
    channels = range(image.num_channels)
    return VolumeReader(image, channels=channels).read(Box.of_shape(image.volume_shape()))


def expected(order: str) -> np.ndarray:
    voxels = voxels_of("".join(a for a in "ctzyx" if a in order))
    return voxels if "c" in order else voxels[np.newaxis]


def write(path: Path, voxels: np.ndarray, names: Any = None, *, zarr_format: Any = 3) -> Path:
    array = zarr.create_array(
        str(path),
        shape=voxels.shape,
        dtype=voxels.dtype,
        zarr_format=zarr_format,
        dimension_names=names if zarr_format == 3 else None,
        overwrite=True,
    )
    array[...] = voxels
    if zarr_format == 2 and names is not None:
        array.attrs["_ARRAY_DIMENSIONS"] = names
    return path


@settings(deadline=None)
@given(st.sampled_from(ORDERS), st.sampled_from([2, 3]), st.data())
def test_named_axes_are_read_in_any_order_under_any_of_their_names(
    tmp_path_factory: pytest.TempPathFactory, order: str, zarr_format: int, choice: st.DataObject
) -> None:
    names = [choice.draw(st.sampled_from(WORDS[letter])) for letter in order]
    path = tmp_path_factory.getbasetemp() / f"named{zarr_format}"
    image = open_multiscale(write(path, voxels_of(order), names, zarr_format=zarr_format))
    assert "".join(axis.name for axis in image.axes) == order
    np.testing.assert_array_equal(read(image), expected(order))


@settings(deadline=None)
@given(st.sampled_from(ORDERS))
def test_axes_that_the_user_states_are_read_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: str
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "stated", voxels_of(order))
    image = open_multiscale(path, axes=order.upper())
    np.testing.assert_array_equal(read(image), expected(order))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["foo", "y", "x"], "'foo' is unknown"),
        (["dim_0", "dim_1", "dim_2"], "'dim_0' is unknown"),
        (["z", "y", None], "an axis has no name"),
        (["y", "y", "x"], "which is y, y, x: not y and x"),
        (["row", "height", "x"], "which is y, y, x: not y and x"),
        (["t", "z", "y"], "which is t, z, y: not y and x"),
    ],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names_that_are_no_axes_are_refused_unless_the_user_states_them(
    tmp_path: Path, names: list[Any], message: str, zarr_format: int
) -> None:
    path = write(tmp_path / "a", voxels_of("zyx"), names, zarr_format=zarr_format)
    with pytest.raises(ImageError, match=f"its axes are named .*{message}.*--axes zyx"):
        open_multiscale(path)
    if names[0] != "t":
        np.testing.assert_array_equal(read(open_multiscale(path, axes="zyx")), expected("zyx"))


@pytest.mark.parametrize("kept", ["y x", ["y", "x"], 5, {"0": "y"}])
def test_a_list_of_names_that_is_none_is_refused(tmp_path: Path, kept: Any) -> None:
    path = write(tmp_path / "a", voxels_of("zyx"), kept, zarr_format=2)
    with pytest.raises(ImageError, match=r"_ARRAY_DIMENSIONS is .*, not a name for each of 3 axes"):
        open_multiscale(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((256, 200, 3), "what the last one is, with --axes yxc .* with --axes zyx"),
        ((256, 200, 4), "what the last one is"),
        ((256, 200, 1), "what the last one is"),
        ((5, 256, 200, 3), "with --axes zyxc .* with --axes czyx"),
        ((1, 5, 256, 200, 3), "with --axes tzyxc .* with --axes tczyx"),
        ((3, 256, 200), "what its 3 are, with --axes cyx if channels, with --axes zyx if planes"),
        ((2, 256, 200), "what its 2 are"),
        ((4, 256, 200), "what its 4 are"),
        ((1, 3, 256, 200), "what its 3 are, with --axes tcyx .* with --axes czyx"),
    ],
)
def test_a_short_axis_without_a_name_is_asked_for(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=shape, dtype="uint8")
    with pytest.raises(ImageError, match=message):
        open_multiscale(tmp_path / "a")
    # A mask, or labels to learn from: what they go with shows whether the axes are right.
    usual = {3: "zyx", 4: "czyx", 5: "tczyx"}[len(shape)]
    image = open_multiscale(tmp_path / "a", usual_axes=True)
    assert "".join(axis.name for axis in image.axes) == usual


def test_axes_that_contradict_the_names_are_refused_with_both(tmp_path: Path) -> None:
    path = write(tmp_path / "a", voxels_of("yxc"), ["height", "width", "channel"])
    with pytest.raises(ImageError, match=r"'height', 'width', 'channel', but --axes cyx takes 'he"):
        open_multiscale(path, axes="cyx")
    assert open_multiscale(path, axes="yxc").num_channels == 3


def test_one_clear_name_among_unknown_ones_still_contradicts() -> None:
    with pytest.raises(ImageError, match="takes 'width' for y"):
        named_letters(("foo", "width", "bar"), "zyx", "a")
    assert named_letters(("foo", "bar", "width"), "zyx", "a") == "zyx"


def test_axes_of_another_number_than_the_arrays_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", voxels_of("zyx"))
    with pytest.raises(ImageError, match=r"--axes yx names 2 axes, but .* has 3: \(5, 8, 9\)"):
        open_multiscale(path, axes="yx")


@pytest.mark.parametrize("stated", ["zz", "yxq", "zy", "y x", "yyx", "xyczta"])
def test_letters_that_are_no_axes_are_refused(stated: str) -> None:
    with pytest.raises(OptionError, match="give y and x with any of t, c, z, each once"):
        checked_letters(stated)


def test_no_two_axes_share_a_name() -> None:
    assert [axis_letter(word) for words in WORDS.values() for word in words] == [
        letter for letter, words in WORDS.items() for _ in words
    ]


def write_ome(path: Path, axes: Any, order: str, **names: Any) -> Path:
    """An image of zarr 3 with these axes in its metadata."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    voxels = voxels_of(order)
    group.create_array("0", shape=voxels.shape, dtype=voxels.dtype, **names)[...] = voxels
    entry = {"axes": axes, "datasets": [{"path": "0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    return path


def test_synonyms_in_ome_zarr_are_read(tmp_path: Path) -> None:
    axes = [
        {"name": "Height", "type": "space"},
        {"name": "width", "type": "Space"},
        {"name": "band", "type": "channel"},
    ]
    np.testing.assert_array_equal(
        read(open_multiscale(write_ome(tmp_path / "i", axes, "yxc"))), expected("yxc")
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("z", "channel"), ("depth", "time"), ("z", "colour"), ("t", "space")]
)
def test_a_type_that_contradicts_the_name_is_refused_with_both(
    tmp_path: Path, name: str, kind: str
) -> None:
    axes = [{"name": name, "type": kind}, {"name": "y"}, {"name": "x"}]
    path = write_ome(tmp_path / "i", axes, "zyx")
    with pytest.raises(ImageError, match=rf"axes\[0\] is named '{name}' and has type '{kind}'"):
        open_multiscale(path)


def test_names_of_the_array_that_contradict_the_image_are_refused(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "i", list("cyx"), "yxc", dimension_names=["y", "x", "c"])
    with pytest.raises(
        ImageError, match="dimension_names y, x, c, but the image has the axes c, y"
    ):
        open_multiscale(path)
    # Names that say nothing contradict nothing.
    same = write_ome(tmp_path / "j", list("cyx"), "cyx", dimension_names=["a", "b", "c"])
    assert open_multiscale(same).num_channels == 3


def test_axes_of_an_image_may_be_stated_again_but_not_changed(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "i", list("cyx"), "cyx")
    assert open_multiscale(path, axes="cyx").num_channels == 3
    with pytest.raises(ImageError, match="states the axes cyx, but --axes zyx was given"):
        open_multiscale(path, axes="zyx")


def test_axes_of_an_image_that_states_none_may_be_stated(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "i", None, "yxc")
    with pytest.raises(
        ImageError, match=r"has 3 dimensions .* 5 axes t, c, z, y, x; state .*--axes"
    ):
        open_multiscale(path)
    np.testing.assert_array_equal(read(open_multiscale(path, axes="yxc")), expected("yxc"))
