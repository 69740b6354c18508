"""Errors name the kind of a file that is no zarr, and say what to do with it."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale

PLANE = np.zeros((8, 8), np.uint8)


def encoded(kind: str) -> bytes:
    made = io.BytesIO()
    if kind in ("PNG", "JPEG", "BMP", "GIF"):
        Image.fromarray(PLANE).save(made, kind)
    elif kind == "npz":
        np.savez(made, a=PLANE)
    elif kind == "npy":
        np.save(made, PLANE)
    else:
        tifffile.imwrite(made, PLANE, bigtiff=kind == "BigTIFF")
    return made.getvalue()


FILES = [
    ("x.zarr", encoded("TIFF"), "a TIFF file", "usual suffix"),
    ("x", encoded("BigTIFF"), "a BigTIFF file", "usual suffix"),
    ("x.svs", encoded("TIFF"), r"an Aperio slide \(SVS\)", "usual suffix"),
    ("x.NDPI", encoded("TIFF"), r"a Hamamatsu slide \(NDPI\)", "usual suffix"),
    ("x.mrxs", encoded("JPEG"), r"a 3DHISTECH slide \(MRXS\)", "usual suffix"),
    ("x.tif", encoded("PNG"), "a PNG picture", "usual suffix"),
    ("x", encoded("JPEG"), "a JPEG picture", "usual suffix"),
    ("x", encoded("BMP"), "a BMP picture", "usual suffix"),
    ("x", b"ZISRAWFILE" + bytes(32), "a Zeiss CZI file", "usual suffix"),
    ("x.czi", b"what is this", "a Zeiss CZI file", "usual suffix"),
    ("x", b"\xda\xce\xbe\x0a" + bytes(32), "a Nikon ND2 file", "usual suffix"),
    ("x", struct.pack("<2IB", 0x70, 9, 0x2A), "a Leica LIF file", "usual suffix"),
    ("x", b"\x89HDF\r\n\x1a\n", "an HDF5 file", "h5py"),
    ("x.ims", b"\x89HDF\r\n\x1a\n", "an Imaris file", "bioformats2raw"),
    ("x", bytes(344) + b"n+1\0" + bytes(9), "a NIfTI file", "ngff-zarr"),
    ("x.nii.gz", gzip.compress(b"x", mtime=0), "a NIfTI file", "ngff-zarr"),
    ("x", bytes(208) + b"MAP " + bytes(99), "an MRC file", "mrcfile"),
    ("x", bytes(128) + b"DICM", "a DICOM file", "bioformats2raw"),
    ("x", encoded("npy"), "a numpy file", "zarr.save_array"),
    ("x.npz", encoded("npz"), "a numpy file of several arrays", "zarr.save_array"),
    ("x.safetensors", b"\x10" + bytes(40), "a model file", "--model"),
    (
        "x.pt",
        b"what is this",
        "a PyTorch file",
        "no image; load it in Python and give bigunet.Model.of_module",
    ),
    ("x.onnx", b"\x08\x07", "an ONNX model", "it is a model, no image; bigunet runs PyTorch"),
    ("x.zarr.tar", bytes(257) + b"ustar" + bytes(9), "a tar archive", "unpack"),
    ("x.zarr", b"<!DOCTYPE html><html>", "a web page", "login"),
    ("zarr.json", b"{}", "a JSON file", "folder"),
    ("x.czi.txt", b"just words", "of an unknown kind", "give an OME-Zarr"),
]


@pytest.mark.parametrize(("name", "content", "kind", "advice"), FILES)
def test_the_error_names_the_kind_of_a_file_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, kind: str, advice: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for given in (path, path / "0"):
        with pytest.raises(ImageError, match=rf"{name} is .*{kind}") as caught:
            open_multiscale(given)
        assert advice in str(caught.value)
        assert len(str(caught.value)) - len(str(path)) <= 180


def test_the_error_for_a_folder_names_its_content(tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    with pytest.raises(ImageError, match="slides is an empty folder"):
        open_multiscale(slides)
    (slides / "notes.txt").write_text("words")
    with pytest.raises(ImageError, match="slides is a folder, but neither a zarr array nor"):
        open_multiscale(slides)
    for number in range(3):
        (slides / f"{number}.tif").write_bytes(encoded("TIFF"))
    with pytest.raises(ImageError, match=r"a folder with a TIFF file \(3 files .*--into"):
        open_multiscale(slides)
    zarr.create_array(slides / "a.zarr", data=PLANE)
    zarr.create_array(slides / "b.zarr", data=PLANE)
    with pytest.raises(
        ImageError, match=r"give one of the 2 zarrs in it: .*/slides/a.zarr, .*/slides/b.zarr"
    ):
        open_multiscale(slides)


def test_the_error_names_an_n5_a_broken_link_and_a_missing_path(tmp_path: Path) -> None:
    (tmp_path / "x.n5").mkdir()
    (tmp_path / "x.n5/attributes.json").write_text('{"n5": "2.0.0"}')
    (tmp_path / "link.zarr").symlink_to(tmp_path / "gone.zarr")
    for name, line in (
        ("x.n5", "is an N5, not a zarr"),
        ("link.zarr", "is a link to .*gone.zarr, which does not exist"),
        ("gone.zarr", "gone.zarr does not exist; see how it is written"),
    ):
        with pytest.raises(ImageError, match=line):
            open_multiscale(tmp_path / name)


def test_a_group_without_an_image_names_the_images_inside_it(tmp_path: Path) -> None:
    root = zarr.open_group(str(tmp_path / "g.zarr"), mode="w", zarr_format=3)
    root.create_array("tables/a", data=PLANE)
    with pytest.raises(ImageError, match=r"one of the arrays inside: .*/g.zarr/tables/a$"):
        open_multiscale(tmp_path / "g.zarr")
    for number in range(5):
        image = root.create_group(f"series/{number}")
        image.attrs["ome"] = {"version": "0.5", "multiscales": [{}]}
        image.create_array("0", data=PLANE)
    with pytest.raises(ImageError, match=r"give one of the images inside: .*/series/0, .*/2$"):
        open_multiscale(tmp_path / "g.zarr")


def test_the_search_in_a_group_with_many_members_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.open_group(str(tmp_path / "g.zarr"), mode="w", zarr_format=3)
    for number in range(400):
        (tmp_path / "g.zarr" / f"{number:03}").mkdir()
    looks = 0

    def counted(url: str, path: str = "") -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr("bigunet.io.images.inside.find_node", counted)
    with pytest.raises(ImageError, match="give an image or array inside it"):
        open_multiscale(tmp_path / "g.zarr")
    assert looks <= 300
