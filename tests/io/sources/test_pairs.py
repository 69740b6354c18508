"""Laws of pairs: each image gets its own labels, and an error names labels that do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bigunet.errors import BigUNetError, ImageError, LabelsError, OptionError
from bigunet.geometry import Box
from bigunet.io.sources.pair_checks import check_pair
from bigunet.io.sources.pairs import Pair, find_pairs, natural_order, open_pair

GREY = np.random.default_rng(0).integers(0, 256, (24, 20), np.uint8)
CELLS = np.kron(np.arange(20).reshape(4, 5), np.ones((6, 4))).astype(np.uint16)


def write_ome(
    path: Path, levels: list[np.ndarray], *, names: str = "yx", scale: float = 0.5, unit: str = ""
) -> Path:
    """Levels that halve along y and x; a voxel is twice as long along x as along y."""
    group = zarr.open_group(str(path), mode="w")
    datasets = []
    for k, voxels in enumerate(levels):
        group.create_array(str(k), shape=voxels.shape, dtype=voxels.dtype)[...] = voxels
        steps = [scale * 2**k * {"y": 1, "x": 2}[n] if n in "yx" else 1.0 for n in names]
        transformations = [{"type": "scale", "scale": steps}]
        datasets.append({"path": str(k), "coordinateTransformations": transformations})
    axes: list[dict[str, Any]] = [{"name": name} for name in names]
    for axis in axes:
        if axis["name"] in "zyx" and unit:
            axis["unit"] = unit
    multiscale = {"axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    return path


def write_folder(folder: Path, names: list[str], voxels: np.ndarray = GREY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        if name.endswith(".zarr"):
            write_ome(path, [voxels])
        elif name.endswith(".png"):
            Image.fromarray(voxels).save(path)
        else:
            tifffile.imwrite(path, voxels)
    return folder


def names_of(pairs: list[Pair], folder: Path) -> list[tuple[str, str]]:
    relative = [(Path(p.image), Path(p.labels)) for p in pairs]
    return [(str(a.relative_to(folder)), str(b.relative_to(folder))) for a, b in relative]


@pytest.mark.parametrize("image", ["a.png", "a.tif", "a.ome.zarr"])
@pytest.mark.parametrize("labels", ["b.png", "b.tif", "b.zarr"])
def test_an_image_and_its_labels_are_a_pair(tmp_path: Path, image: str, labels: str) -> None:
    write_folder(tmp_path, [image])
    write_folder(tmp_path, [labels], CELLS)
    (pair,) = find_pairs(tmp_path / image, tmp_path / labels)
    assert pair == Pair(str(tmp_path / image), str(tmp_path / labels))
    opened = open_pair(pair)
    for source, voxels in zip(opened, (GREY, CELLS)):
        np.testing.assert_array_equal(source.read(Box((0, 0), (24, 20)))[0], voxels)


def test_folders_are_paired_by_stem_in_natural_order(tmp_path: Path) -> None:
    images = ["10.tif", "2.png", "1.ome.tif", "b.zarr", "a.ome.zarr"]
    write_folder(tmp_path / "images", images)
    labels = ["10.png", "2.tif", "1.png", "b.tif", "a.zarr"]
    write_folder(tmp_path / "labels", labels, CELLS)
    for folder in ("images", "labels"):
        (tmp_path / folder / "notes.txt").write_text("not an image")
        (tmp_path / folder / "._1.png").write_text("what some systems leave")
        (tmp_path / folder / "more").mkdir()
    pairs = names_of(find_pairs(tmp_path / "images", tmp_path / "labels"), tmp_path)
    assert pairs == [
        ("images/1.ome.tif", "labels/1.png"),
        ("images/2.png", "labels/2.tif"),
        ("images/10.tif", "labels/10.png"),
        ("images/a.ome.zarr", "labels/a.zarr"),
        ("images/b.zarr", "labels/b.tif"),
    ]


@given(st.lists(st.integers(0, 10**30), unique=True), st.text("²x_", max_size=3))
def test_natural_order_of_numbered_names_is_that_of_the_numbers(
    numbers: list[int], before: str
) -> None:
    names = [f"{before}{n}.png" for n in numbers]
    assert natural_order(names) == [f"{before}{n}.png" for n in sorted(numbers)]


def test_labels_inside_images_are_given_by_name(tmp_path: Path) -> None:
    for name in ("a.zarr", "b.ome.zarr"):
        write_ome(tmp_path / "images" / name, [GREY])
        write_ome(tmp_path / "images" / name / "labels" / "nuclei", [CELLS])
    inside = "labels/nuclei"
    assert names_of(find_pairs(tmp_path / "images" / "a.zarr", inside), tmp_path) == [
        ("images/a.zarr", f"images/a.zarr/{inside}")
    ]
    pairs = find_pairs(tmp_path / "images", inside)
    assert names_of(pairs, tmp_path) == [
        ("images/a.zarr", f"images/a.zarr/{inside}"),
        ("images/b.ome.zarr", f"images/b.ome.zarr/{inside}"),
    ]
    assert open_pair(pairs[1])[1].dtype == np.uint16


def test_a_table_names_pairs_relative_to_itself_in_its_order(tmp_path: Path) -> None:
    write_folder(tmp_path / "sub", ["2.png", "1.png"])
    write_folder(tmp_path / "other", ["x.tif"], CELLS)
    write_ome(tmp_path / "a.zarr", [GREY])
    write_ome(tmp_path / "a.zarr" / "labels" / "0", [CELLS])
    table = tmp_path / "table.csv"
    rows = [
        "Image, note, LABELS",
        "sub/2.png, good, other/x.tif",
        "",
        f"{tmp_path}/sub/1.png,,other/x.tif",
    ]
    table.write_text("\n".join([*rows, "a.zarr,,labels/0"]), encoding="utf-8-sig")
    expected = [
        ("sub/2.png", "other/x.tif"),
        ("sub/1.png", "other/x.tif"),
        ("a.zarr", "a.zarr/labels/0"),
    ]
    for labels in (None, "-", ""):
        assert names_of(find_pairs(table, labels), tmp_path) == expected


@dataclass(frozen=True)
class Refusal:
    """Files that a test writes, the paths that it gives, and a part of the message."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    ask: tuple[str, str | None]
    message: str


