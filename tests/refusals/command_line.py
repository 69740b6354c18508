"""Refusals of the command line itself."""

from refusals.case import Case
from refusals.things import image, noise

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
        "A region that is no range",
        command=f"{_SEGMENT} --roi x=5",
        says="'x=5' is not AXIS=START:STOP, like x=1000:3000",
        why="A region has a start and a stop.",
        instead="Give both.",
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
