"""Refusals of ``view``."""

import numpy as np
from refusals.case import Case
from refusals.things import array, image, noise, plate


def _other_shape() -> None:
    image("cells.zarr", noise(60, 50))
    array("labels.zarr", np.zeros((60, 40), np.uint8), ["y", "x"])


CASES = (
    Case(
        "A plate to look at",
        command="view plate.zarr --no-browser",
        make=lambda: plate("plate.zarr", "A1", A1=["0"]),
        says="give one, such as --field A/1/0",
        why="The page shows one image.",
        instead="Name a field with `--field`, or give its path.",
    ),
    Case(
        "Labels of another shape over an image",
        command="view cells.zarr --labels labels.zarr --no-browser",
        make=_other_shape,
        says="does not state where it lies",
        why="An array has no place in space, so its shape must say which voxels it labels.",
        instead="Give labels of the shape of the image or of one of its levels, or an OME-Zarr.",
    ),
    Case(
        "A place outside the image",
        command="view cells.zarr --snapshot part.png --position x=900,y=10",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="has 50 voxels along x; give 0 to 49",
        why="The picture would be empty.",
        instead="Give voxels of level 0.",
    ),
    Case(
        "A picture that is no PNG",
        command="view cells.zarr --snapshot part.jpg",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="the picture is a PNG",
        why="A JPEG would change the colours of labels.",
        instead="Name it `.png`.",
    ),
)
