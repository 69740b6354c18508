"""The options of an evaluation, which are checked before any file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from bigunet.choices import EvaluationKind, MetricName
from bigunet.errors import OptionError

METRICS: Mapping[EvaluationKind, tuple[MetricName, ...]] = {
    "classes": ("dice", "iou", "pixel-error"),
    "instances": ("average-precision", "panoptic-quality", "seg", "dice"),
    "boundaries": ("pixel-error", "rand-error", "warping-error", "v-rand", "v-info"),
}
_ONLY: Mapping[str, EvaluationKind] = {
    "label_values": "classes",
    "objects_of": "instances",
    "border": "instances",
    "min_size": "instances",
    "connected": "instances",
    "interior": "boundaries",
    "volumes": "boundaries",
}


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How two images are compared.

    Parameters
    ----------
    kind : {"classes", "instances", "boundaries"}
        What the labels stand for: ``classes`` of voxels; ``instances``, one number for each
        object; or ``boundaries`` between segments, where labels mark the interior of segments.
    metrics : tuple of str
        Names from ``METRICS[kind]``; empty for all of them.
    level : int
        Level of the truth. The level of the prediction is the one of the same shape.
    channel : int, str or None
        Channel of the prediction, by index or name. None if it has a single channel, or if its
        channels are the probabilities of the classes; then the most probable class is taken.
    threshold : float or None
        From 0 to below 1. The channel is a probability, and voxels above the threshold are
        foreground: class 1, objects of connected voxels, or interior. Whole numbers are divided
        by the highest value of their dtype.
    label_values : tuple of int
        For classes: the value at position k means class k in the truth; empty if the values of
        the truth are the classes.
    ignore : tuple of int
        Values of the truth for voxels that nobody annotated. All scores leave these voxels out,
        and also the predicted objects that have more than half of their voxels there.
    objects_of : int, str or None
        For instances: the prediction is an image of classes, and each connected component (over
        faces) of this class is an object. A number, or a name if the prediction names its classes.
    border : int, str or None
        For instances: the class of the prediction that separates touching objects. Its voxels
        within ``border_width`` (or 1) of an object are given to the nearest object. Training with
        the target cells takes border voxels from objects that touch, and from the background
        between objects that nearly touch. In the second case, objects become slightly too large.
    min_size : int
        For instances: predicted objects with fewer voxels are left out.
    connected : bool
        For instances: the truth is masks, and each connected component of one value is an object.
    interior : int, str or None
        For boundaries: the class of the prediction that is interior, by number or name; None for
        all classes except 0.
    border_width : int
        For boundaries: voxels of the truth within this many steps of a different segment are
        boundary, too; for labels of segments that touch. For instances: see ``border``.
    volumes : bool
        For boundaries: segments are connected along z, too; by default each plane is scored on
        its own. The warping error exists for planes only, and is left out.

    Raises
    ------
    OptionError
        If a value is not possible, or has no meaning for this kind.
    """

    kind: EvaluationKind = "classes"
    metrics: tuple[MetricName, ...] = ()
    level: int = 0
    channel: int | str | None = None
    threshold: float | None = None
    label_values: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    objects_of: int | str | None = None
    border: int | str | None = None
    min_size: int = 0
    connected: bool = False
    interior: int | str | None = None
    border_width: int = 0
    volumes: bool = False

    def __post_init__(self) -> None:
        if self.kind not in METRICS:
            known = ", ".join(get_args(EvaluationKind))
            raise OptionError(f"kind is {self.kind!r}; known: {known}")
        defaults = {one.name: one.default for one in fields(self)}
        for name, kind in _ONLY.items():
            if getattr(self, name) != defaults[name] and self.kind != kind:
                raise OptionError(f"{name} is for {kind}, not {self.kind}; leave it out")
        self._check_metrics()
        self._check_border()
        for name in ("level", "min_size", "border_width"):
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
            raise OptionError("the warping error is one of planes; leave out volumes, or it")

    def _check_border(self) -> None:
        if self.border is not None and self.objects_of is None:
            raise OptionError("border gives voxels to objects of classes; give objects_of too")
        if self.border is not None and self.border == self.objects_of:
            raise OptionError(f"border and objects_of are both {self.border}; give two classes")
        if self.border_width and self.kind == "classes":
            raise OptionError("border_width is for boundaries, not classes; leave it out")
        if self.border_width and self.kind == "instances" and self.border is None:
            raise OptionError("border_width says how wide the class border is; give border too")

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        if not 0 <= self.threshold < 1:
            raise OptionError(f"threshold is {self.threshold}; give 0 to below 1")
        for name in ("objects_of", "interior"):
            if getattr(self, name) is not None:
                raise OptionError(
                    f"threshold is for probabilities, {name} for classes; give one of them"
                )
