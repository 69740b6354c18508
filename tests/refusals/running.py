"""Refusals of outputs, resuming and workers."""

import os
from pathlib import Path

import zarr
from refusals.case import Case
from refusals.things import absent, file, image, model, noise

import bigunet

_RUN = "segment cells.zarr out.zarr --model mine.safetensors"


def _begun() -> None:
    """An image, a model and a finished output."""
    image("cells.zarr", noise(90, 70))
    model()
    options = bigunet.SegmentOptions(block_shape=(64, 64))
    bigunet.segment("cells.zarr", "out.zarr", model="mine.safetensors", options=options)


def _image_changed() -> None:
    _begun()
    zarr.open_array("cells.zarr/0")[5, 7] = 0


def _ledger_damaged() -> None:
    _begun()
    with Path("out.zarr/bigunet/ledger.jsonl").open("ab") as ledger:
        ledger.write(bytes(40) + b"\n")


def _model_changed() -> None:
    _begun()
    model(channels=1, normalisation=bigunet.Normalisation("fixed", 0, 200))


def _image() -> None:
    image("cells.zarr", noise(90, 70))
    model()


_BIG = 'import bigunet\n\nbigunet.segment("big.zarr", "out.zarr")\n'

CASES = (
    Case(
        "An OUT that exists",
        command=_RUN,
        make=_begun,
        says="out.zarr exists.*--resume.*--overwrite",
        why="It may be the work of a week.",
        instead="`--resume` goes on, `--overwrite` begins anew.",
    ),
    Case(
        "An OUT that bigunet did not write",
        command=f"{_RUN} --overwrite",
        make=lambda: (_image(), file("out.zarr/thesis.tex", "precious")),
        says="out.zarr.*will not be touched",
        why="bigunet removes nothing that it did not make.",
        instead="Choose another name.",
    ),
    Case(
        "An OUT inside of IN",
        command="segment cells.zarr cells.zarr/out --model mine.safetensors",
        make=_image,
        says="overlap",
        why="The image could be lost.",
        instead="Leave out OUT for labels inside the image, or choose another place.",
    ),
    Case(
        "An image with labels `instances` of another program",
        command="segment cells.zarr --model mine.safetensors --object-class 1",
        make=lambda: (_image(), file("cells.zarr/labels/instances/0/0.0", "precious")),
        says="labels/instances was not made by bigunet.*--output classes or an OUT",
        why="bigunet replaces no labels and no tables that it did not make.",
        instead="Rename them, write the classes alone, or give an OUT.",
    ),
    Case(
        "An OUT in an object store",
        command="segment cells.zarr s3://bucket/out.zarr --model mine.safetensors",
        make=_image,
        says="give a local path",
        why="So far, bigunet only reads from object stores.",
        instead="Write to a disk, and copy the output.",
    ),
    Case(
        "`--resume` with other options",
        command=f"{_RUN} --resume --block-shape 32,32",
        make=_begun,
        says=r"cannot resume.*--block-shape was 64,64, is 32,32.*--overwrite",
        why="One part of the output would have the old options, and the rest the new ones.",
        instead="Give the options of the first run, or `--overwrite`.",
    ),
    Case(
        "`--resume` after the image changed",
        command=f"{_RUN} --resume --block-shape 64,64",
        make=_image_changed,
        says="cells.zarr/0.* changed since.*overwrite",
        why="One part of the output would be of the old image, and the rest of the new one.",
        instead="Bring back the image, or `--overwrite`.",
    ),
    Case(
        "`--resume` with another model of the same name",
        command=f"{_RUN} --resume --block-shape 64,64",
        make=_model_changed,
        says="cannot resume.*model",
        why="One part of the output would be of the old model, and the rest of the new one.",
        instead="Bring back the model, or `--overwrite`.",
    ),
    Case(
        "A ledger that is damaged",
        command=f"{_RUN} --resume --block-shape 64,64",
        make=_ledger_damaged,
        says="damaged",
        why="It is the record of the blocks that are done.",
        instead="`--overwrite` begins anew.",
    ),
    Case(
        "A large image from a script without a guard",
        script=_BIG,
        make=lambda: absent("big.zarr", 8000, 4001),
        says=r"line 3 of script.py would run again in each.*if __name__ == \"__main__\":",
        why="Each process that Python starts reads the script again. Images of under 32 million "
        "voxels need no process.",
        instead='Put the call under `if __name__ == "__main__":`.',
    ),
    Case(
        "A Dask configuration with a value of the wrong kind",
        command=f"{_RUN} --cluster local",
        make=lambda: (_image(), os.environ.update(DASK_DISTRIBUTED__WORKER__DAEMON="7")),
        says="in DASK_DISTRIBUTED__WORKER__DAEMON: .*daemon is 7",
        why="Dask would end with a traceback.",
        instead="Correct the file or variable that the line names.",
    ),
    Case(
        "An archive in the place of the output of segment",
        command="segment cells.zarr out.ozx",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="a run writes a folder; give out.zarr, and pack it later with: bigunet convert",
        why="Blocks are written one by one, and an archive is written at once.",
        instead="Give `out.zarr`, and pack it with `bigunet convert out.zarr out.ozx`.",
    ),
    Case(
        "A picture in the place of the output of segment",
        command="segment cells.zarr out.tif",
        make=lambda: image("cells.zarr", noise(60, 50)),
        says="output out.tif: a run writes an OME-Zarr folder.*give out.zarr",
        why="Labels are written block by block, into many files of one folder.",
        instead="Give `out.zarr`; its table and labels are files that other programs read.",
    ),
    Case(
        "Slabs with test-time augmentation",
        command=f"{_RUN} --slab 8 --tta",
        make=lambda: (_image(), model()),
        says="--slab is for bigunet's own U-Nets, without --tta and --blend; leave it out",
        why="A sweep goes through one network, plane after plane.",
        instead="Leave out `--slab`; tiles are then computed at once.",
    ),
)
