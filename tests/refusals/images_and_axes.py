"""Refusals of images and their axes."""

import zarr
from refusals.case import Case
from refusals.things import array, image, noise


def _script(*lines: str) -> str:
    return "\n".join(["import numpy as np", "", "import bigunet", "", *lines, ""])


def _labels() -> None:
    image("labels.zarr", noise(60, 50))
    zarr.open_group("labels.zarr").attrs["image-label"] = {"version": "0.4"}


def _named_systems(levels: str = "scale", outer: str = "") -> None:
    """An image of OME-Zarr 0.6 with two coordinate systems, by these types of transformations."""
    values = {"scale": [0.5, 0.5], "rotation": [[0, -1], [1, 0]]}
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    group = zarr.open_group("cells.zarr", mode="w", zarr_format=3)
    group.create_array("0", data=noise(60, 50))
    level = {"type": levels, levels: values[levels], "input": {"path": "0"}}
    other = {"type": outer, "input": {"name": "image"}, "output": {"name": "stage"}}
    multiscale = {
        "coordinateSystems": [{"name": "image", "axes": axes}, {"name": "stage", "axes": axes}],
        "datasets": [
            {"path": "0", "coordinateTransformations": [level | {"output": {"name": "image"}}]}
        ],
    }
    links = {"coordinateTransformations": [other | {outer: values[outer]}]} if outer else {}
    group.attrs["ome"] = {"version": "0.6", "multiscales": [multiscale | links]}


