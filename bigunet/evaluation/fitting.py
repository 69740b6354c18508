"""Whether a prediction fits its truth and the options; only metadata are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.errors import ImageError
from bigunet.evaluation.class_names import Classes, example, listed
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.sources.source import ImageSource


def check_truth(truth: ImageSource) -> None:
    """Refuse a truth that cannot hold labels.

    Raises
    ------
    ImageError
        If it has several channels, or its voxels are no real numbers.
    """
    if truth.num_channels != 1:
        raise ImageError(
            f"the truth {truth.url} has {truth.num_channels} channels; give labels, one per voxel"
        )
    if truth.dtype.kind not in "biuf":
        raise ImageError(f"the truth {truth.url} is {truth.dtype}; give whole numbers")


def level_like(image: ImageDescription, truth: ImageSource, level: int) -> int:
    """The level of an image that has the shape of the truth.

    Axes of one voxel do not count, except y and x. If several levels have the shape, ``level`` is
    preferred.

    Raises
    ------
    ImageError
        If no level has the shape.
    """
    shape = _plain_shape(truth.axes, truth.shape)
    shapes = [
        _plain_shape(image.volume_axes, image.volume_shape(k)) for k in range(len(image.levels))
    ]
    alike = [k for k, other in enumerate(shapes) if other == shape]
    if not alike:
        sizes = " or ".join(map(_shown, shapes))
        raise ImageError(
            f"the prediction {image.url} is {sizes}, the truth {truth.url} {_shown(shape)} at "
            f"level {level}; give images of the same shape"
        )
    return level if level in alike else alike[0]


def _plain_shape(axes: Sequence[str], shape: Sequence[int]) -> dict[str, int]:
    return {axis: n for axis, n in zip(axes, shape) if n > 1 or axis in ("y", "x")}


def _shown(shape: dict[str, int]) -> str:
    return " × ".join(f"{axis} {n}" for axis, n in shape.items())


def check_prediction(prediction: ImageSource, options: EvaluateOptions) -> None:
    """Refuse a prediction whose channels or dtype do not fit the options.

    Raises
    ------
    ImageError
        If the options do not say what several channels, or floating-point voxels, stand for.
    """
    what = f"the prediction {prediction.url} has {prediction.num_channels} channels"
    if options.threshold is not None:
        if prediction.num_channels > 1:
            raise ImageError(f"{what}; say which one the threshold is of")
        return
    if prediction.num_channels > 1:
        if options.kind == "instances" and options.object_class is None:
            raise ImageError(
                f"{what}, which are probabilities; say which class is objects, or give a channel "
                "and a threshold"
            )
    elif prediction.dtype.kind not in "biu":
        raise ImageError(
            f"the prediction {prediction.url} is {prediction.dtype}; give whole numbers, or a "
            "threshold for probabilities"
        )


def check_is_no_probability(image: ImageDescription, prediction: ImageSource) -> None:
    """Refuse a single channel of the probabilities that `segment` writes, if read as labels.

    Raises
    ------
    ImageError
        If the prediction is such a channel.
    """
    if prediction.num_channels == 1 < image.num_channels and image.name == "probabilities":
        raise ImageError(
            f"a channel of {prediction.url} is the probability of a class; give --threshold, such "
            "as 0.5, or leave the channel out to take the most probable class"
        )


def check_objects_are_named(
    prediction: ImageSource, classes: Classes, options: EvaluateOptions
) -> None:
    """Refuse an image of classes in place of numbered objects.

    Raises
    ------
    ImageError
        If the prediction names its classes, and the options do not say which one is objects.
    """
    if classes and options.object_class is None:
        raise ImageError(
            f"the prediction {prediction.url} is of the classes {listed(classes)}, not of numbered "
            f"objects; say which class is objects, such as --object-class {example(classes)}"
        )
