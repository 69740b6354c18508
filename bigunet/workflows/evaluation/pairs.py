"""Reading a prediction and its truth: two arrays of equal shape per image and time point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.multiscale import Multiscale
from bigunet.io.pairs import Pair
from bigunet.io.sources import ImageSource, describe_image
from bigunet.workflows.evaluation.options import EvaluateOptions


@dataclass(frozen=True, slots=True)
class Compared:
    """A prediction and its truth, (y, x) or (z, y, x), whole in memory.

    Parameters
    ----------
    found : ndarray of int, or of bool where there was a threshold
    truth : ndarray of int
    certainty : ndarray of float32 or None
        How far each probability is from the threshold.
    """

    found: np.ndarray
    truth: np.ndarray
    certainty: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A prediction and its truth, checked to fit, of which nothing is read yet.

    Parameters
    ----------
    prediction, truth : ImageSource
    """

    prediction: ImageSource
    truth: ImageSource

    @classmethod
    def of(cls, pair: Pair, options: EvaluateOptions) -> OpenPair:
        """Open a prediction (the pair's image) and its truth (its labels).

        Raises
        ------
        ImageError
            If the shapes differ, or the values are not of the kind that the options name.
        BigUNetError
            If one cannot be opened, or has no such level or channel.
        """
        known = describe_image(pair.labels)
        truth = ImageSource(known, level=options.level, channels=range(known.num_channels))
        _check_truth(truth)
        described = describe_image(pair.image)
        level = _level_like(described, truth, options.level)
        chosen = (
            range(described.num_channels)
            if options.channel is None
            else [described.channel_index(options.channel)]
        )
        prediction = ImageSource(described, level=level, channels=tuple(chosen))
        _check_prediction(prediction, options)
        return cls(prediction, truth)

    def read(self, options: EvaluateOptions) -> Iterator[Compared]:
        """Each time point, whole.

        Raises
        ------
        ImageError
            If labels are negative, or probabilities no numbers.
        """
        times = list(zip(_time_points(self.prediction), _time_points(self.truth)))
        for box, true_box in times:
            truth = _plain(self.truth.read(true_box)[0], self.truth)
            voxels = self.prediction.read(box)
            if options.threshold is not None:
                share = _share(_squeezed(voxels[0]), self.prediction)
                certainty = np.abs(share - options.threshold).astype(np.float32)
                yield Compared(share > options.threshold, truth, certainty)
            elif len(voxels) > 1:
                yield Compared(_squeezed(voxels.argmax(axis=0)), truth)
            else:
                yield Compared(_plain(voxels[0], self.prediction), truth)


def _check_truth(truth: ImageSource) -> None:
    if truth.num_channels != 1:
        raise ImageError(
            f"the truth {truth.url} has {truth.num_channels} channels; give labels, one per voxel"
        )
    if truth.dtype.kind not in "biu":
        raise ImageError(f"the truth {truth.url} is {truth.dtype}; give whole numbers")


def _level_like(image: Multiscale, truth: ImageSource, level: int) -> int:
    """The level of the truth's shape; axes of one voxel, but for y and x, do not count."""
    shape = _plain_shape(truth.axes, truth.shape)
    shapes = [
        _plain_shape(image.volume_axes, image.volume_shape(k)) for k in range(len(image.levels))
    ]
    alike = [k for k, other in enumerate(shapes) if other == shape]
    if not alike:
        listed = " or ".join(map(_told, shapes))
        raise ImageError(
            f"the prediction {image.url} is {listed}, the truth {truth.url} {_told(shape)} at "
            f"level {level}; give images of the same shape"
        )
    return level if level in alike else alike[0]


def _plain_shape(axes: Sequence[str], shape: Sequence[int]) -> dict[str, int]:
    return {axis: n for axis, n in zip(axes, shape) if n > 1 or axis in ("y", "x")}


def _told(shape: dict[str, int]) -> str:
    return " × ".join(f"{axis} {n}" for axis, n in shape.items())


def _check_prediction(prediction: ImageSource, options: EvaluateOptions) -> None:
    what = f"the prediction {prediction.url} has {prediction.num_channels} channels"
    if options.threshold is not None:
        if prediction.num_channels > 1:
            raise ImageError(f"{what}; say which one the threshold is of")
        return
    if prediction.num_channels > 1:
        if options.kind == "instances" and options.objects_of is None:
            raise ImageError(
                f"{what}, which are probabilities; say which class is objects, or give a channel "
                "and a threshold"
            )
    elif prediction.dtype.kind not in "biu":
        raise ImageError(
            f"the prediction {prediction.url} is {prediction.dtype}; give whole numbers, or a "
            "threshold for probabilities"
        )


def _time_points(source: ImageSource) -> Iterator[Box]:
    whole = Box.of_shape(source.shape)
    if "t" not in source.axes:
        yield whole
        return
    axis = source.axes.index("t")
    for t in range(source.shape[axis]):
        start, stop = list(whole.start), list(whole.stop)
        start[axis], stop[axis] = t, t + 1
        yield Box(tuple(start), tuple(stop))


def _squeezed(voxels: np.ndarray) -> np.ndarray:
    leading = [axis for axis, n in enumerate(voxels.shape[:-2]) if n == 1]
    return voxels.squeeze(tuple(leading))


def _plain(labels: np.ndarray, source: ImageSource) -> np.ndarray:
    """Labels (y, x) or (z, y, x), of an integer type."""
    labels = _squeezed(labels.astype(np.uint8) if labels.dtype.kind == "b" else labels)
    if labels.size and labels.min() < 0:
        raise ImageError(f"{source.url} holds {labels.min()}; labels are 0 or more")
    return labels


def _share(voxels: np.ndarray, source: ImageSource) -> np.ndarray:
    """Probabilities, 0 to 1, in float64: thresholds such as 0.8 are no float32."""
    if voxels.dtype.kind in "iu":
        return voxels / np.float64(np.iinfo(voxels.dtype).max)
    share = voxels.astype(np.float64)
    if not np.isfinite(share).all():
        raise ImageError(f"{source.url} holds values that are no numbers; segment it anew")
    return share
