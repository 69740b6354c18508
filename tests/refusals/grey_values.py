"""Refusals and warnings about grey values and voxel sizes."""

import numpy as np
import zarr
from refusals.case import Case
from refusals.things import absent, array, image, model, noise

from bigunet import Normalisation


def _with_nan() -> None:
    voxels = noise(60, 50, dtype="float32")
    voxels[5, 7] = np.nan
    array("scan.zarr", voxels, "yx")
    model()


def _with_absent_nan() -> None:
    absent("scan.zarr", 60, 50, dtype="float32", fill_value=np.nan, chunks=(32, 32))
    zarr.open_array("scan.zarr")[:32, :32] = noise(32, 32)
    model()


def _flat() -> None:
    array("empty.zarr", np.full((64, 64), 7, np.uint8), "yx")
    model(normalisation=Normalisation("percentile", 1, 99.8))


def _few_bright() -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (256, 256)).astype(np.uint16)
    voxels[50:70, 50:70] = 5000
    array("spots.zarr", voxels, "yx")
    model(normalisation=Normalisation("percentile", 1, 99.8))


def _bright_field() -> None:
    voxels = np.random.default_rng(0).normal(200, 3, (128, 128)).astype(np.uint8)
    voxels[30:90, 30:90] = np.linspace(40, 120, 60)
    array("bright.zarr", voxels, "yx")
    usual = Normalisation("percentile", 1, 99.8)
    model("dark.safetensors", grey_median=(0.0, 0.2), normalisation=usual)


def _stained() -> None:
    voxels = np.random.default_rng(0).normal(200, 3, (3, 128, 128)).astype(np.uint8)
    voxels[:, 30:90, 30:90] = np.linspace(40, 120, 60)
    image("stained.zarr", voxels, axes="cyx", channels=("red", "green", "blue"))
    usual = Normalisation("percentile", 1, 99.8)
    model("dark.safetensors", grey_median=(0.0, 0.2), normalisation=usual)


def _smaller_voxels() -> None:
    image("cells.zarr", noise(128, 128), noise(64, 64), um=0.25)
    model(voxel_size_um=(0.5, 0.5))


CASES = (
    Case(
        "NaN or infinity in the image",
        command="segment scan.zarr out.zarr --model mine.safetensors",
        make=_with_nan,
        says="nan at y=5, x=7.*--nonfinite",
        why="One such voxel makes all scores within a halo meaningless.",
        instead="`--nonfinite background` makes these voxels label 0; or mend the image.",
    ),
    Case(
        "NaN in chunks that are not stored",
        command="segment scan.zarr out.zarr --model mine.safetensors",
        make=_with_absent_nan,
        says="not stored.*--skip-empty",
        why="The fill value of the array is NaN.",
        instead="`--skip-empty` makes these chunks label 0.",
    ),
    Case(
        "A grey range of an image with other channels",
        command="segment cells.zarr out.zarr --model mine.safetensors --grey-range-of series.zarr",
        make=lambda: (
            image("cells.zarr", noise(60, 50)),
            image("series.zarr", noise(3, 60, 50), axes="cyx"),
            model(),
        ),
        says="unclear which of them to measure",
        why="Each channel has its own range.",
        instead="Give the numbers with `--grey-range`.",
    ),
    Case(
        "`--level auto` for a model without a voxel size",
        command="segment cells.zarr out.zarr --level auto --model mine.safetensors",
        make=lambda: (image("cells.zarr", noise(60, 50), um=0.5), model()),
        says="the model states none; give --level",
        why="Without both sizes no level is nearest.",
        instead="Give the number of the level.",
    ),
    Case(
        "An image of one grey value",
        command="segment empty.zarr out.zarr --model mine.safetensors --quiet",
        make=_flat,
        code=0,
        says="almost nothing but the grey value 7.*--grey-range",
        why="Percentiles of a constant have no width.",
        instead="Give `--grey-range`, or another channel.",
    ),
    Case(
        "A grey range far from the voxels",
        command="segment deep.zarr out.zarr --model mine.safetensors --grey-range 0:255 --quiet",
        make=lambda: (array("deep.zarr", 256 * noise(64, 64, dtype="uint16"), "yx"), model()),
        code=0,
        says="0 to 255 .* is far from the voxels",
        why="The range is that of 8 bits, and the image has 16.",
        instead="Give a range in which the voxels lie.",
    ),
    Case(
        "A few bright voxels on an empty ground",
        command="segment spots.zarr out.zarr --model mine.safetensors --quiet",
        make=_few_bright,
        code=0,
        says="98 % of the voxels of channel 0 lie in the lowest 5%",
        why="The bright ones may be objects, or dust beside faint objects.",
        instead="Look at the image; if objects are missing, give `--grey-range`.",
    ),
    Case(
        "Dark objects on a bright ground, for a model of bright objects",
        command="segment bright.zarr out.zarr --model dark.safetensors --quiet",
        make=_bright_field,
        code=0,
        says="is brighter than the images that model 'dark' was trained on",
        why="The network looks for bright objects.",
        instead="Exchange bright and dark with `--grey-range HIGH:LOW`.",
    ),
    Case(
        "One colour of a stained section, for a model of fluorescence",
        command="segment stained.zarr out.zarr --channel red --model dark.safetensors",
        make=_stained,
        says="of the RGB image is bright where model 'dark' expects dark ground",
        why="Labels and a table would look right, and be wrong.",
        instead="Take a model for this stain. If dark objects look like those of the model, "
        "exchange bright and dark with `--grey-range HIGH:LOW`.",
    ),
    Case(
        "Voxels of half the size that the model knows",
        command="segment cells.zarr out.zarr --model mine.safetensors --quiet",
        make=_smaller_voxels,
        code=0,
        says="level 1 fits; give --level 1, or --level auto",
        why="Objects are twice as large as those of the training.",
        instead="Give the level that the line names, or `--level auto`.",
    ),
)
