"""The files between the stages that make objects; they lie beside the ledger until the run ends.

::

    objects.json                    numbers of the objects; it stays
    objects/label/fragments/0       zarr array: the fragment of each voxel, numbered block by block
    objects/label/blocks/0/17.npz   what other blocks must know of the fragments of block 17
    objects/label/ids.npy           id of each fragment of the image
    objects/label/offsets.npy       number of fragments before each block
    objects/label/sizes.npy         voxels of each object, if objects are linked
    objects/seeds/                  the same for the seeds of objects that are split
    objects/holes/                  the same for holes; an id says whether the hole is filled
    objects/link/                   overlaps of blocks, and the ids of fragments after links
    objects/sums/0/17.npz           sums of the objects in block 17
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.numbered_files import NumberedFiles
from bigunet.segmentation.instances.object_stages import LABEL
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.place import Place

OBJECTS_FOLDER = "objects"
REMOVED_FOLDER = "objects.removed"
SUMMARY = "objects.json"


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """Paths of the files between the stages.

    Parameters
    ----------
    record : Path
        Folder of the ledger.
    """

    record: Path

    @classmethod
    def of(cls, place: Place) -> ObjectFiles:
        """The files of a run that writes to a place."""
        return cls(Path(place.store, place.record))

    @property
    def folder(self) -> Path:
        return self.record / OBJECTS_FOLDER

    @property
    def removed(self) -> Path:
        """Where the folder lies while it is removed."""
        return self.record / REMOVED_FOLDER

    @property
    def summary(self) -> Path:
        return self.record / SUMMARY

    @property
    def sums(self) -> NumberedFiles:
        """The sums of the objects in each block."""
        return NumberedFiles(self.folder / "sums")

    def fragments(self, stage: str) -> FragmentFiles:
        """The files of a stage that numbers fragments."""
        return FragmentFiles(self.folder / stage)

    def are_numbered(self) -> bool:
        """Whether the fragments are removed, because all ids are written."""
        summary = ObjectSummary.read(self.summary)
        return summary is not None and not self.fragments(LABEL).folder.exists()

    def remove(self) -> None:
        """Remove all but the summary, as far as that is possible."""
        shutil.rmtree(self.removed, ignore_errors=True)
        # In one step: what is left by a kill does not look as if it were in use.
        with contextlib.suppress(OSError):
            self.folder.rename(self.removed)
        shutil.rmtree(self.removed, ignore_errors=True)
