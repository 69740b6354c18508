"""What a worker does for a block of "holes", "seeds" or "label": it numbers the fragments."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.geometry import Box
from bigunet.io.output.writer import OutputWriter
from bigunet.objects.block_fragments import fragments_of_labels, label_block
from bigunet.objects.holes import hole_labels, holes_of_labels
from bigunet.objects.pieces import pieces_of_block
from bigunet.objects.reaching import nearest_seeds
from bigunet.objects.rule import ObjectRule
from bigunet.objects.split_blocks import seed_labels
from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.fragment_ids import FragmentIds
from bigunet.segmentation.instances.object_classes import ReadBox


class Fragments(Protocol):
    """What other blocks must know of the fragments of one block."""

    @property
    def num_fragments(self) -> int: ...

    def to_bytes(self) -> bytes:
        """The fragments as the content of a file."""
        ...


class Labelling(Protocol):
    """Numbers the fragments of one block."""

    def __call__(self, box: Box) -> tuple[np.ndarray, Fragments]:
        """The fragment of each voxel (uint32, from 1), and what other blocks must know."""
        ...


@dataclass(frozen=True)
class LabelWork:
    """Writes the fragments of blocks.

    Parameters
    ----------
    labelling : Labelling
    array : OutputWriter
        Gets the fragment of each voxel.
    files : FragmentFiles
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    labelling: Labelling
    array: OutputWriter
    files: FragmentFiles
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Label one block; the result has the number of its fragments."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        labels, fragments = self.labelling(box)
        labelled = time.perf_counter()
        files = self.array.write_block(0, box, labels)
        files += self.files.blocks.write(self.grid.number(index), fragments.to_bytes())
        return {
            "voxels": box.size,
            "fragments": fragments.num_fragments,
            "files": files.to_list(),
            "compute_seconds": round(labelled - begun, 4),
            "write_seconds": round(time.perf_counter() - labelled, 4),
        }


@dataclass(frozen=True)
class ObjectLabelling:
    """Fragments of objects: connected voxels of the object class.

    Parameters
    ----------
    classes : callable
        Reads the classes of a box.
    rule : ObjectRule
    volume : Box
        The whole output.
    """

    classes: ReadBox
    rule: ObjectRule
    volume: Box

    def __call__(self, box: Box) -> tuple[np.ndarray, Fragments]:
        """Label one block."""
        labels = label_block(self.classes(box), self.rule)
        return labels, fragments_of_labels(labels, box, self.volume, ndim=self.rule.ndim)

    def inside(self, box: Box) -> np.ndarray:
        """Which voxels of a box are of the object class."""
        return np.asarray(self.classes(box) == self.rule.object_class)


@dataclass(frozen=True)
class HoleLabelling(ObjectLabelling):
    """Fragments of what is not of the object class: some of them are holes."""

    def __call__(self, box: Box) -> tuple[np.ndarray, Fragments]:
        """Label one block."""
        labels = hole_labels(self.classes(box), self.rule)
        return labels, holes_of_labels(labels, box, self.volume, ndim=self.rule.ndim)


@dataclass(frozen=True)
class SeedLabelling(ObjectLabelling):
    """Fragments of the seeds of objects that are split."""

    def __call__(self, box: Box) -> tuple[np.ndarray, Fragments]:
        """Label one block."""
        labels = seed_labels(box, self.volume, self.inside, self.rule)
        return labels, fragments_of_labels(labels, box, self.volume, ndim=self.rule.ndim)


@dataclass(frozen=True)
class PieceLabelling(ObjectLabelling):
    """Pieces of objects that are split: the voxels that are nearest to one seed.

    Parameters
    ----------
    seeds : FragmentIds
        Ids of the seeds.
    """

    seeds: FragmentIds

    def __call__(self, box: Box) -> tuple[np.ndarray, Fragments]:
        """Label one block."""
        ids = nearest_seeds(box, self.volume, self._read, self.rule)
        return pieces_of_block(ids, box, self.volume)

    def _read(self, box: Box) -> tuple[np.ndarray, np.ndarray]:
        return self.seeds.read(box), self.inside(box)
