"""Whether the voxels are of the kind that the options name.

If they cannot be, it is an error. If it is only unlikely, it is a doubt: a line for people, which
says that the scores may not be what they meant.
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
# Segments are about ten voxels long in a row. In a grey image, more than a third of the neighbours
# in a row differ.
_STEPS_OF_LABELS = 0.3
_GREY = "looks like a grey image, with many values that change from voxel to voxel; give labels"


def check_voxels(compared: Compared, opened: OpenPair, options: EvaluateOptions) -> Iterator[str]:
    """Give the doubts about a prediction and its truth.

    Raises
    ------
    ImageError
        If the values of the truth cannot be classes of the prediction.
    """
    if not opened.is_prediction_labels and _is_grey(compared.prediction):
        yield f"the prediction {_GREY}, or --threshold if it is a probability"
    if not opened.is_truth_labels and _is_grey(compared.truth):
        yield f"the truth {_GREY}"
    yield from compared.doubts
    if options.kind == "classes":
        yield from _check_classes(compared, opened, options)
    elif options.kind == "instances":
        yield from _check_objects(compared, opened, options)
    elif options.interior is None and options.threshold is None and len(opened.classes) > 2:
        yield "all classes of the prediction but 0 are taken as interior; --interior names one"


def _is_grey(labels: np.ndarray) -> bool:
    """Whether an array looks like a grey image, and not like labels."""
    if labels.dtype.kind == "b" or labels.shape[-1] < 2:
        return False
    changes = np.count_nonzero(labels[..., 1:] != labels[..., :-1]) / labels[..., 1:].size
    return bool(changes > _STEPS_OF_LABELS and len(np.unique(labels)) > _FEW_VALUES)


def _check_classes(compared: Compared, opened: OpenPair, options: EvaluateOptions) -> Iterator[str]:
    predicted = set(np.unique(compared.prediction[compared.annotated]).astype(int).tolist())
    if options.label_values:
        truth = set(range(len(options.label_values)))
    else:
        truth = set(np.unique(compared.truth[compared.annotated]).tolist())
        _check_known(truth, opened)
    alone, every = predicted ^ truth, predicted | truth
    if len(alone) > max(_FEW_VALUES, len(every) // 2):
        yield (
            f"of {len(predicted)} different values of the prediction, and {len(truth)} of the "
            f"truth, they share {len(predicted & truth)}: for numbered objects give --kind "
            "instances"
        )
    if predicted - {0} and truth - {0} and not (predicted & truth) - {0}:
        yield (
            "prediction and truth have no value but 0 in common; --label-values says which of "
            "the truth's values is which class"
        )
    if len(every) > _MANY_CLASSES:
        yield (
            f"over {_MANY_CLASSES} different values are scored as a class each; for numbered "
            "objects give --kind instances"
        )


def _check_known(truth: set[int], opened: OpenPair) -> None:
    """Refuse a truth with values that are no classes of the prediction."""
    classes = opened.classes
    if classes and not truth <= set(classes):
        one = f" --object-class {example(classes)}" if opened.is_class_image else ""
        raise ImageError(
            f"the prediction {opened.prediction.url} is of the classes {listed(classes)}, the "
            f"truth {opened.truth.url} holds values up to {max(truth)}; if they number objects, "
            f"give --kind instances{one}, if they are classes, --label-values"
        )


def _check_objects(compared: Compared, opened: OpenPair, options: EvaluateOptions) -> Iterator[str]:
    is_class_unnamed = options.object_class is not None and not opened.classes
    if is_class_unnamed and len(np.unique(compared.prediction)) > _FEW_VALUES:
        yield (
            f"the prediction holds over {_FEW_VALUES} values, and names no classes; if it is "
            "numbered objects, leave --object-class out"
        )
    if options.object_class is None and _falls_apart(compared.prediction):
        yield (
            "the objects of the prediction fall apart into many pieces each; if it is classes, "
            "say with --object-class which one is objects"
        )
    if not options.connected and _falls_apart(compared.truth):
        yield (
            "the objects of the truth fall apart into many pieces each; if it is masks, give "
            "--connected"
        )


def _falls_apart(labels: np.ndarray) -> bool:
    """Whether a few numbers have many more components: then they are masks or classes."""
    if labels.dtype.kind == "b":
        return False
    objects = int(np.count_nonzero(np.unique(labels)))
    if not 0 < objects <= _FEW_VALUES:
        return False
    return bool(connected(labels).max() > _PARTS_PER_OBJECT * objects)
