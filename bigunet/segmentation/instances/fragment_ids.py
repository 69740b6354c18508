"""Reads the ids of the fragments in a box, which may reach into several blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.io.output.writer import OutputWriter
from bigunet.segmentation.instances.fragment_files import FragmentFiles


@dataclass(frozen=True)
class FragmentIds:
    """The ids of a stage that numbered fragments, read where they are needed.

    Parameters
    ----------
    files : FragmentFiles
        With the ids of all fragments.
    array : OutputWriter
        Reads the fragment of each voxel.
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    files: FragmentFiles
    array: OutputWriter
    grid: BlockGrid

    def read(self, box: Box) -> np.ndarray:
        """Ids of the voxels of a box: uint32 or uint64, (*box); 0 where no fragment is.

        Raises
        ------
        OutputError
            If the files cannot be read, or are not those that were numbered.
        """
        fragments = self.array.read_box(0, box)
        offsets, ids = load_array(self.files.offsets), load_array(self.files.ids)
        values = np.zeros(box.shape, ids.dtype)
        for index in self.grid.overlapping(box):
            where = self.grid.box(index).intersection(box).within(box)
            number = self.grid.number(index)
            of_block = np.zeros(int(offsets[number + 1] - offsets[number]) + 1, ids.dtype)
            of_block[1:] = ids[offsets[number] : offsets[number + 1]]
            self._check(index, fragments[where], len(of_block))
            values[where] = of_block[fragments[where]]
        return values

    def _check(self, index: tuple[int, ...], fragments: np.ndarray, count: int) -> None:
        """Raise OutputError if a block, or a part of it, is not the one that was numbered."""
        whole = fragments.shape == self.grid.box(index).shape
        highest = int(fragments.max(initial=0))
        if highest >= count or (whole and highest != count - 1):
            raise OutputError(
                f"the fragments of block {self.grid.number(index)} are not those that were "
                f"numbered: remove {self.files.folder.parent} and run with --resume"
            )


def load_array(path: Path) -> np.ndarray:
    """The array of a file, which stays on disk: only what is asked for is read."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise OutputError(f"cannot read {path}: {error}; run with --resume") from error
