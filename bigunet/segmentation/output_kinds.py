"""The kinds of output that a run can write: the folder of each, and what its voxels hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigunet.measuring.image_tables import BOXES
from bigunet.options.choices import Output


@dataclass(frozen=True, slots=True)
class OutputKind:
    """What is the same for one kind of output in every run.

    Parameters
    ----------
    group : str
        Folder below the output, such as ``"labels/classes"``.
    is_label : bool
        Whether voxels hold a number that names something, so that levels are halved by majority.
    per_class : bool
        Whether there is a channel for each class of the model; otherwise there is no channel.
    dtype : str
        Type of a voxel, in the words of numpy. Where ids of objects need it, it is uint64.
    """

    group: str
    is_label: bool
    per_class: bool
    dtype: str

    def num_channels(self, num_classes: int) -> int:
        """Channels of such an output for a model of ``num_classes`` classes."""
        return num_classes if self.per_class else 1


OUTPUT_KINDS: Mapping[Output, OutputKind] = {
    "classes": OutputKind("labels/classes", is_label=True, per_class=False, dtype="uint8"),
    "instances": OutputKind("labels/instances", is_label=True, per_class=False, dtype="uint32"),
    "probabilities": OutputKind("probabilities", is_label=False, per_class=True, dtype="uint8"),
}
"""One entry for each name in :data:`bigunet.options.choices.Output`."""

MADE_OF_CLASSES = frozenset({"instances"})
"""Outputs that are made of the classes, when the classes of all blocks are written."""

TABLES_FOLDER = "tables"
OBJECT_TABLE = "instances"
"""Name of the table of the objects, which is that of their labels."""

OBJECT_LABELS = OUTPUT_KINDS["instances"].group
OBJECT_TABLES = tuple(f"{TABLES_FOLDER}/{OBJECT_TABLE}{suffix}" for suffix in ("", BOXES))
"""Groups of the table of the objects, and of the table of their boxes."""

OUTPUT_FOLDERS = frozenset({TABLES_FOLDER, *(k.group.split("/")[0] for k in OUTPUT_KINDS.values())})
"""Names of the folders at the root of an output that a run may write."""
