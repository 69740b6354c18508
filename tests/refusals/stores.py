"""Refusals of stores and files."""

import io
import os
from pathlib import Path

import numpy as np
import tifffile
import zarr
from PIL import Image
from refusals.case import Case
from refusals.things import array, damaged, file, image, model, noise, plate


def _picture(name: str) -> None:
    Image.fromarray(noise(8, 8)).save(name)


def _slide(name: str) -> None:
    made = io.BytesIO()
    tifffile.imwrite(made, noise(8, 8))
    file(name, made.getvalue())


def _several() -> None:
    with tifffile.TiffWriter("cells.tif", ome=True) as made:
        made.write(noise(60, 50))
        made.write(noise(30, 20))


def _three_pages() -> None:
    voxels = noise(3, 60, 50)
    tifffile.imwrite("cells.tif", voxels, photometric="minisblack", metadata=None)


def _cut_off() -> None:
    made = io.BytesIO()
    tifffile.imwrite(made, noise(60, 50), compression="zlib", metadata=None)
    file("cells.tif", made.getvalue()[:1000])


def _slides() -> None:
    Path("slides").mkdir()
    for k in range(3):
        _slide(f"slides/{k}.tif")


def _series() -> None:
    root = zarr.open_group("run.zarr", mode="w")
    for k in range(2):
        root.create_group(f"series/{k}").attrs["ome"] = {"version": "0.5", "multiscales": [{}]}


def _pipe() -> None:
    Path("cells.zarr").mkdir()
    os.mkfifo("cells.zarr/zarr.json")


def _incomplete() -> None:
    image("cells.zarr", noise(60, 50))
    Path("cells.zarr/0/.zarray").unlink()


def _torn() -> None:
    image("cells.zarr", noise(60, 50))
    file("cells.zarr/.zattrs", '{"multiscales": [')


_CONVERT = "bigunet does not read it; convert it with the program that the line names."

