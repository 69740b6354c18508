"""Refusals of the command line itself."""

from refusals.case import Case
from refusals.things import array, image, noise

_SEGMENT = "segment cells.zarr out.zarr"


def _image() -> None:
    image("cells.zarr", noise(60, 50))


CASES = (
    Case(
        "A command that does not exist",
        command="segmnet cells.zarr out.zarr",
        code=2,
        says="No such command 'segmnet'",
        why="Exit code 2 says that the command line is wrong.",
        instead="`bigunet --help` lists the commands.",
    ),
    Case(
        "Three paths",
        command="segment 1.zarr 2.zarr 3.zarr",
        code=2,
        says="3 paths are too many for IN and OUT; give --into FOLDER",
        why="There is one IN and one OUT.",
        instead="`--into FOLDER` segments several images.",
    ),
    Case(
        "`--resume` and `--overwrite`",
        command=f"{_SEGMENT} --resume --overwrite",
        says="give one of them",
        why="One keeps the existing output, and the other removes it.",
        instead="Give one of them.",
    ),
    Case(
        "A preview with `--resume` and no OUT",
        command="preview cells.zarr --resume",
        says="there is nothing to go on with or to overwrite without an OUT: give one",
        why="Without OUT, a preview keeps its labels until its end only.",
        instead="Give OUT, or leave `--resume` out.",
    ),
    Case(
        "A preview of probabilities alone",
        command="preview cells.zarr --output probabilities",
        make=_image,
        says="a preview shows the classes: give --output classes, too",
        why="The page shows where the classes are.",
        instead="Give both outputs, here and to `segment`.",
    ),
    Case(
        "A region that is no range",
        command=f"{_SEGMENT} --roi x=5",
        says="'x=5' is not AXIS=START:STOP, like x=1000:3000 or x=10um:250um",
        why="A region has a start and a stop.",
        instead="Give both.",
    ),
    Case(
        "A region with one unit",
        command=f"{_SEGMENT} --roi x=10:250um",
        says="10 has no unit and the other end has one",
        why="10 may be voxels, or micrometres.",
        instead="Give both ends with a unit, or both in voxels.",
    ),
    Case(
        "A region in micrometres of an image without sizes of voxels",
        command=f"{_SEGMENT} --roi x=10um:250um",
        make=lambda: array("cells.zarr", noise(60, 50), ("y", "x")),
        says="does not state the size of its voxels along x; give voxels, such as x=0:512",
        why="It is not known how many voxels these are.",
        instead="Give voxels.",
    ),
    Case(
        "A memory limit without a unit",
        command=f"{_SEGMENT} --memory-limit 8",
        says="'8' has no unit: give it, such as 8GB",
        why="8 may be bytes, or gigabytes.",
        instead="Give the unit.",
    ),
    Case(
        "Parts of several images",
        command="segment cells.zarr --into out --part 1/2",
        make=_image,
        says="--into have no parts",
        why="Parts share one output.",
        instead="Give some of the images to each process.",
    ),
)
