"""What a model file says of the objects that its classes make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief

_MOST_VOXELS = 2**62
WIDEST_BORDER = 1000


@dataclass(frozen=True, slots=True)
class ObjectDescription:
    """Which voxels are one object: those of a class that are connected over faces.

    Parameters
    ----------
    object_class : str
        Name of the class of the objects; never the background.
    border : str, optional
        Name of the class that separates touching objects. Its voxels return to the nearest object.
    border_width : int
        How far an object grows into the border, in voxels.
    smallest : int
        Objects with fewer voxels of their class do not count.
    split : bool
        Whether it helps to split objects at their necks.

    Raises
    ------
    ModelError
        If a value is of the wrong type, or out of its range.
    """

    object_class: str
    border: str | None = None
    border_width: int = 1
    smallest: int = 0
    split: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.object_class, str):
            raise ModelError(f"object_class is {brief(self.object_class)}; give a class's name")
        if not isinstance(self.border, str | None):
            raise ModelError(f"border is {brief(self.border)}; give a class's name, or none")
        if self.border == self.object_class:
            raise ModelError(f"objects and border are both {brief(self.border)}; give two classes")
        if not _is_whole(self.border_width, 1, WIDEST_BORDER):
            raise ModelError(
                f"border_width is {brief(self.border_width)}; give 1 to {WIDEST_BORDER} voxels"
            )
        if not _is_whole(self.smallest, 0, _MOST_VOXELS):
            raise ModelError(f"smallest is {brief(self.smallest)}; give 0 or more voxels")
        if not isinstance(self.split, bool):
            raise ModelError(f"split is {brief(self.split)}; give true or false")

    @classmethod
    def from_dict(cls, data: object) -> ObjectDescription:
        """The description of plain data, as a model file has it.

        Raises
        ------
        ModelError
            If the data are something else.
        """
        fields: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {}
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown or "object_class" not in fields:
            raise ModelError(f"the model's description is damaged: objects {brief(data)}")
        return cls(**fields)

    def check_classes(self, names: Sequence[str]) -> None:
        """Raise ModelError unless these classes, background first, have those of the objects."""
        for name in (self.object_class, self.border):
            if name is not None and name not in names[1:]:
                raise ModelError(
                    f"objects name class {brief(name)}; the classes after the background are "
                    f"{', '.join(map(brief, names[1:]))}"
                )
            if name is not None and names.count(name) > 1:
                raise ModelError(
                    f"objects name class {brief(name)}, but {names.count(name)} classes have this "
                    "name; give each class its own"
                )


def _is_whole(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
