"""Laws of the numbers that the dashboard's panel gets of a run."""

from __future__ import annotations

import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.engine.dashboard.stage_progress import BlockMap, StageProgress
from bigunet.engine.stage import Index, Stage
from bigunet.events import BlockDone
from bigunet.geometry import Box


def grid_of(*counts: int, block: int = 10, start: int = 0) -> BlockGrid:
    """A grid with these numbers of blocks along its axes."""
    ndim = len(counts)
    box = Box((start,) * ndim, tuple(start + block * n for n in counts))
    return BlockGrid(box, (block,) * ndim)


def axes_of(grid: BlockGrid) -> tuple[str, ...]:
    return tuple("tzyx"[-grid.region.ndim :])


def stage_of(grid: BlockGrid, name: str = "segment") -> Stage:
    return Stage(
        name, grid.num_blocks, lambda: iter(()), lambda index: 0, dict, grid, axes_of(grid)
    )


def done(index: Index, number: int, seconds: float = 0.5, voxels: int = 100) -> BlockDone:
    result = {"voxels": voxels, "compute_seconds": seconds}
    return BlockDone("segment", index, result, number, 10**9)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.data())
def test_the_map_has_the_share_done_of_each_column(counts: list[int], data: st.DataObject) -> None:
    grid = grid_of(*counts)
    numbers = data.draw(st.sets(st.integers(0, math.prod(counts) - 1)))
    by_number, by_index = BlockMap(grid, axes_of(grid)), BlockMap(grid, axes_of(grid))
    by_number.add_numbers(numbers)
    columns = [0] * math.prod(counts[-2:])
    for number in numbers:
        index, left = [], number
        for count in reversed(counts):
            index.insert(0, left % count)
            left //= count
        by_index.add(tuple(index))
        columns[number % len(columns)] += 1
    depth = math.prod(counts[:-2])
    assert by_index.to_dict() == by_number.to_dict()
    assert by_index.to_dict()["shares"] == [round(n / depth, 4) for n in columns]


def test_the_map_is_in_voxels_of_the_image_and_ends_with_it() -> None:
    grid = BlockGrid(Box((0, 100, 7), (3, 128, 30)), (1, 16, 8))
    state = BlockMap(grid, axes_of(grid)).to_dict()
    assert state["axes"] == ["y", "x"]
    assert state["edges"] == [[100, 116, 128], [7, 15, 23, 30]]
    assert len(state["shares"]) == 2 * 3


def test_a_huge_grid_is_drawn_in_few_cells_that_end_up_full() -> None:
    grid = grid_of(3, 130, 65)
    drawn = BlockMap(grid, axes_of(grid))
    drawn.add_numbers(range(math.prod(grid.shape) - 1))
    state = drawn.to_dict()
    rows, columns = (len(edges) - 1 for edges in state["edges"])
    assert (rows, columns) == (44, 33)
    assert state["shares"][:-1] == [1.0] * (rows * columns - 1)
    # One row and one column are left for the last cell, of which one block of three is missing.
    assert state["shares"][-1] == pytest.approx(2 / 3, abs=1e-4)


def test_the_state_does_not_grow_with_the_number_of_blocks() -> None:
    side = 400
    grid = grid_of(side, side)
    progress, sizes = StageProgress("out"), []
    progress.begin(stage_of(grid), 0, (), now=0.0)
    for number in range(side * side // 4):
        # Ten blocks a second, each on the other side of the image.
        progress.advance(done((number % side, number // side), number + 1), now=number / 10)
        if number % 5000 == 4999:
            sizes.append(len(msgpack.packb(progress.to_dict())))
    assert max(sizes[1:]) < 1.2 * sizes[1] < 100_000
    assert len(progress.to_dict()["samples"]["speed"]) < 240


def test_speed_share_and_time_left_are_those_of_the_stage() -> None:
    progress = StageProgress("out")
    progress.num_workers = 2
    progress.begin(stage_of(grid_of(4, 4)), 6, range(6), now=100.0)
    begun = progress.to_dict()
    assert (begun["num_done"], begun["seconds_left"], begun["speed"]) == (6, None, None)
    assert sum(begun["map"]["shares"]) == 6
    for k in range(4):
        # Every 2 s a block for which a device computed for 3 s; there are two.
        progress.advance(done((2, k), 7 + k, 3.0, voxels=10**6), now=102.0 + 2 * k)
    state = progress.to_dict()
    assert state["num_done"] == 10
    assert state["seconds_left"] == 6 * 2.0
    assert state["speed"] == 0.5
    assert state["device_share"] == 0.75
    assert state["samples"] == {"seconds": [8.0], "speed": [0.5], "device_share": [0.75]}
    assert state["totals"] == {
        "segment": {"blocks": 4, "voxels": 4 * 10**6, "compute_seconds": 12.0}
    }


def test_joined_samples_keep_the_speed_of_the_whole_time() -> None:
    progress = StageProgress("out")
    progress.begin(stage_of(grid_of(1000)), 0, (), now=0.0)
    for k in range(1000):
        progress.advance(done((k,), k + 1, voxels=10**6), now=float(k + 1))
    samples = progress.to_dict()["samples"]
    assert set(samples["speed"]) == {1.0}
    assert samples["seconds"] == sorted(samples["seconds"])
    assert samples["seconds"][-1] > 900


def test_a_stage_that_computes_nothing_leaves_the_speed_of_the_one_before() -> None:
    progress = StageProgress("out")
    progress.begin(stage_of(grid_of(2, 2)), 0, (), now=0.0)
    for k in range(4):
        progress.advance(done((k // 2, k % 2), k + 1, voxels=10**6), now=float(k + 1))
    before = progress.to_dict()["samples"]
    progress.begin(stage_of(grid_of(1, 1), "downsample1"), 0, (), now=5.0)
    progress.advance(BlockDone("downsample1", (0, 0), {"voxels": 10**9}, 1, 1), now=5.1)
    state = progress.to_dict()
    assert state["samples"] == before
    assert (state["stage"], state["device_share"]) == ("downsample1", None)
    assert state["map"]["shares"] == [1.0]


def test_a_stage_without_a_grid_or_blocks_has_a_map_too() -> None:
    progress = StageProgress("out")
    assert progress.to_dict() == {"output": "out", "stage": ""}
    for blocks in (0, 3):
        bare = Stage("merge", blocks, lambda: iter(()), lambda index: index[0], dict)
        progress.begin(bare, 0, (), now=0.0)
        drawn = progress.to_dict()["map"]
        assert drawn["shares"] == [0.0] * blocks
        assert drawn["axes"] == ["", ""]