CASES = (
    Case(
        "Labels in the place of the image, such as an output of bigunet",
        command="segment labels.zarr out.zarr",
        make=_labels,
        says="labels.zarr holds labels, .* give the image that the labels belong to",
        why="Numbers of classes are no grey values; a network would give labels that mean nothing.",
        instead="Give the image.",
    ),
    Case(
        "A bare array (60, 50, 3): colours in its last axis, and no names of axes",
        command="segment slide.zarr out.zarr",
        make=lambda: array("slide.zarr", noise(60, 50, 3)),
        says=r"slide.zarr has shape \(60, 50, 3\) .* --axes yxc",
        why="Three voxels may be three colours, or an image that is three voxels wide.",
        instead="State the axes with `--axes yxc`, and choose a channel.",
    ),
    Case(
        "A bare array (3, 60, 50) without names of axes",
        command="segment stack.zarr out.zarr",
        make=lambda: array("stack.zarr", noise(3, 60, 50)),
        says="what its 3 are, with --axes cyx if channels, with --axes zyx if planes",
        why="Channels are read one at a time, planes one after the other.",
        instead="State the axes with `--axes cyx` or `--axes zyx`.",
    ),
    Case(
        "An array without an output, in Python",
        script=_script("bigunet.segment(np.zeros((60, 50)))"),
        says="give the path of an output, or use bigunet.predict, which returns arrays",
        why="`segment` writes files. An image on the disk can hold its labels, an array cannot.",
        instead="Give an output, such as `out.zarr`, or use `bigunet.predict`.",
    ),
    Case(
        'An array and `existing="resume"`, in Python',
        script=_script('bigunet.segment(np.zeros((60, 50)), "out.zarr", existing="resume")'),
        says='existing="resume" needs an image that stays: write the array as a zarr',
        why="`--resume` compares the image with that of the first run, and the array is gone.",
        instead="Write the array as a zarr, and give its path.",
    ),
    Case(
        "An array (3, 60, 50) without names of axes, in Python",
        script=_script("bigunet.predict(np.zeros((3, 60, 50)))"),
        says='say what its 3 are, with axes="cyx" if channels, with axes="zyx" if planes',
        why="Channels are read one at a time, planes one after the other.",
        instead="State the axes with `axes`, or give an xarray with names.",
    ),
    Case(
        "A masked array, in Python",
        script=_script(
            "image = np.ma.masked_less(np.arange(60).reshape(6, 10), 7)", "bigunet.predict(image)"
        ),
        says="the array is masked: give array.filled",
        why="The values under a mask are no grey values; a network would see them.",
        instead="Fill them, and leave them out with `mask`.",
    ),
    Case(
        "The size of a voxel that the coordinates of an xarray contradict, in Python",
        script=_script(
            "import xarray as xr",
            "",
            'x = ("x", np.arange(50) * 0.5, {"units": "um"})',
            'image = xr.DataArray(np.zeros((60, 50)), dims=("y", "x"), coords={"x": x})',
            "bigunet.predict(image, voxel_size_um=0.4)",
        ),
        says="0.4 along x, but the coordinates of the array have steps of 0.5",
        why="One of the two is wrong.",
        instead="Leave out `voxel_size_um`, or correct the coordinates.",
    ),
    Case(
        "An array with names of axes that nobody knows",
        command="segment scan.zarr out.zarr",
        make=lambda: array("scan.zarr", noise(60, 50), ["foo", "bar"]),
        says="'foo' is unknown.*--axes",
        why="A guess could turn the image, or take planes for channels.",
        instead="State the axes; names such as `height`, `row`, `depth` and `channel` are known.",
    ),
    Case(
        "`--axes` that contradicts the names in the array",
        command="segment slide.zarr out.zarr --axes cyx",
        make=lambda: array("slide.zarr", noise(60, 50, 3), ["height", "width", "channel"]),
        says="'height', 'width', 'channel', but --axes cyx",
        why="One of the two is wrong.",
        instead="Leave out `--axes`, or correct it.",
    ),
    Case(
        "`--axes` with a letter that is no axis",
        command="segment slide.zarr out.zarr --axes yxq",
        make=lambda: array("slide.zarr", noise(60, 50, 3)),
        says="'yxq'.*t, c, z",
        why="Known axes are t, c, z, y, x.",
        instead="Use these letters, each once.",
    ),
    Case(
        "An axis named z with the type of channels",
        command="info cells.zarr",
        make=lambda: image(
            "cells.zarr",
            noise(3, 60, 50),
            axes="zyx",
            metadata={"axes": [{"name": "z", "type": "channel"}, {"name": "y"}, {"name": "x"}]},
        ),
        says=r"axes\[0\] is named 'z' and has type 'channel'",
        why="It is unclear whether these are planes or channels.",
        instead="Correct the metadata of the image.",
    ),
    Case(
        "Levels that do not belong to one image",
        command="info cells.zarr",
        make=lambda: image("cells.zarr", noise(40, 30), noise(50, 10)),
        says="neither is the larger on every axis",
        why="In a pyramid, each level is smaller than the level before it.",
        instead="Correct the list of datasets.",
    ),
    Case(
        "Metadata of a billion channels, or 20,000 levels",
        command="info bomb.zarr",
        make=lambda: image(
            "bomb.zarr", noise(9, 9), metadata={"datasets": [{"path": "0"}] * 20_000}
        ),
        says="20000 levels; .*at most 100",
        why="Metadata that list too much would fill the memory.",
        instead="Correct the metadata; look at where the file comes from.",
    ),
    Case(
        "A level that the image does not have",
        command="segment cells.zarr out.zarr --level 1",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says=r"no level 1.*0 \(60, 50\)",
        why="The line lists the levels with their shapes.",
        instead="Choose one of them.",
    ),
    Case(
        "A 2D image for a 3D model",
        command="segment cells.zarr out.zarr --model em-boundaries",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="is 3D.*choose a 2D model",
        why="The network needs planes above and below.",
        instead="Choose a model with the axes of the image.",
    ),
    Case(
        "Planes across x of a 2D image",
        command="segment cells.zarr out.zarr --slice-axis x",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="--slice-axis x.*has no axis z; leave out --slice-axis",
        why="A 2D image has no planes but itself.",
        instead="Leave out the option, or give a volume.",
    ),
    Case(
        "Planes across y of a volume of one plane",
        command="segment cells.zarr out.zarr --slice-axis y",
        make=lambda: image("cells.zarr", noise(1, 60, 50), axes="zyx"),
        says="--slice-axis y.*has one plane along z; leave out --slice-axis",
        why="Its planes across y are one voxel high: this is a 2D image.",
        instead="Leave out the option, or give a volume.",
    ),
    Case(
        "Planes across x for a 3D model",
        command="segment stack.zarr out.zarr --model em-boundaries --slice-axis x",
        make=lambda: image("stack.zarr", noise(20, 60, 50), axes="zyx"),
        says="--slice-axis x.*is 3D and sees no planes.*choose a 2D model",
        why="A 3D network sees the whole volume at once.",
        instead="Leave out the option, or choose a 2D model.",
    ),
    Case(
        "Levels that are listed from small to large",
        command="info cells.zarr",
        make=lambda: image(
            "cells.zarr",
            noise(40, 30),
            noise(20, 15),
            metadata={"datasets": [{"path": "1"}, {"path": "0"}]},
        ),
        code=0,
        says="lists its levels as 1, 0",
        why="Some programs list them so; level 0 is always the largest.",
        instead="Nothing; or correct the metadata.",
    ),
    Case(
        "An image of OME-Zarr 0.6 that is turned within its coordinate system",
        command="info cells.zarr",
        make=lambda: _named_systems("rotation"),
        says="has type 'rotation'; from a level to its coordinate system, bigunet reads scale",
        why="Voxels that are turned have no size along y and x.",
        instead="Resample the image, or map its levels to a system by scales and translations.",
    ),
    Case(
        "An image of OME-Zarr 0.6 with a second coordinate system, such as that of the stage",
        command="info cells.zarr --json",
        make=lambda: _named_systems(outer="rotation"),
        says="are those of the coordinate system 'image', .* not those of 'stage' .rotation.",
        why="Both systems have sizes and places, and an output has those of one.",
        instead="Nothing, if the system is right: it is the one to which the levels map.",
        code=0,
    ),
)
