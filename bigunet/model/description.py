"""The description in a model file: classes, channels, normalisation, how it was trained."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import NoneType
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.normalisation import Normalisation, is_number
from bigunet.model.object_description import ObjectDescription
from bigunet.options.short_repr import line_repr, shown_names

FORMAT_VERSION = 1
# Labels are uint8.
MAX_CLASSES = 256
PALETTE = ("#000000", "#e6a019", "#2a7fd4", "#d4412a", "#3aa655", "#9a4fc9", "#20b2aa", "#c7b42c")
_MOST_LETTERS = 1000
"""Letters of a name, at most."""


@dataclass(frozen=True, slots=True)
class SegmentationClass:
    """One class of the output.

    Parameters
    ----------
    name : str
    color : str
        Colour as ``#rrggbb``.
    """

    name: str
    color: str

    def __post_init__(self) -> None:
        check_name(self.name, "a class's name")
        if not isinstance(self.color, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            raise ModelError(
                f"class {brief(self.name)} has colour {brief(self.color)}; write #rrggbb"
            )

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """Red, green, blue and alpha, each 0 to 255."""
        r, g, b = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return r, g, b, 255


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Everything in a model file except the weights.

    Parameters
    ----------
    name : str
        The name by which users know the model.
    architecture : dict
        ``{"name": "unet", "config": {...}}``.
    classes : tuple of SegmentationClass
        2 to 256 classes, in the order of the network's scores. Class 0 is the background.
    channels : tuple of str
        Names of the image channels that the network reads, in order.
    normalisation : Normalisation
    precisions : tuple of str
        fp32, and the lower precisions that give the same labels according to a measurement.
    voxel_size_um : tuple of float or None
        Voxel size of the training images in micrometres, z y x or y x.
    grey_median : tuple of float or None
        Lowest and highest place of a training image's median in its grey range, without the outer
        5 %. 0 is the low end of a range, and 1 its high end.
    objects : ObjectDescription, optional
        What of the classes is one object.
    training, card : dict
        How the model was trained; and its card: data, licence, scores, limits.
    """

    name: str
    architecture: dict[str, Any]
    classes: tuple[SegmentationClass, ...]
    channels: tuple[str, ...]
    normalisation: Normalisation = field(default_factory=Normalisation)
    precisions: tuple[str, ...] = ("fp32",)
    voxel_size_um: tuple[float, ...] | None = None
    grey_median: tuple[float, float] | None = None
    objects: ObjectDescription | None = None
    training: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return line_repr(self, *self.shown)

    @property
    def shown(self) -> tuple[str, ...]:
        """Name, network, channels and classes in a few words."""
        network = str(self.architecture.get("name", ""))
        channels = f"channels {shown_names(self.channels)}"
        return (self.name, network, channels, shown_names(tuple(c.name for c in self.classes)))

    def __post_init__(self) -> None:
        check_name(self.name, "the model's name")
        check_description(self)
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ModelError(
                f"model {brief(self.name)} has {len(self.classes)} class(es); labels hold "
                f"2 to {MAX_CLASSES}, background included"
            )
        if self.objects is not None:
            self.objects.check_classes([one.name for one in self.classes])

    def to_dict(self) -> dict[str, Any]:
        """The description as plain data for JSON."""
        fields = asdict(self)
        fields["normalisation"] = self.normalisation.to_dict()
        if self.objects is None:
            # Versions that do not know objects can read such a file.
            del fields["objects"]
        return {"format": "bigunet", "format_version": FORMAT_VERSION, **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelDescription:
        """The description written by :meth:`to_dict`.

        Raises
        ------
        ModelError
            If ``data`` is not a bigunet description, or has a newer format.
        """
        fields = dict(data) if isinstance(data, Mapping) else {}
        if fields.pop("format", None) != "bigunet":
            raise ModelError("the file has no bigunet description; it was written by another tool")
        version = fields.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise ModelError(
                f"model format {brief(version)}; this bigunet reads {FORMAT_VERSION}: upgrade "
                "bigunet"
            )
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown:
            raise ModelError(
                f"the description has a field {brief(unknown[0])}, which this bigunet does not "
                "know: upgrade bigunet"
            )
        if not isinstance(fields.get("architecture"), Mapping):
            raise damaged("architecture", fields.get("architecture"))
        for name in ("classes", "channels", "precisions"):
            if not isinstance(fields.get(name, ()), (list, tuple)):
                raise damaged(name, fields[name])
        if fields.get("objects") is not None:
            fields["objects"] = ObjectDescription.from_dict(fields["objects"])
        for name in ("voxel_size_um", "grey_median"):
            if not isinstance(fields.get(name), (list, tuple, NoneType)):
                raise damaged(name, fields[name])
        try:
            fields["classes"] = tuple(SegmentationClass(**c) for c in fields["classes"])
            fields["normalisation"] = Normalisation.from_dict(fields["normalisation"])
            for name in ("channels", "precisions"):
                fields[name] = tuple(fields[name])
            size = fields.get("voxel_size_um")
            fields["voxel_size_um"] = None if size is None else tuple(size)
            median = fields.get("grey_median")
            fields["grey_median"] = None if median is None else tuple(median)
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ModelError(f"the model's description is damaged: {error!r:.100}") from error


def default_classes(count: int) -> tuple[SegmentationClass, ...]:
    """Names and colours for ``count`` classes without names: background, class 1, …"""
    names = ["background", *(f"class {n}" for n in range(1, count))]
    return tuple(SegmentationClass(n, PALETTE[i % len(PALETTE)]) for i, n in enumerate(names))


def check_description(description: ModelDescription) -> None:
    """Raise ModelError for the first field of a wrong type."""
    for field_name in ("architecture", "training", "card"):
        if not isinstance(getattr(description, field_name), Mapping):
            raise damaged(field_name, getattr(description, field_name))
    for one in description.classes:
        if not isinstance(one, SegmentationClass):
            raise damaged("classes", one)
    if not isinstance(description.objects, ObjectDescription | None):
        raise damaged("objects", description.objects)
    for field_name in ("channels", "precisions"):
        for name in getattr(description, field_name):
            check_name(name, f"one of the {field_name}")
    size = description.voxel_size_um
    if size is not None and not (
        len(size) in (2, 3) and all(is_number(v) and 0 < v < math.inf for v in size)
    ):
        raise ModelError(
            f"voxel_size_um is {brief(size)}; give 2 or 3 positive numbers: y x, or z y x"
        )
    median = description.grey_median
    if median is not None and not (len(median) == 2 and all(map(is_number, median))):
        raise ModelError(f"grey_median is {brief(median)}; give two numbers, or none")


def check_name(name: object, what: str) -> None:
    """Raise ModelError for a name that is not a text, or too long."""
    if not isinstance(name, str):
        raise ModelError(f"{what} is {brief(name)}; give a text")
    if len(name) > _MOST_LETTERS:
        raise ModelError(f"{what} has {len(name)} letters; give at most {_MOST_LETTERS}")


def damaged(name: str, value: object) -> ModelError:
    """The error for a field of the wrong type."""
    return ModelError(f"the model's description is damaged: {name} {brief(value)}")
