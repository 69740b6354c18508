"""Reading a prediction and its truth: two arrays of equal shape for each time point of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bigunet.errors import ImageError
from bigunet.evaluation.class_names import Classes
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.evaluation.fitting import (
    check_is_no_probability,
    check_objects_are_named,
    check_prediction,
    check_truth,
    level_like,
)
from bigunet.geometry import Box
from bigunet.io.images.label_classes import class_names, is_labels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.sources.annotations import annotated, is_annotated
from bigunet.io.sources.pairs import Pair
from bigunet.io.sources.source import ImageSource, Source, describe_image

_FOREGROUND: Classes = {0: "background", 1: "foreground"}
_SUM_TOLERANCE = 0.1
_NO_PROBABILITIES = (
    "the channels of the prediction do not add up to 1, as probabilities of classes do; the "
    "channel of the highest value is taken as the class all the same"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A prediction and its truth, (y, x) or (z, y, x), as whole arrays in memory.

    Parameters
    ----------
    prediction : ndarray of int, or of bool
        Of bool if the options have a threshold.
    truth : ndarray of int
        0 where nobody annotated the voxel.
    annotated : ndarray of bool
        True where the truth is known, which is at least one voxel.
    certainty : ndarray of float32 or None
        Distance of each probability from the threshold.
    doubts : tuple of str
        Lines about the prediction: each says why a score may not be what the user meant.
    """

    prediction: np.ndarray
    truth: np.ndarray
    annotated: np.ndarray
    certainty: np.ndarray | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A prediction and its truth that fit together; no voxel is read yet.

    Parameters
    ----------
    prediction : ImageSource
    truth : Source
    classes : mapping of int to str
        Names of the prediction's classes; empty if it does not name them.
    is_prediction_labels, is_truth_labels : bool
        Whether the metadata of the image call it labels.
    """

    prediction: ImageSource
    truth: Source
    classes: Classes = field(default_factory=dict)
    is_prediction_labels: bool = False
    is_truth_labels: bool = False

    @classmethod
    def of(cls, pair: Pair, options: EvaluateOptions) -> OpenPair:
        """Open a prediction (the image of the pair) and its truth (the labels of the pair).

        Raises
        ------
        ImageError
            If the shapes differ, or the values are not of the kind that the options name.
        BigUNetError
            If one cannot be opened, or lacks the level or the channel.
        """
        true_image = describe_image(pair.labels)
        truth = ImageSource(
            true_image, level=options.level, channels=range(true_image.num_channels)
        )
        check_truth(truth)
        image = describe_image(pair.image)
        level = level_like(image, truth, options.level)
        channels = (
            range(image.num_channels)
            if options.channel is None
            else [image.channel_index(options.channel)]
        )
        prediction = ImageSource(image, level=level, channels=tuple(channels))
        check_prediction(prediction, options)
        if options.threshold is None:
            check_is_no_probability(image, prediction)
        classes = _classes(image, prediction, options)
        if options.kind == "instances" and options.threshold is None:
            check_objects_are_named(prediction, classes, options)
        labels = annotated(truth, options.ignore)
        return cls(prediction, labels, classes, is_labels(image), is_labels(true_image))

    @property
    def is_class_image(self) -> bool:
        """Whether the values or channels of the prediction are classes that it names."""
        return bool(self.classes) and self.classes is not _FOREGROUND

    def read(self, options: EvaluateOptions) -> Iterator[Compared]:
        """Read each time point whole; time points without an annotated voxel are left out.

        Raises
        ------
        ImageError
            If a label is negative, a probability is not finite, or no voxel is annotated.
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


def _classes(image: ImageDescription, prediction: ImageSource, options: EvaluateOptions) -> Classes:
    """Names of the classes of the prediction; empty if it does not name them."""
    if options.threshold is not None:
        return _FOREGROUND
    if prediction.num_channels > 1:
        return dict(enumerate(image.shown_channels))
    return class_names(image)


def _add_up(channels: np.ndarray) -> bool:
    """Whether channels (c, *space) look like probabilities: most voxels have a sum of 1.

    Voxels with a sum of 0 do not count, because they may not have been segmented.
    """
    top = np.iinfo(channels.dtype).max if channels.dtype.kind in "iu" else 1
    sums = channels.sum(axis=0, dtype=np.float32) / np.float32(top)
    sums = sums[sums != 0]
    return not sums.size or bool(np.mean(np.abs(sums - 1) <= _SUM_TOLERANCE) > 0.5)


def _time_points(source: Source) -> Iterator[Box]:
    """A box for each time point; one box if there is no axis t."""
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
    """Voxels without leading axes of length 1; y and x always stay."""
    leading = [axis for axis, n in enumerate(voxels.shape[:-2]) if n == 1]
    return voxels.squeeze(tuple(leading))


def _plain(labels: np.ndarray, source: Source) -> np.ndarray:
    """Labels (y, x) or (z, y, x) of an integer dtype, none of them negative."""
    labels = _squeezed(labels.astype(np.uint8) if labels.dtype.kind == "b" else labels)
    if labels.size and labels.min() < 0:
        raise ImageError(f"{source.url} holds {labels.min()}; labels are 0 or more")
    return labels


def _share(voxels: np.ndarray, source: ImageSource) -> np.ndarray:
    """Probabilities from 0 to 1, in float64; float32 does not hold a threshold such as 0.8."""
    if voxels.dtype.kind in "iu":
        return voxels / np.float64(np.iinfo(voxels.dtype).max)
    share = voxels.astype(np.float64)
    if not np.isfinite(share).all():
        raise ImageError(f"{source.url} holds NaN or infinity; segment it again")
    return share
