"""Laws of the pure image description: canonical order, units, channels, levels."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import ImageError, OptionError
from bigunet.io.images.axes import axis_named
from bigunet.io.images.multiscale import Axis, Level, Multiscale

SIZES = {"t": 2, "c": 3, "z": 5, "y": 7, "x": 11}


def describe(axes: str, channel_names: tuple[str, ...] = ("0", "1", "2")) -> Multiscale:
    """An image in which each axis has its own size, scale and translation."""
    shape = tuple(SIZES[a] for a in axes)
    level = Level(
        path="0",
        shape=shape,
        chunks=shape,
        shards=None,
        dtype="uint8",
        scale=tuple(float(n) for n in shape),
        translation=tuple(-float(n) for n in shape),
    )
    named = tuple(axis for axis in (axis_named(a, f"unit of {a}") for a in axes) if axis)
    names = channel_names if "c" in axes else channel_names[:1]
    return Multiscale(
        "/image.zarr", "image", named, (level,), names, False, version="0.4", zarr_format=2
    )


@st.composite
def axis_orders(draw: st.DrawFn) -> str:
    """Any legal set of axes in any order."""
    extra = draw(st.sets(st.sampled_from("tcz")))
    return "".join(draw(st.permutations(sorted(extra | {"y", "x"}))))


@given(axis_orders())
def test_a_volume_has_all_axes_except_the_channel_in_canonical_order(axes: str) -> None:
    image = describe(axes)
    expected = tuple(a for a in "tzyx" if a in axes)
    sizes = tuple(SIZES[a] for a in expected)
    assert image.volume_axes == expected
    assert image.volume_shape(0) == image.volume_chunks(0) == sizes
    assert image.volume_scale(0) == sizes
    assert image.volume_translation(0) == tuple(-n for n in sizes)
    assert "".join(axes[k] for k in image.volume_order) == "".join(expected)


@given(axis_orders())
def test_channels_are_counted_along_the_channel_axis_and_are_one_without(axes: str) -> None:
    image = describe(axes)
    assert image.num_channels == (3 if "c" in axes else 1)
    assert image.channel_axis == (axes.index("c") if "c" in axes else None)


@given(axis_orders())
def test_each_axis_keeps_its_unit_in_any_case_of_its_name(axes: str) -> None:
    image = describe(axes)
    assert all(image.unit(a.upper()) == f"unit of {a}" for a in axes)


def test_a_description_survives_pickling() -> None:
    image = describe("tczyx")
    assert pickle.loads(pickle.dumps(image)) == image


def test_axis_names_are_made_lower_case() -> None:
    assert Axis("Y", "space") == Axis("y", "space", None)


@pytest.mark.parametrize(
    ("channel", "index"),
    [
        ("DAPI", 0),
        (2, 2),
        ("2", 2),
        ("index:1", 1),
        ("name:GFP", 1),
        ("gfp", 1),
    ],
)
def test_a_channel_has_a_name_or_an_index(channel: str | int, index: int) -> None:
    assert describe("cyx", ("DAPI", "GFP", "x")).channel_index(channel) == index


@pytest.mark.parametrize("channel", ["RFP", 3, -1, "-1", "", "²", "index:3", "index:x", "name:0"])
def test_an_unknown_channel_is_refused_with_the_names(channel: str | int) -> None:
    with pytest.raises(OptionError, match=r"no channel .* 0 'DAPI', 1 'GFP', 2 'x'"):
        describe("cyx", ("DAPI", "GFP", "x")).channel_index(channel)


def test_a_name_that_two_channels_share_is_refused() -> None:
    with pytest.raises(OptionError, match=r"channels \[0, 2\] are all named 'A'; give the index"):
        describe("cyx", ("A", "B", "A")).channel_index("A")


@pytest.mark.parametrize("level", [-1, 1])
def test_a_level_out_of_range_is_refused_with_the_valid_ones(level: int) -> None:
    with pytest.raises(OptionError, match=rf"no level {level}; choose one of: 0 \(7, 11\)"):
        describe("yx").volume_shape(level)


def test_an_unknown_axis_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match="no axis 'z'; its axes are y, x"):
        describe("yx").unit("z")


@pytest.mark.parametrize(
    ("axes", "match"),
    [
        ("zy", "are not y and x"),
        ("yyx", "each once"),
        ("", "are not y and x"),
    ],
)
def test_axes_that_repeat_or_lack_the_plane_are_refused(axes: str, match: str) -> None:
    with pytest.raises(ImageError, match=match):
        describe(axes)


def test_an_image_without_levels_is_refused() -> None:
    axes = describe("yx").axes
    with pytest.raises(ImageError, match="no levels"):
        Multiscale("/a", "a", axes, (), ("0",), False, version="0.4", zarr_format=2)


def test_a_level_with_other_dimensions_than_the_axes_is_refused() -> None:
    image = describe("zyx")
    with pytest.raises(ImageError, match=r"2 axes \['y', 'x'\], but array '0' has 3 dimensions"):
        Multiscale(
            "/a",
            "a",
            describe("yx").axes,
            image.levels,
            ("0",),
            False,
            version="0.4",
            zarr_format=2,
        )