REFUSALS = {
    "no labels": Refusal(
        ("1.png", "2.png", "3.png", "4.png", "5.png"),
        ("1.png",),
        ("images", "labels"),
        r"4 of 5 have no labels of the same name in .*labels: 2.png, 3.png, 4.png, \.\.\.$",
    ),
    "no image": Refusal(
        ("1.png",),
        ("1.png", "2.tif"),
        ("images", "labels"),
        "1 of 2 have no image .*images: 2.tif$",
    ),
    "one name": Refusal(
        ("1.png", "1.tif"), ("1.png",), ("images", "labels"), "1.png and .*1.tif are of one name"
    ),
    "empty": Refusal((), ("1.png",), ("images", "labels"), "images holds no image: no OME-Zarr"),
    "itself": Refusal(("1.png",), (), ("images", "images"), "is given as images and as labels"),
    "folder of one": Refusal(
        ("1.png",), ("1.png",), ("images/1.png", "labels"), "1.png is one image, .*labels a folder"
    ),
    "one of folder": Refusal(
        ("1.png",), ("1.png",), ("images", "labels/1.png"), "images is a folder, .*1.png one image"
    ),
    "zarr of folder": Refusal(
        ("1.png",), ("a.zarr",), ("images", "labels/a.zarr"), "is a folder, .*a.zarr one image"
    ),
    "no place": Refusal((), (), ("nowhere", "labels"), "nowhere does not exist; give an image"),
    "no labels at all": Refusal(("1.png",), (), ("images", None), "is no CSV table; give labels"),
    "image of another kind": Refusal(
        ("1.ims",), ("1.png",), ("images/1.ims", "labels/1.png"), "1.ims is of no kind that is read"
    ),
    "labels of another kind": Refusal(
        ("1.png",), ("1.ims",), ("images/1.png", "labels/1.ims"), "1.ims is of no kind that is read"
    ),
    "folder of another kind": Refusal(
        ("1.ims",), ("1.png",), ("images", "labels"), "images holds no image: no OME-Zarr"
    ),
    "missing file": Refusal(
        ("1.png",), (), ("images/1.png", "labels/1.png"), "1.png has no labels .*labels/1.png:"
    ),
    "no such inner name": Refusal(
        ("a.zarr", "b.png"), (), ("images", "labels/x"), "2 of 2 images in .* have no .*labels/x"
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_paired_is_named_in_one_line(tmp_path: Path, case: Refusal) -> None:
    write_folder(tmp_path / "images", list(case.images))
    write_folder(tmp_path / "labels", list(case.labels), CELLS)
    if not case.labels:
        (tmp_path / "labels").rmdir()
    images, labels = case.ask
    with pytest.raises(ImageError, match=case.message) as caught:
        find_pairs(tmp_path / images, None if labels is None else tmp_path / labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "table.csv has the columns a, b; give image and labels"),
        ("image;labels\n1;2\n", "has the columns image;labels; give image and labels"),
        ("", "has the columns ; give"),
        ("image,labels\n", "table.csv lists no image"),
        ("image,labels\n1.png\n", "line 2: image is '1.png' and labels are ''; give both"),
        ("image,labels\n1.png,1.tif\n9.png,1.tif\n", "line 3: .*9.png is missing"),
        ("image,labels\n1.png,9.tif\n", "line 2: .*1.png has no labels 9.tif"),
        (b"image,labels\n\xff\xfe.png,1.tif\n", "cannot read .*table.csv"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    write_folder(tmp_path, ["1.png"])
    write_folder(tmp_path, ["1.tif"], CELLS)
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "table.csv").write_bytes(raw)
    with pytest.raises(LabelsError, match=message):
        find_pairs(tmp_path / "table.csv")
    with pytest.raises(LabelsError, match="names labels itself; leave out labels"):
        find_pairs(tmp_path / "table.csv", "labels")


STACK = np.stack([CELLS] * 5)

MISFITS = {
    "shape": (GREY, CELLS[1:], r"have shape \(23, 20\), the image \(24, 20\)"),
    "transposed": (GREY, CELLS.T, "have shape .*; one of them has its axes in another order"),
    "axes": (GREY, STACK, "have the axes z, y, x, the image y, x"),
    "grey as colours": (
        GREY,
        np.stack([CELLS.astype(np.uint8)] * 3, axis=-1),
        "have 3 channels that are all equal; give one integer per voxel",
    ),
    "colours": (
        GREY,
        np.random.default_rng(0).integers(0, 9, (24, 20, 3), np.uint8),
        "have 3 channels; give one integer per voxel: of colours, a number for each",
    ),
}


@pytest.mark.parametrize(("image", "labels", "message"), MISFITS.values(), ids=MISFITS)
def test_labels_that_do_not_fit_are_named_with_their_values(
    tmp_path: Path, image: np.ndarray, labels: np.ndarray, message: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", image)
    tifffile.imwrite(tmp_path / "b.tif", labels)
    names = r"b\.tif, labels of .*a\.tif, "
    with pytest.raises(LabelsError, match=names + message) as caught:
        open_pair(Pair(str(tmp_path / "a.tif"), str(tmp_path / "b.tif")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int64", "uint64", "float16", "float32", "float64"]
)
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, dtype: str) -> None:
    write_folder(tmp_path, ["a.zarr"])
    write_folder(tmp_path, ["b.zarr"], CELLS.astype(dtype))
    _, labels = open_pair(Pair(str(tmp_path / "a.zarr"), str(tmp_path / "b.zarr")))
    assert labels.dtype.kind in "biu"
    np.testing.assert_array_equal(labels.read(Box((0, 0), (24, 20)))[0], CELLS.astype(dtype))


def changed(dtype: str, value: float) -> np.ndarray:
    labels = CELLS.astype(dtype)
    labels[5, 7] = value
    return labels


NO_LABELS = {
    "half": (changed("f4", 0.5), (), "holds 0.5 at y 5, x 7; labels are whole numbers from 0 on"),
    "not a number": (changed("f8", np.nan), (), "holds nan at y 5, x 7; .*: replace it"),
    "negative": (changed("i4", -1), (), "holds -1 at y 5, x 7; .*: give --ignore -1 if nobody"),
    "another one": (changed("i4", -2), (-1,), "holds -2 at y 5, x 7; .*: give --ignore -2"),
    "negative float": (changed("f4", -1), (), r"holds -1\.0 at y 5, x 7; .*: give --ignore -1"),
}


@pytest.mark.parametrize(("labels", "ignore", "message"), NO_LABELS.values(), ids=NO_LABELS)
def test_values_that_are_no_labels_are_named_with_their_place(
    tmp_path: Path, labels: np.ndarray, ignore: tuple[int, ...], message: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    tifffile.imwrite(tmp_path / "b.tif", labels)
    pair = Pair(str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))
    with pytest.raises(LabelsError, match=rf"b\.tif {message}") as caught:
        open_pair(pair, ignore=ignore)
    assert "swapped" not in str(caught.value)
    tifffile.imwrite(tmp_path / "a.tif", GREY // 100)
    if labels.dtype.kind == "f":
        with pytest.raises(LabelsError, match="IMAGES and LABELS look swapped"):
            open_pair(pair, ignore=ignore)


def test_labels_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "b.jpg")
    with pytest.raises(LabelsError, match="are a JPEG, which changes values; give a PNG"):
        open_pair(Pair(str(tmp_path / "a.png"), str(tmp_path / "b.jpg")))


@pytest.mark.parametrize(
    ("scale", "unit", "fits"),
    [
        (0.5, "micrometer", True),
        (0.5049, "micrometer", True),  # 1 % is rounding
        (500.0, "nanometer", True),
        (0.5, "", True),  # nobody knows
        (0.52, "micrometer", False),
        (1.0, "micrometer", False),
    ],
)
def test_voxels_of_another_size_are_refused_where_both_are_known(
    tmp_path: Path, scale: float, unit: str, fits: bool
) -> None:
    image = write_ome(tmp_path / "a.zarr", [GREY], scale=0.5, unit="micrometer")
    labels = write_ome(tmp_path / "b.zarr", [CELLS], scale=scale, unit=unit)
    pair = Pair(str(image), str(labels))
    if fits:
        open_pair(pair)
    else:
        with pytest.raises(
            LabelsError, match=r"have voxels of \(.*\) µm, the image \(0\.5, 1\.0\)"
        ):
            open_pair(pair)


def test_the_size_along_a_guessed_axis_is_not_compared_with_time(tmp_path: Path) -> None:
    stack = np.stack([GREY] * 5)
    image = write_ome(tmp_path / "a.zarr", [stack], names="tyx", unit="micrometer")
    labels = write_ome(tmp_path / "b.zarr", [STACK], names="zyx", unit="micrometer")
    open_pair(Pair(str(image), str(labels)))


def test_labels_are_taken_from_the_level_that_has_the_shape_of_the_image(tmp_path: Path) -> None:
    image = write_ome(tmp_path / "a.zarr", [GREY, GREY[::2, ::2], GREY[::4, ::4]])
    both = write_ome(tmp_path / "both.zarr", [CELLS, CELLS[::2, ::2]])
    coarse = write_ome(tmp_path / "coarse.zarr", [CELLS[::2, ::2], CELLS[::4, ::4]])
    box = Box((0, 0), (12, 10))
    for labels in (both, coarse):
        _, opened = open_pair(Pair(str(image), str(labels)), level=1)
        np.testing.assert_array_equal(opened.read(box)[0], CELLS[::2, ::2])
    with pytest.raises(LabelsError, match=r"have shape \(12, 10\), the image \(6, 5\)"):
        open_pair(Pair(str(image), str(both)), level=2)
    with pytest.raises(OptionError, match="has no level 3"):
        open_pair(Pair(str(image), str(both)), level=3)


def test_channels_are_those_of_the_image_alone(tmp_path: Path) -> None:
    image = write_ome(tmp_path / "a.zarr", [np.stack([GREY, 255 - GREY])], names="cyx")
    labels = write_ome(tmp_path / "b.zarr", [CELLS])
    pair = Pair(str(image), str(labels))
    assert open_pair(pair)[0].num_channels == 2
    opened, truth = open_pair(pair, channels=[1])
    assert (opened.num_channels, truth.num_channels) == (1, 1)
    np.testing.assert_array_equal(opened.read(Box((0, 0), (24, 20)))[0], 255 - GREY)


def test_a_negative_label_anywhere_in_a_large_image_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigunet.io.sources.pair_checks._BOX_VOXELS", 64)
    labels = CELLS.astype(np.int16)
    labels[23, 19] = -7
    write_folder(tmp_path, ["a.tif"])
    write_folder(tmp_path, ["b.tif"], labels)
    with pytest.raises(BigUNetError, match="holds -7 at y 23, x 19"):
        open_pair(Pair(str(tmp_path / "a.tif"), str(tmp_path / "b.tif")))


def test_checking_a_fitting_pair_says_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a.tif"])
    write_folder(tmp_path, ["b.tif"], CELLS)
    check_pair(*open_pair(Pair(str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))))
