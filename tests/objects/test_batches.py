"""Objects that are stitched and numbered batch by batch, on the disk, are those of memory."""

from __future__ import annotations

import contextlib
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.object_cases import Case, blocks_of, cases
from support.stitched_in_memory import ids_of_fragments, ids_of_pieces

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.objects import joining, ranking, stored_pieces
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels
from bigunet.objects.numbering import number_objects, rank
from bigunet.objects.pieces import BlockPieces, join_pieces
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch

batch_sizes = st.sampled_from([1, 2, 3, 7, 40])
held_bytes = st.sampled_from([1, 100, 10**6])


@given(
    cases(),
    batch_sizes,
    held_bytes,
    st.sampled_from([1, 2, 512]),
    st.integers(0, 9),
    st.sampled_from([0, 7, 2**32 - 4, 2**40]),
)
def test_batches_of_fragments_on_the_disk_give_the_ids_of_memory(
    case: Case, batch_size: int, held: int, marks: int, smallest: int, before: int
) -> None:
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    expected = ids_of_fragments(
        grid,
        blocks_of(case, grid),
        connectivity=case.connectivity,
        smallest=smallest,
        before=before,
    )
    with tempfile.TemporaryDirectory() as folder, Scratch(Path(folder), held) as scratch:
        with few_marks(marks):
            stitched = stitch(
                grid,
                blocks_of(case, grid),
                connectivity=case.connectivity,
                scratch=scratch,
                batch_size=batch_size,
            )
            ids = number_objects(stitched, smallest=smallest, before=before)
        assert not list(Path(folder).iterdir()), "files have no names"
    assert ids.ids.dtype == expected.dtype
    assert ids.ids.tobytes() == expected.tobytes()
    assert ids.num_objects == len(set(expected.tolist()) - {0})
    assert ids.num_objects + ids.num_small == stitched.num_objects


@st.composite
def pieces(draw: st.DrawFn) -> list[BlockPieces]:
    """Pieces of any seeds in any blocks; first voxels differ, and rise in each block."""
    highest = draw(st.sampled_from([3, 30, 2**32 - 1, 2**64 - 1]))
    seeds = draw(st.lists(st.lists(st.integers(1, highest), unique=True, max_size=8), max_size=12))
    count = sum(map(len, seeds))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    firsts, blocks = rng.permutation(count * 2)[:count], []
    for of_block in seeds:
        own, firsts = np.sort(firsts[: len(of_block)]), firsts[len(of_block) :]
        sizes = rng.integers(1, 5, len(of_block))
        dtype = np.uint32 if highest < 2**32 else np.uint64
        blocks.append(BlockPieces(np.array(of_block, dtype), sizes, own))
    return blocks


@given(pieces(), batch_sizes, held_bytes, st.sampled_from([1, 4, 4096]), st.integers(0, 9))
def test_batches_of_pieces_on_the_disk_give_the_ids_of_memory(
    blocks: list[BlockPieces], batch_size: int, held: int, page_size: int, smallest: int
) -> None:
    expected = ids_of_pieces(blocks, smallest=smallest)
    with (
        tempfile.TemporaryDirectory() as folder,
        Scratch(Path(folder), held) as scratch,
        few_marks(2),
        mock.patch.object(stored_pieces, "_PAGE_SIZE", page_size),
    ):
        joined = join_pieces(blocks, scratch=scratch, batch_size=batch_size)
        ids = number_objects(joined, smallest=smallest).ids
    assert joined.offsets.tolist() == np.cumsum([0, *(len(b.seeds) for b in blocks)]).tolist()
    assert ids.tolist() == expected.tolist()


@contextlib.contextmanager
def few_marks(marks: int) -> Iterator[None]:
    """Bands between fewer first voxels, so that few objects fill several bands."""
    with (
        mock.patch.object(joining, "BAND_MARKS", marks),
        mock.patch.object(ranking, "BAND_MARKS", marks),
    ):
        yield


def row_of_blocks(
    num_blocks: int, labels: np.ndarray
) -> tuple[BlockGrid, Iterator[BlockFragments]]:
    """A block again and again, along the first axis."""
    height, width = labels.shape
    grid = BlockGrid(Box.of_shape((num_blocks * height, width)), labels.shape)
    first = fragments_of_labels(labels, Box.of_shape(labels.shape), grid.region)

    def blocks() -> Iterator[BlockFragments]:
        for number in range(num_blocks):
            moved = first.first_voxels + number * labels.size
            yield BlockFragments(first.sizes, moved, first.low_faces, first.high_faces)

    return grid, blocks()


def teeth(side: int) -> np.ndarray:
    """Columns that go through all blocks."""
    return np.tile(np.where(np.arange(side) % 2, 0, np.arange(side) // 2 + 1), (side, 1))


def dots(side: int) -> np.ndarray:
    """Voxels that touch no other, one for each number."""
    labels = np.zeros((side, side), np.int64)
    labels[::2, ::2] = np.arange(1, (side // 2) ** 2 + 1).reshape(side // 2, -1)
    return labels


@pytest.mark.parametrize("pattern", [teeth, dots])
def test_memory_does_not_grow_with_the_number_of_objects(
    pattern: Callable[[int], np.ndarray], tmp_path: Path
) -> None:
    peaks = [peak_bytes(num_blocks, pattern(32), tmp_path) for num_blocks in (300, 1200)]
    # The dots are 230,400 objects more, and a number of 8 bytes for each would take 1.8 MB. What
    # grows is less than 1000 bytes for each batch, which is a block here.
    assert peaks[1] - peaks[0] < 10**6


def peak_bytes(num_blocks: int, labels: np.ndarray, folder: Path) -> int:
    grid, blocks = row_of_blocks(num_blocks, labels)
    tracemalloc.start()
    with few_marks(4), Scratch(folder, 1000) as scratch:
        numbered = rank(stitch(grid, blocks, scratch=scratch, batch_size=100))
        for _ in numbered.of_batches():
            pass
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_only_objects_on_waiting_faces_are_open() -> None:
    grid, blocks = row_of_blocks(50, dots(8))
    stitched = stitch(grid, blocks, batch_size=1)
    assert max(batch.num_open for batch in stitched.batches) == 0
    assert stitched.num_objects == 50 * 16
    grid, blocks = row_of_blocks(50, teeth(8))
    stitched = stitch(grid, blocks, batch_size=1)
    assert [batch.num_open for batch in stitched.batches[:-1]] == [4] * 49 + [0]
    assert stitched.num_objects == 4
