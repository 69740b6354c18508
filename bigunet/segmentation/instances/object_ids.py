"""Between the stages: joins the fragments of all blocks into objects, and gives them ids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import OutputError
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.numbering import NumberedObjects, rank
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_ids(files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Stitch and number the fragments of all blocks, and write the id of each fragment.

    Memory does not grow with the number of objects: what it cannot hold lies in files without names
    beside those of the blocks.

    Parameters
    ----------
    files : ObjectFiles
        The stage "label" has written the files of all blocks.
    grid : BlockGrid
    rule : ObjectRule

    Raises
    ------
    OutputError
        If a file cannot be read or written.
    """
    with (
        writing(f"temporary files in {files.folder}"),
        Scratch(files.folder) as scratch,
    ):
        blocks = _blocks(files, grid.num_blocks)
        stitched = stitch(grid, blocks, connectivity=rule.connectivity, scratch=scratch)
        save_ids(files, rank(stitched, smallest=rule.smallest))


def save_ids(files: ObjectFiles, numbered: NumberedObjects) -> None:
    """Write the id of each fragment, batch by batch, and the number of objects.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    offsets = numbered.stitched.offsets
    with _replaced(files.offsets) as file:
        np.save(file, offsets, allow_pickle=False)
    with _replaced(files.ids) as file:
        dtype = numbered.ids.dtype
        described = np.lib.format.dtype_to_descr(dtype)
        shape = (numbered.stitched.num_fragments,)
        header = {"descr": described, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        for first, ids in numbered.of_batches():
            file.seek(begin + first * dtype.itemsize)
            file.write(ids.tobytes())
    ObjectSummary(numbered.num_objects, numbered.num_small).write(files.summary)


@dataclass(frozen=True, slots=True)
class FragmentIds:
    """The id of each fragment, read from the files of :func:`write_ids` where it is needed."""

    files: ObjectFiles

    def of_block(self, number: int) -> np.ndarray:
        """Ids by the number of the fragment in its block; index 0 is no object, and holds 0.

        Raises
        ------
        OutputError
            If the files cannot be read.
        """
        offsets, all_ids = _load(self.files.offsets), _load(self.files.ids)
        begin, end = int(offsets[number]), int(offsets[number + 1])
        ids = np.zeros(end - begin + 1, all_ids.dtype)
        ids[1:] = all_ids[begin:end]
        return ids


def _blocks(files: ObjectFiles, num_blocks: int) -> Iterator[BlockFragments]:
    """Fragments of all blocks, in C order."""
    return map(files.read_block, range(num_blocks))


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of ``path`` at the end."""
    with writing(str(path)), replacing(path) as partial, partial.open("wb") as file:
        yield file


def _load(path: Path) -> np.ndarray:
    """The array of a file, which stays on disk: only what is asked for is read."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise OutputError(f"cannot read {path}: {error}; run with --resume") from error