CASES = (
    Case(
        "Labels that shall go into a TIFF",
        command="segment cells.tif",
        make=lambda: tifffile.imwrite("cells.tif", noise(60, 50)),
        says="is not a local folder to write labels into; give an OUT",
        why="A TIFF has no place for labels of its own.",
        instead="Give an OUT, such as `out.zarr`.",
    ),
    Case(
        "A file with several images",
        command="info cells.tif",
        make=_several,
        says=r"cells.tif holds 2 images; give one of them, such as '.*cells.tif#0': #0 .*, #1 ",
        why="The images may differ in every respect.",
        instead="Give one of them: `cells.tif#1`.",
    ),
    Case(
        "A TIFF with two to four pages, and no word about what they are",
        command="info cells.tif",
        make=_three_pages,
        says="3 pages are: give --axes cyx if channels, --axes zyx if planes of a stack",
        why="They may be channels, or planes of a stack.",
        instead="Say so with `--axes`.",
    ),
    Case(
        "A file that is cut off",
        command="info cells.tif",
        make=_cut_off,
        says="cells.tif is cut off: it has 1000 bytes, and lists voxels up to byte .*copy it again",
        why="The copy ended too early.",
        instead="Copy it again.",
    ),
    Case(
        "A file of a microscope that bigunet does not read (Imaris, VSI, OIB)",
        command="info stack.ims",
        make=lambda: file("stack.ims", b"\x89HDF\r\n\x1a\n" + bytes(32)),
        says="an Imaris file.*bioformats2raw",
        why="Each maker has its own format.",
        instead=_CONVERT,
    ),
    Case(
        "An N5",
        command="info cells.n5",
        make=lambda: file("cells.n5/attributes.json", '{"n5": "2.0.0"}'),
        says="is an N5, not a zarr",
        why="Its axes are in another order than those of zarr.",
        instead=_CONVERT,
    ),
    Case(
        "A folder of TIFF files without `--into`",
        command="segment slides out.zarr",
        make=_slides,
        says="holds images.*--into FOLDER",
        why="It is unclear whether they are planes of one image, or separate images.",
        instead="Make one TIFF of planes; or segment each with `--into FOLDER`.",
    ),
    Case(
        "A web page that was saved in the place of an image",
        command="info cells.zarr",
        make=lambda: file("cells.zarr", "<!DOCTYPE html><html>"),
        says="a web page.*login",
        why="The download asked for a login, and nobody answered.",
        instead="Log in, and load it again.",
    ),
    Case(
        "A group that contains images, and is not an image itself",
        command="segment run.zarr out.zarr",
        make=_series,
        says="give one of the images inside: .*series/0",
        why="The images may differ in every respect.",
        instead="Give one of them, or all of them with `--into FOLDER`.",
    ),
    Case(
        "A folder of images without `--into`",
        command="segment images out.zarr",
        make=lambda: [image(f"images/{k}.zarr", noise(9, 9)) for k in range(2)],
        says="holds images.*--into FOLDER",
        why="One output holds one image.",
        instead="`bigunet segment images --into FOLDER` segments each.",
    ),
    Case(
        "A name that does not exist",
        command="segment cels.zarr out.zarr",
        says="cels.zarr does not exist",
        why="There is no such file or folder here.",
        instead="Look at the spelling, and at the folder that you are in.",
    ),
    Case(
        "An image with a level that is missing",
        command="segment cells.zarr out.zarr",
        make=_incomplete,
        says="array '0' .*is missing",
        why="The copy is incomplete.",
        instead="Copy it again.",
    ),
    Case(
        "A chunk that is cut short",
        command="segment scan.zarr out.zarr",
        make=lambda: damaged("scan.zarr", b""),
        says="a blosc chunk is cut short.*copy it again",
        why="A decoder would make wrong voxels of the rest.",
        instead="Copy the image again.",
    ),
    Case(
        "A named pipe where metadata should be",
        command="info cells.zarr",
        make=_pipe,
        says="cells.zarr",
        why="Reading it would wait for ever.",
        instead="Look at where the folder comes from.",
    ),
    Case(
        "A plate with an OUT",
        command="segment plate.zarr out.zarr",
        make=lambda: plate("plate.zarr", "A1", A1=["0"]),
        says="give one of its fields.*give no OUT",
        why="A plate holds many images.",
        instead="Leave out OUT: every field gets its own labels.",
    ),
    Case(
        "A preview of a plate",
        command="preview plate.zarr",
        make=lambda: plate("plate.zarr", "A1", A1=["0"]),
        says="is a plate: a preview shows one field, such as",
        why="A page shows one image.",
        instead="Give the path of a field.",
    ),
    Case(
        "A well that the plate does not have",
        command="segment plate.zarr --wells A1,C*",
        make=lambda: plate("plate.zarr", "A1", "B1", A1=["0"], B1=["0"]),
        says=r"wells 'C\*' matches no well with a stored field.*it has A/1, B/1",
        why="A well that is left out by mistake would not be noticed.",
        instead="Give names or patterns of wells that are listed.",
    ),
    Case(
        "A plate with a table `instances` of another program",
        command="segment plate.zarr --model mine.safetensors --object-class 1",
        make=lambda: (
            plate("plate.zarr", "A1", A1=["0"]),
            file("plate.zarr/tables/instances/table.csv", "precious"),
            model(),
        ),
        says="tables/instances was not made by bigunet.*rename it, or give --no-table",
        why="bigunet replaces no table that it did not make.",
        instead="Rename the table.",
    ),
    Case(
        "Fields of what is no plate",
        command="segment cells.zarr out.zarr --fields 0",
        make=lambda: image("cells.zarr"),
        says="--fields is for a plate without OUT",
        why="One image has no fields.",
        instead="Leave out `--fields`, or give the plate.",
    ),
    Case(
        "A plate without stored fields",
        command="segment plate.zarr",
        make=lambda: plate("plate.zarr", "A1", "B1"),
        says="no stored field to segment: it lists 2 wells",
        why="The metadata were copied, and the images were not.",
        instead="Copy the images.",
    ),
    Case(
        "A plate that lists more fields than it stores",
        command="info plate.zarr",
        make=lambda: plate("plate.zarr", "A1", "B1", A1=["0", "1"]),
        code=0,
        says="1 well and 1 field that are not stored: B/1, A/1/1",
        why="Many plates are stored in part, and missing fields would not be noticed.",
        instead="Nothing, if you know it; otherwise copy the missing ones.",
    ),
    Case(
        "A mask of another shape than any level",
        command="segment cells.zarr out.zarr --mask mask.zarr",
        make=lambda: (
            image("cells.zarr", noise(60, 50)),
            array("mask.zarr", np.ones((4, 60, 50), np.uint8), "zyx"),
        ),
        says="mask.zarr",
        why="The mask has other axes, so its position in the image is unknown.",
        instead="Give a mask with the same axes, at any resolution.",
    ),
)
