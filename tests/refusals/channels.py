"""Refusals of channels."""

from refusals.case import Case
from refusals.things import image, model, noise


def _two_for(*names: str) -> None:
    image("cells.zarr", noise(len(names), 60, 50), axes="cyx", channels=names)
    model("pair.safetensors", channels=2)
    model()


CASES = (
    Case(
        "Three channels without names, and no `--channel`",
        command="segment cells.zarr out.zarr",
        make=lambda: image("cells.zarr", noise(3, 60, 50), axes="cyx"),
        says=r"reads 1 channel\(s\).*--channel: 0, 1, 2 \(without names\)",
        why="The first channel may be any stain.",
        instead="Look at the image, and give `--channel 2`.",
    ),
    Case(
        "Channels with names that the model does not know",
        command="segment cells.zarr out.zarr",
        make=lambda: _two_for("DAPI", "GFP"),
        says="0 'DAPI', 1 'GFP'",
        why="Models call a stain by other names than microscopes do.",
        instead="Give `--channel DAPI`.",
    ),
    Case(
        "A colour image for a model of one channel",
        command="segment slide.zarr out.zarr",
        make=lambda: image(
            "slide.zarr", noise(3, 60, 50), axes="cyx", channels=("red", "green", "blue")
        ),
        says="is an RGB image.*--channel",
        why="The bundled models know fluorescence, not stained tissue.",
        instead="Choose a colour with `--channel red`, or train a model on colours.",
    ),
    Case(
        "A number that is the index of one channel and the name of another",
        command="segment cells.zarr out.zarr --channel 1",
        make=lambda: _two_for("1", "0"),
        says="--channel index:1 or --channel name:1",
        why="The number may mean either channel.",
        instead="Give `--channel index:1` or `--channel name:1`.",
    ),
    Case(
        "A channel that the image does not have",
        command="segment cells.zarr out.zarr --channel RFP",
        make=lambda: _two_for("DAPI", "GFP"),
        says="'RFP'.*0 'DAPI', 1 'GFP'",
        why="The line lists the channels that the image has.",
        instead="Choose one of them.",
    ),
    Case(
        "A name that several channels have",
        command="segment cells.zarr out.zarr --channel DAPI",
        make=lambda: _two_for("DAPI", "DAPI"),
        says="are all named",
        why="The name may mean any of them.",
        instead="Give the index, `--channel index:0`.",
    ),
    Case(
        "A model of two channels, and one channel in the image",
        command="segment cells.zarr out.zarr --model pair.safetensors",
        make=lambda: _two_for("DAPI"),
        says=r"reads 2 channel\(s\)",
        why="The network reads two channels, and the image has one.",
        instead="Choose another model.",
    ),
)
