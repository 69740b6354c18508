"""Thinned borders: segments keep their voxels and grow, and lines of 0 remain between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from bigunet.metrics.thinning import segments_of, thin_borders

LAW = settings(deadline=None)  # a busy machine stalls for longer than a law takes
SHAPES = st.sampled_from([(12,), (6, 7), (3, 4, 5)])
MAPS = SHAPES.flatmap(lambda shape: npst.arrays(bool, shape))


def neighbours(labels: np.ndarray, place: tuple[int, ...]) -> Iterator[int]:
    for axis in range(labels.ndim):
        for step in (-1, 1):
            beside = list(place)
            beside[axis] += step
            if 0 <= beside[axis] < labels.shape[axis]:
                yield int(labels[tuple(beside)])


@LAW
@given(MAPS)
def test_segments_keep_their_voxels_and_stay_apart(interior: np.ndarray) -> None:
    before = segments_of(interior)
    after = thin_borders(before)
    assert (after[interior] == before[interior]).all()
    for place in np.argwhere(after > 0):
        assert set(neighbours(after, tuple(place))) <= {0, int(after[tuple(place)])}
    for label in range(1, int(before.max()) + 1):
        assert ndimage.label(after == label)[1] == 1


@LAW
@given(MAPS)
def test_only_voxels_between_segments_remain(interior: np.ndarray) -> None:
    after = thin_borders(segments_of(interior))
    for place in np.argwhere(after == 0):
        beside = set(neighbours(after, tuple(place))) - {0}
        assert len(beside) != 1


@LAW
@given(MAPS)
def test_thinning_twice_is_thinning_once(interior: np.ndarray) -> None:
    once = thin_borders(segments_of(interior))
    np.testing.assert_array_equal(thin_borders(once), once)


def by_a_queue(labels: np.ndarray) -> np.ndarray:
    """Thinning of a plane by its definition, voxel after voxel."""
    height, width = labels.shape
    after = labels.copy()

    def around(y: int, x: int) -> list[tuple[int, int]]:
        near = [(y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)]
        return [(v, u) for v, u in near if 0 <= v < height and 0 <= u < width]

    queue: list[tuple[int, int]] = []
    for y, x in zip(*np.nonzero(labels)):
        queue += [p for p in around(y, x) if not labels[p] and p not in queue]
    for place in queue:  # the loop appends to it
        beside = {int(after[p]) for p in around(*place)} - {0}
        if len(beside) == 1:
            after[place] = beside.pop()
            queue += [p for p in around(*place) if not after[p] and p not in queue]
    return after


@LAW
@given(npst.arrays(bool, (6, 7), elements=st.sampled_from([True, False, False])))
def test_segments_grow_in_the_order_in_which_they_reach_voxels(interior: np.ndarray) -> None:
    labels = segments_of(interior)
    np.testing.assert_array_equal(thin_borders(labels), by_a_queue(labels))


def test_a_wide_wall_becomes_a_line_in_its_middle() -> None:
    interior = np.ones((5, 11), bool)
    interior[:, 3:8] = False
    expected = np.repeat([[1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2]], 5, axis=0)
    np.testing.assert_array_equal(thin_borders(segments_of(interior)), expected)


def test_segments_are_connected_over_faces_only() -> None:
    assert segments_of(np.eye(3, dtype=bool)).max() == 3
    corner = np.zeros((2, 2, 2), bool)
    corner[0, 0, 0] = corner[0, 1, 1] = True
    assert segments_of(corner).max() == 2


def test_each_label_is_a_segment() -> None:
    labels = np.array([5, 5, 0, 0, 9], np.uint16)
    assert thin_borders(segments_of(labels)).tolist() == [5, 5, 5, 0, 9]


def test_without_a_segment_nothing_grows() -> None:
    assert not thin_borders(np.zeros((3, 3), int)).any()
