"""Whether the voxels are what the options say: errors where they cannot be, doubts where they may.

A doubt is a line for people that a score of something else than was meant deserves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bigunet.errors import ImageError
from bigunet.evaluation.class_names import example, listed
from bigunet.evaluation.compared import Compared, OpenPair
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.labels import connected

_FEW_VALUES = 16
_MANY_CLASSES = 32
_PARTS_PER_OBJECT = 4
# Segments are some ten voxels long along a row; of grey images, over a third of the steps change.
_STEPS_OF_LABELS = 0.3
_GREY = "looks like a grey image, of many values that change from voxel to voxel; give labels"


def check_voxels(compared: Compared, opened: OpenPair, options: EvaluateOptions) -> Iterator[str]:
    """Doubts about a prediction and its truth.

    Raises
    ------
    ImageError
        If either is a grey image, or their values cannot be of one kind.
    """
    if not opened.is_prediction_labels and _is_grey(compared.found):
        yield f"the prediction {_GREY}, or --threshold if it is a probability"
    if not opened.is_truth_labels and _is_grey(compared.truth):
        yield f"the truth {_GREY}"
    yield from compared.doubts
    if options.kind == "classes":
        yield from _check_classes(compared, opened, options)
    elif options.kind == "instances":
        yield from _check_objects(compared, options)
    elif options.interior is None and options.threshold is None and len(opened.classes) > 2:
        yield "all classes of the prediction but 0 are taken as interior; --interior names one"


def _is_grey(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "b" or labels.shape[-1] < 2:
        return False
    changes = np.count_nonzero(labels[..., 1:] != labels[..., :-1]) / labels[..., 1:].size
    return bool(changes > _STEPS_OF_LABELS and len(np.unique(labels)) > _FEW_VALUES)


def _check_classes(compared: Compared, opened: OpenPair, options: EvaluateOptions) -> Iterator[str]:
    found = set(np.unique(compared.found[compared.annotated]).astype(int).tolist())
    if options.label_values:
        truth = set(range(len(options.label_values)))
    else:
        truth = set(np.unique(compared.truth[compared.annotated]).tolist())
        _check_known(truth, opened)
    alone, both = found ^ truth, found | truth
    if len(alone) > max(_FEW_VALUES, len(both) // 2):
        yield (
            f"of {len(found)} different values of the prediction, and {len(truth)} of the truth, "
            f"they share {len(found & truth)}: for numbered objects give --kind instances"
        )
    if found - {0} and truth - {0} and not (found & truth) - {0}:
        yield (
            "prediction and truth have no value but 0 in common; --label-values says which of "
            "the truth's values is which class"
        )
    if len(both) > _MANY_CLASSES:
        yield (
            f"over {_MANY_CLASSES} different values are scored as a class each; for numbered "
            "objects give --kind instances"
        )


def _check_known(truth: set[int], opened: OpenPair) -> None:
    """Refuse a truth of values that are none of the prediction's classes."""
    classes = opened.classes
    if classes and not truth <= set(classes):
        one = f" --objects-of {example(classes)}" if opened.is_class_image else ""
        raise ImageError(
            f"the prediction {opened.prediction.url} is of the classes {listed(classes)}, the "
            f"truth {opened.truth.url} holds values up to {max(truth)}; if they number objects, "
            f"give --kind instances{one}, if they are classes, --label-values"
        )


def _check_objects(compared: Compared, options: EvaluateOptions) -> Iterator[str]:
    if options.objects_of is None and _falls_apart(compared.found):
        yield (
            "the objects of the prediction fall apart into many pieces each; if it is classes, "
            "say with --objects-of which one is objects"
        )
    if not options.connected and _falls_apart(compared.truth):
        yield (
            "the objects of the truth fall apart into many pieces each; if it is masks, give "
            "--connected"
        )


def _falls_apart(labels: np.ndarray) -> bool:
    """Whether a few numbers are of many more pieces: masks or classes rather than objects."""
    if labels.dtype.kind == "b":
        return False
    objects = int(np.count_nonzero(np.unique(labels)))
    if not 0 < objects <= _FEW_VALUES:
        return False
    return bool(connected(labels).max() > _PARTS_PER_OBJECT * objects)
