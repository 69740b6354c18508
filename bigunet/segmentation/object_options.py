"""The options about objects: what of the classes is one object, and which objects count."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.errors import OptionError
from bigunet.options.choices import Connectivity, SplitChoice
from bigunet.options.composed_kinds import Optional
from bigunet.options.object_sizes import ObjectSize, ObjectSizeKind
from bigunet.options.option_fields import option
from bigunet.options.option_kinds import Choice, Flag, Number, Share, Text, Whole

OBJECTS = "Objects"
NO_BORDER = "none"
UNSURE_CLASS = 255
"""Class of voxels below the threshold where no class separates objects."""
WIDEST_SPLIT = 200
"""Each block reads a halo of this width and more."""


@dataclass(frozen=True, slots=True)
class ObjectOptions:
    """How the objects of ``labels/instances`` are made of the classes."""

    object_class: str = option(
        "",
        Text(),
        "Class of the objects, by name or number.",
        section=OBJECTS,
        metavar="CLASS",
        usual="what the model file says",
    )
    object_threshold: float | None = option(
        None,
        Optional(Number()),
        "Make objects of the voxels where the class of the objects has a probability above this, "
        "0 to 1. The other voxels of the class return to the nearest object, as the border does. "
        "Writes the probabilities, too.",
        section=OBJECTS,
        usual="objects are made of the classes",
    )
    border_class: str = option(
        "",
        Text(),
        "Class that separates touching objects; its voxels return to the nearest object. none if "
        "there is no such class.",
        section=OBJECTS,
        metavar="CLASS",
        usual="what the model file says",
    )
    border_width: int = option(
        0,
        Whole(),
        "How far objects grow into the border class, in voxels.",
        section=OBJECTS,
        usual="what the model file says, or 1",
    )
    smallest: ObjectSize | None = option(
        None,
        Optional(ObjectSizeKind()),
        "Size of the smallest object that counts: voxels such as 20, or 30um2 or 500um3.",
        section=OBJECTS,
        usual="what the model file says, or 0",
    )
    fill_holes: ObjectSize | None = option(
        None,
        Optional(ObjectSizeKind()),
        "Size of the largest hole that is filled before objects are labelled: voxels such as 20, "
        "or 30um2 or 500um3. Holes touch no side of the image.",
        section=OBJECTS,
        usual="0: none is filled",
    )
    connectivity: Connectivity = option(
        "faces",
        Choice(Connectivity, "connectivity"),
        "Which neighbours belong to one object: voxels that share a face, an edge too, or a "
        "corner too. In 2D, faces are 4 neighbours, edges and corners are 8.",
        section=OBJECTS,
    )
    split: SplitChoice = option(
        "auto",
        Choice(SplitChoice, "split"),
        "Whether objects are split at their necks, which are thin beside the parts that they join. "
        "auto does what the model file says, or off.",
        section=OBJECTS,
    )
    split_radius: int = option(
        0,
        Whole(least=0),
        "About half the thickness of an object that is split, in voxels along the finest axis.",
        section=OBJECTS,
        usual="16",
    )
    link_planes: float | None = option(
        None,
        Optional(Share()),
        "Objects of neighbouring planes, which a 2D network sees one by one, become one object if "
        "each overlaps most with the other, with at least this IoU, such as 0.5.",
        section=OBJECTS,
        metavar="IOU",
        usual="planes are not linked",
    )
    link_time: float | None = option(
        None,
        Optional(Share()),
        "The same for objects of neighbouring time points: an object keeps its number over time.",
        section=OBJECTS,
        metavar="IOU",
        usual="time points are not linked",
    )
    no_table: bool = option(
        False,
        Flag(),
        "Write no table of the objects. Otherwise tables/instances of the output has a row for "
        "each object: size, place, shape, and the grey values of all channels.",
        section=OBJECTS,
    )

    def _check_objects(self) -> None:
        """Raise OptionError for values that no model allows."""
        if self.border_width < 0:
            raise OptionError(f"border width {self.border_width}: give 1 or more voxels")
        if self.object_threshold is not None and not 0 < self.object_threshold < 1:
            raise OptionError(
                f"object threshold {self.object_threshold}: give a number above 0 and below 1"
            )
        if not 0 <= self.split_radius <= WIDEST_SPLIT:
            raise OptionError(f"split radius {self.split_radius}: give 1 to {WIDEST_SPLIT} voxels")
        if self.border_class and self.border_class == self.object_class:
            raise OptionError(
                f"border class {self.border_class}: this is the class of the objects; give another"
            )
