"""Refusals and warnings about training images, labels and truths."""

import numpy as np
import tifffile
from refusals.case import Case
from refusals.things import array, image, model, noise, pairs

from bigunet import Recipe, TrainOptions
from bigunet.training.data.training_set import open_training_set

_TRAIN = "train images labels --out cells.safetensors"
_NOT_TRAINED = Recipe(patch=24)


def _changed(dtype: str, value: float) -> None:
    def change(k: int, grey: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = labels.astype(dtype)
        labels[5, 7] = value
        return grey, labels

    pairs(change)


def _all_changed(value: int) -> None:
    pairs(lambda k, grey, labels: (grey, np.where(labels > 9, value, labels > 4).astype("u1")))


def _one_more_image() -> None:
    pairs()
    tifffile.imwrite("images/9.tif", noise(60, 50))


def _truth(prediction: np.ndarray, truth: np.ndarray) -> None:
    tifffile.imwrite("prediction.tif", prediction)
    tifffile.imwrite("truth.tif", truth)


def _doubts(**options: object) -> tuple[str, ...]:
    """The warnings of a training before its first step, without the training."""
    chosen = TrainOptions(width=2, depth=1, loaders=0, **options)  # type: ignore[arg-type]
    training_set = open_training_set("images", "labels", chosen, _NOT_TRAINED)
    return tuple(f"Warning: {doubt}" for doubt in training_set.doubts)


def _labelled(name: str, *shape: int) -> None:
    image("image.zarr", noise(60, 50))
    array(name, np.ones(shape, np.uint8), "yx")


CASES = (
    Case(
        "A table of labels that belong to another image",
        command="measure image.zarr cells.zarr --table cells.csv",
        make=lambda: _labelled("cells.zarr", 50, 60),
        says=r"the shape \(50, 60\); the image .* no level that fits",
        why="Grey values of other places would be in the table.",
        instead="Give the image of these labels; one of its levels must have their shape.",
    ),
    Case(
        "A table without a place",
        command="measure image.zarr cells.zarr",
        make=lambda: _labelled("cells.zarr", 60, 50),
        says="are not in labels/ of an image; give --table",
        why="Only labels inside an OME-Zarr have a place for a table beside them.",
        instead="`--table cells.csv` or `--table cells.parquet`.",
    ),
    Case(
        "An image without labels",
        command=_TRAIN,
        make=_one_more_image,
        says="1 of 4 have no labels of the same name in labels: 9.tif",
        why="Images and labels belong together by name.",
        instead="Add the labels, take the image away, or give a CSV table.",
    ),
    Case(
        "Labels of another shape",
        command=_TRAIN,
        make=lambda: pairs(lambda k, grey, labels: (grey, labels[k:])),
        says=r"labels/1.tif.* have shape \(59, 50\), the image \(60, 50\)",
        why="A voxel gets the label at the same position.",
        instead="Look at how the labels were made.",
    ),
    Case(
        "IMAGES and LABELS in the wrong order",
        command="train labels images --out cells.safetensors",
        make=lambda: pairs(lambda k, grey, labels: (grey.astype("u2"), 255 * (labels > 0))),
        says="IMAGES and LABELS are swapped",
        why="The images hold two values, the labels hundreds.",
        instead="Give the images first.",
    ),
    Case(
        "255 for voxels that nobody annotated, in labels that are classes",
        command=f"{_TRAIN} --target classes",
        make=lambda: _all_changed(255),
        says="label 255 .*--ignore 255",
        why="It would be learned as a class.",
        instead="`--ignore 255` leaves these voxels out of loss and scores.",
    ),
    Case(
        "65535 for voxels that nobody annotated, among numbers of objects",
        command=_TRAIN,
        make=lambda: _changed("u2", 65535),
        says="label 65535 is far above the numbers.*--ignore 65535",
        why="It would be learned as an object.",
        instead="`--ignore 65535` leaves these voxels out of loss and scores.",
    ),
    Case(
        "Labels that are no whole numbers",
        command=_TRAIN,
        make=lambda: _changed("f4", 0.5),
        says="holds 0.5 at y 5, x 7; labels are whole numbers",
        why="Resampling with interpolation makes such values, and wrong whole numbers, too.",
        instead="Resample labels by the nearest neighbour.",
    ),
    Case(
        "Negative labels",
        command=_TRAIN,
        make=lambda: _changed("i4", -1),
        says="holds -1 at y 5, x 7.*--ignore -1",
        why="Labels are numbers from 0 on; many programs write -1 for unknown.",
        instead="`--ignore -1`, if nobody annotated these voxels.",
    ),
    Case(
        "Labels in a JPEG",
        command=_TRAIN,
        make=lambda: pairs(suffix=".jpg"),
        says="are a JPEG, which changes values; give a PNG",
        why="JPEG blurs values, so new labels appear along every border.",
        instead="Save labels as PNG or TIFF.",
    ),
    Case(
        "Hundreds of label values with `--target classes`",
        command=f"{_TRAIN} --target classes",
        make=lambda: pairs(lambda k, g, labels: (g, np.arange(3000, dtype="u2").reshape(60, 50))),
        says="over 32 values.*--target cells",
        why="These are numbers of objects.",
        instead="`--target cells` learns background, cell and border.",
    ),
    Case(
        "`--from` a model of another network than the options say",
        command=f"{_TRAIN} --from mine.safetensors --width 64",
        make=lambda: (pairs(), model()),
        says="--width is 64, but 2 in the model mine.safetensors",
        why="The network is that of the model.",
        instead="Leave out the option, or `--from`.",
    ),
    Case(
        "A value to ignore that no label holds",
        command=f"{_TRAIN} --ignore 99",
        make=lambda: pairs(),
        lines=lambda: _doubts(ignore=(99,)),
        code=0,
        says="no label holds 99, which --ignore leaves out",
        why="The value is likely misspelt.",
        instead="Look at the values of the labels.",
    ),
    Case(
        "A truth of another shape than the prediction",
        command="evaluate prediction.tif truth.tif",
        make=lambda: _truth(noise(4, 5), noise(4, 6)),
        says="y 4 × x 5, .* y 4 × x 6 at level 0",
        why="Each voxel is compared with the voxel at the same position.",
        instead="Choose the level of the truth with `--level`.",
    ),
    Case(
        "Numbers of objects that are compared as classes",
        command="evaluate prediction.tif truth.tif",
        make=lambda: _truth(*[np.arange(2000, dtype="u2").reshape(40, 50)] * 2),
        says="2000 different values",
        why="Object 7 of one image is not object 7 of another.",
        instead="`--kind instances` compares objects.",
    ),
)
