"""The demo's mosaic: its seams are the cheapest, and no edge of a field is seen."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bigunet.bundled.mosaic import _OVERLAP, bundled_fields, mosaic, seam

COSTS = arrays(
    np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.integers(0, 9)
)


@given(COSTS)
def test_a_seam_is_the_cheapest_of_all_paths(cost: np.ndarray) -> None:
    rows, columns = cost.shape
    paths = [
        path
        for path in itertools.product(range(columns), repeat=rows)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(path))
    ]
    found = tuple(seam(cost))
    assert found in paths
    assert sum(cost[range(rows), found]) == min(sum(cost[range(rows), path]) for path in paths)


@settings(max_examples=8)
@given(st.tuples(st.integers(1, 140), st.integers(1, 150)))
def test_a_mosaic_has_the_voxels_of_its_fields_where_none_overlap(shape: tuple[int, int]) -> None:
    fields = [np.full((110, 120), 50 * k, np.uint8) for k in range(1, 5)]
    image = mosaic(fields, shape)
    assert image.shape == shape
    alone = image[: 110 - _OVERLAP, : 120 - _OVERLAP]
    assert set(np.unique(alone)) <= {50, 100, 150, 200}
    assert image.min() >= 50
    assert (mosaic(fields, shape) == image).all()


def test_no_edge_of_a_field_is_seen_in_the_mosaic() -> None:
    fields = bundled_fields()
    rows = fields[0].shape[0]
    image = mosaic(fields, (2 * rows - _OVERLAP, 300)).astype(int)
    steps = np.abs(np.diff(image, axis=0)).mean(axis=1)
    inside = steps[: rows - _OVERLAP - 2]
    # With the edge of the lower field as it is, the largest step is 12 grey values, inside 2.
    assert steps.max() <= 1.2 * inside.max()
