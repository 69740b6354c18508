"""The options of an evaluation, which are checked before any file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bigunet.errors import OptionError
from bigunet.options.choices import EvaluationKind, MetricName
from bigunet.options.composed_kinds import Commas, Each, Optional
from bigunet.options.image_kinds import Channel, ClassName
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Flag, Number, Whole
from bigunet.options.short_repr import changed_repr

IMAGES, SCORES = "Images and labels", "Scores"
OBJECTS, BOUNDARIES = "Objects", "Boundaries"
METRICS: Mapping[EvaluationKind, tuple[MetricName, ...]] = {
    "classes": ("dice", "iou", "pixel-error"),
    "instances": ("average-precision", "panoptic-quality", "seg", "dice"),
    "boundaries": ("pixel-error", "rand-error", "warping-error", "v-rand", "v-info"),
}
_ONLY: Mapping[str, EvaluationKind] = {
    "label_values": "classes",
    "object_class": "instances",
    "border_class": "instances",
    "smallest": "instances",
    "connected": "instances",
    "interior": "boundaries",
    "volumes": "boundaries",
}


@documented
@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How a prediction is compared with the truth.

    Raises
    ------
    OptionError
        If a value is not possible, or has no meaning for this kind.
    """

    kind: EvaluationKind = option(
        "classes",
        Choice(EvaluationKind),
        "Meaning of the labels of the truth. classes: a class for each voxel. instances: a number "
        "for each object. boundaries: segments, and 0 between them.",
        section=SCORES,
    )
    metrics: tuple[MetricName, ...] = option(
        (),
        Each(Choice(MetricName, "metric"), "names, such as ('dice',)"),
        "Metric to compute.",
        section=SCORES,
        flag="--metric",
        usual="all metrics of the kind",
    )
    level: int = option(
        0,
        Whole(),
        "Level of the truth. The level of the prediction that has the same shape is compared.",
        section=IMAGES,
        metavar="K",
    )
    channel: int | str | None = option(
        None,
        Optional(Channel()),
        "Channel of the prediction, by index or name.",
        section=IMAGES,
        usual="the only channel, or the most probable class of probabilities",
        other_names=("channels",),
    )
    threshold: float | None = option(
        None,
        Optional(Number()),
        "Probability, 0 to below 1, above which voxels of the channel are foreground or interior.",
        section=IMAGES,
        metavar="P",
        more="Foreground is class 1, or objects of connected voxels. Whole numbers are divided by "
        "the highest value of their dtype.",
        other_names=("object_threshold",),
    )
    label_values: tuple[int, ...] = option(
        (),
        Commas(Whole(), "whole numbers", "0,255"),
        "Label values of the truth's classes, in the order of the classes.",
        section=IMAGES,
        usual="the values are the classes",
    )
    ignore: tuple[int, ...] = option(
        (),
        Each(Whole(), "whole numbers, such as (255,)"),
        "Label value of voxels in the truth that nobody annotated: scores leave them out.",
        section=IMAGES,
        metavar="VALUE",
        more="Predicted objects are left out, too, where more than half of an object lies on such "
        "voxels.",
    )
    object_class: int | str | None = option(
        None,
        Optional(ClassName()),
        "Class of the objects in the prediction, by name or number: connected voxels of this class "
        "are an object.",
        section=OBJECTS,
        more="Voxels are connected over faces.",
        other_names=("objects_of",),
    )
    border_class: int | str | None = option(
        None,
        Optional(ClassName()),
        "Border class of the prediction: its voxels within --border-width (or 1) of an object of "
        "--object-class are given to the nearest object.",
        section=OBJECTS,
        more="Training with the target cells takes border voxels from objects that touch, and from "
        "the background between objects that nearly touch. In the second case, objects become "
        "slightly too large.",
        other_names=("border",),
    )
    smallest: int = option(
        0,
        Whole(),
        "Smallest size of a predicted object, in voxels; smaller ones are left out.",
        section=OBJECTS,
        other_names=("min_size",),
    )
    connected: bool = option(
        False,
        Flag(),
        "Read the truth as masks: connected voxels of one value are an object.",
        section=OBJECTS,
    )
    interior: int | str | None = option(
        None,
        Optional(ClassName()),
        "Class of the prediction, by name or number, that is the interior of segments.",
        section=BOUNDARIES,
        usual="all classes but 0",
    )
    border_width: int = option(
        0,
        Whole(),
        "Width of the boundary, in voxels: voxels of the truth that are so near to another "
        "segment become boundary, too. With --border-class: how far its voxels may be from the "
        "object, 1 by default.",
        section=BOUNDARIES,
    )
    volumes: bool = option(
        False,
        Flag(),
        "Connect segments along z, too, in place of scoring each plane on its own.",
        section=BOUNDARIES,
        more="The warping error is left out, because it is defined for planes.",
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self)
        defaults = {one.name: one.default for one in fields(self)}
        for name, kind in _ONLY.items():
            if getattr(self, name) != defaults[name] and self.kind != kind:
                raise OptionError(f"{name} is for {kind}, not {self.kind}; leave it out")
        self._check_metrics()
        self._check_border()
        for name in ("level", "smallest", "border_width"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name} is {getattr(self, name)}; give 0 or more")
        self._check_threshold()
        if len(set(self.label_values)) != len(self.label_values):
            raise OptionError(f"label_values {self.label_values}: give each value once")
        both = sorted(set(self.ignore) & set(self.label_values))
        if both:
            raise OptionError(f"{both[0]} is to be ignored and a class; give it once")

    @property
    def chosen(self) -> tuple[MetricName, ...]:
        """The metrics that are computed, in the order of ``METRICS``."""
        possible = METRICS[self.kind]
        names = self.metrics or tuple(
            name for name in possible if not (self.volumes and name == "warping-error")
        )
        return tuple(name for name in possible if name in names)

    def to_dict(self) -> dict[str, Any]:
        """The kind, and the options that differ from their defaults."""
        defaults = {one.name: one.default for one in fields(self) if one.name != "metrics"}
        values = asdict(self)
        changed = {name: values[name] for name, usual in defaults.items() if values[name] != usual}
        return {"kind": self.kind, **changed}

    def _check_metrics(self) -> None:
        known = METRICS[self.kind]
        for name in self.metrics:
            if name not in known:
                raise OptionError(
                    f"metric {name!r} is none for {self.kind}; known: {', '.join(known)}"
                )
        if self.volumes and "warping-error" in self.metrics:
            raise OptionError(
                "the warping error is one of planes; leave out volumes or this metric"
            )

    def _check_border(self) -> None:
        if self.border_class is not None and self.object_class is None:
            raise OptionError(
                "border_class gives voxels to objects of classes; give object_class too"
            )
        if self.border_class is not None and self.border_class == self.object_class:
            raise OptionError(
                f"border_class and object_class are both {self.border_class}; give two classes"
            )
        if self.border_width and self.kind == "classes":
            raise OptionError("border_width is for boundaries, not classes; leave it out")
        if self.border_width and self.kind == "instances" and self.border_class is None:
            raise OptionError(
                "border_width says how far the border class reaches; give border_class too"
            )

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        if not 0 <= self.threshold < 1:
            raise OptionError(f"threshold is {self.threshold}; give 0 to below 1")
        for name in ("object_class", "interior"):
            if getattr(self, name) is not None:
                raise OptionError(
                    f"threshold is for probabilities, {name} for classes; give one of them"
                )
