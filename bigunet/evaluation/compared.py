"""Reading a prediction and its truth: two arrays of equal shape per image and time point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bigunet.errors import ImageError
from bigunet.evaluation.class_names import Classes, example, listed
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.geometry import Box
from bigunet.io.images.label_classes import class_names, is_labels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.sources.annotations import annotated, is_annotated
from bigunet.io.sources.pairs import Pair
from bigunet.io.sources.source import ImageSource, Source, describe_image

_FOREGROUND = {0: "background", 1: "foreground"}
_SUM_TOLERANCE = 0.1
_NO_PROBABILITIES = (
    "the channels of the prediction do not add up to 1, as probabilities of classes do; the "
    "highest is taken as the class all the same"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A prediction and its truth, (y, x) or (z, y, x), whole in memory.

    Parameters
    ----------
    found : ndarray of int, or of bool where there was a threshold
    truth : ndarray of int
        0 where it is not annotated.
    annotated : ndarray of bool
        Where the truth is known: at one voxel at least.
    certainty : ndarray of float32 or None
        How far each probability is from the threshold.
    doubts : tuple of str
        What of the prediction may not be as was meant.
    """

    found: np.ndarray
    truth: np.ndarray
    annotated: np.ndarray
    certainty: np.ndarray | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A prediction and its truth, checked to fit, of which nothing is read yet.

    Parameters
    ----------
    prediction, truth : ImageSource
    classes : mapping of int to str
        Of the prediction; empty where it does not say.
    is_prediction_labels, is_truth_labels : bool
        Whether the metadata call them labels.
    """

    prediction: ImageSource
    truth: Source
    classes: Classes = field(default_factory=dict)
    is_prediction_labels: bool = False
    is_truth_labels: bool = False

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
        if options.threshold is None:
            _check_no_share(described, prediction)
        classes = _classes(described, prediction, options)
        if options.kind == "instances" and options.threshold is None:
            _check_objects_named(prediction, classes, options)
        labels = annotated(truth, options.ignore)
        return cls(prediction, labels, classes, is_labels(described), is_labels(known))

    @property
    def is_class_image(self) -> bool:
        """Whether the prediction's values, or channels, are classes that it names."""
        return bool(self.classes) and self.classes is not _FOREGROUND

    def read(self, options: EvaluateOptions) -> Iterator[Compared]:
        """Each time point, whole; those of which nothing is annotated are left out.

        Raises
        ------
        ImageError
            If labels are negative, probabilities no numbers, or nothing is annotated.
        """
        is_any_known = False
        times = list(zip(_time_points(self.prediction), _time_points(self.truth)))
        for box, true_box in times:
            labels = self.truth.read(true_box)[0]
            known = is_annotated(labels)
            if not known.any():
                continue
            is_any_known = True
            truth = _plain(np.where(known, labels, 0), self.truth)
            known = _squeezed(known)
            voxels = self.prediction.read(box)
            if options.threshold is not None:
                share = _share(_squeezed(voxels[0]), self.prediction)
                certainty = np.abs(share - options.threshold).astype(np.float32)
                yield Compared(share > options.threshold, truth, known, certainty)
            elif len(voxels) > 1:
                doubts = () if _add_up(voxels) else (_NO_PROBABILITIES,)
                yield Compared(_squeezed(voxels.argmax(axis=0)), truth, known, doubts=doubts)
            else:
                yield Compared(_plain(voxels[0], self.prediction), truth, known)
        if not is_any_known:
            raise ImageError(
                f"nobody annotated a voxel of the truth {self.truth.url}: all hold a value of "
                "--ignore; leave the image out"
            )


def _check_truth(truth: ImageSource) -> None:
    if truth.num_channels != 1:
        raise ImageError(
            f"the truth {truth.url} has {truth.num_channels} channels; give labels, one per voxel"
        )
    if truth.dtype.kind not in "biuf":
        raise ImageError(f"the truth {truth.url} is {truth.dtype}; give whole numbers")


def _level_like(image: ImageDescription, truth: ImageSource, level: int) -> int:
    """The level of the truth's shape; axes of one voxel, but for y and x, do not count."""
    shape = _plain_shape(truth.axes, truth.shape)
    shapes = [
        _plain_shape(image.volume_axes, image.volume_shape(k)) for k in range(len(image.levels))
    ]
    alike = [k for k, other in enumerate(shapes) if other == shape]
    if not alike:
        found = " or ".join(map(_told, shapes))
        raise ImageError(
            f"the prediction {image.url} is {found}, the truth {truth.url} {_told(shape)} at "
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


def _check_no_share(described: ImageDescription, prediction: ImageSource) -> None:
    """Refuse one channel of what `segment` wrote as probabilities, to be read as labels."""
    if prediction.num_channels == 1 < described.num_channels and described.name == "probabilities":
        raise ImageError(
            f"a channel of {prediction.url} is the probability of a class; give --threshold, such "
            "as 0.5, or leave the channel out to take the most probable class"
        )


def _check_objects_named(
    prediction: ImageSource, classes: Classes, options: EvaluateOptions
) -> None:
    """Refuse a class image as numbered objects."""
    if classes and options.objects_of is None:
        raise ImageError(
            f"the prediction {prediction.url} is of the classes {listed(classes)}, not of numbered "
            f"objects; say which class is objects, such as --objects-of {example(classes)}"
        )


def _classes(
    described: ImageDescription, prediction: ImageSource, options: EvaluateOptions
) -> Classes:
    """Names of what the prediction's voxels can be; empty where it does not say."""
    if options.threshold is not None:
        return _FOREGROUND
    if prediction.num_channels > 1:
        return dict(enumerate(described.shown_channels))
    return class_names(described)


def _add_up(channels: np.ndarray) -> bool:
    """Whether the voxels look like probabilities of the classes: (c, *space), sums of 1.

    Voxels without any, as of parts that were not segmented, do not count.
    """
    top = np.iinfo(channels.dtype).max if channels.dtype.kind in "iu" else 1
    sums = channels.sum(axis=0, dtype=np.float32) / np.float32(top)
    sums = sums[sums != 0]
    return not sums.size or bool(np.mean(np.abs(sums - 1) <= _SUM_TOLERANCE) > 0.5)


def _time_points(source: Source) -> Iterator[Box]:
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


def _plain(labels: np.ndarray, source: Source) -> np.ndarray:
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
