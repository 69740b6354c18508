"""Between the stages: joins the fragments of all blocks into objects, and gives them ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import OutputError
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.numbering import number_objects
from bigunet.objects.rule import ObjectRule
from bigunet.objects.stitching import stitch
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_ids(files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Stitch and number the fragments of all blocks, and write the id of each fragment.

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
    stitched = stitch(grid, _blocks(files, grid.num_blocks), connectivity=rule.connectivity)
    numbered = number_objects(stitched, smallest=rule.smallest)
    _save(files.offsets, numbered.offsets)
    _save(files.ids, numbered.ids)
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


def _save(path: Path, values: np.ndarray) -> None:
    with writing(str(path)), replacing(path) as partial, partial.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _load(path: Path) -> np.ndarray:
    """The array of a file, which stays on disk: only what is asked for is read."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise OutputError(f"cannot read {path}: {error}; run with --resume") from error
