"""Laws of the weight map: it equals the formula, whichever part is computed at a time."""

from __future__ import annotations

import itertools
import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from weight_map import field_of_cells

from bigunet.errors import TrainingError
from bigunet.training.data.weight_map import border_reach, border_term, class_weights

SPACINGS = st.sampled_from([1.0, 1.0, 2.0, 3.7])
SIGMAS = st.sampled_from([0.4, 1.0, 2.5])


@st.composite
def labelled(draw: st.DrawFn, max_side: int = 7) -> dict[str, Any]:
    """A label image of 1 to 3 axes with few or many cells, a spacing, and a sigma."""
    values = draw(st.sampled_from([[0, 0, 0, 4], [0, 0, 1, 2, -3], list(range(40))]))
    shape = draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=max_side))
    labels = draw(npst.arrays(np.int64, shape, elements=st.sampled_from(values)))
    if draw(st.booleans()):
        labels = np.kron(labels, np.ones((2,) * labels.ndim, np.int64))
    spacing = draw(st.tuples(*(SPACINGS,) * labels.ndim))
    return {"labels": labels, "sigma": draw(SIGMAS), "spacing": spacing}


def brute_force(labels: np.ndarray, *, w0: float, sigma: float, spacing: Any) -> np.ndarray:
    """The formula of the paper, with the distance of every voxel to every border voxel."""
    unit = np.array(spacing) / min(spacing)
    borders: dict[int, list[Any]] = {}
    for place in np.ndindex(labels.shape):
        if labels[place] != 0 and leaves_its_cell(labels, place):
            borders.setdefault(int(labels[place]), []).append(place * unit)
    if len(borders) < 2:
        return np.zeros(labels.shape)
    voxels = np.array(list(np.ndindex(labels.shape))) * unit
    distances = [
        np.linalg.norm(voxels[:, np.newaxis] - np.array(border), axis=2).min(axis=1)
        for border in borders.values()
    ]
    first, second = np.sort(distances, axis=0)[:2]
    return (w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))).reshape(labels.shape)


def leaves_its_cell(labels: np.ndarray, place: tuple[int, ...]) -> bool:
    for axis, step in itertools.product(range(labels.ndim), (-1, 1)):
        other = list(place)
        other[axis] += step
        inside = 0 <= other[axis] < labels.shape[axis]
        if inside and labels[tuple(other)] != labels[place]:
            return True
    return False


@pytest.mark.parametrize("crowded", [0, math.inf], ids=["in sets", "one by one"])
@given(case=labelled(max_side=5), w0=st.sampled_from([0.5, 10.0]))
@settings(deadline=None)
def test_the_border_term_is_the_formula_of_the_paper(
    crowded: float, case: dict[str, Any], w0: float
) -> None:
    labels, sigma, spacing = case["labels"], case["sigma"], case["spacing"]
    with mock.patch("bigunet.training.data.weight_map._CROWDED", crowded):
        term = border_term(labels, w0=w0, sigma=sigma, spacing=spacing)
    expected = brute_force(labels, w0=w0, sigma=sigma, spacing=spacing)
    assert term.dtype == np.float32
    np.testing.assert_allclose(term, expected, rtol=2e-7, atol=1e-8 * w0)


@given(labelled(), st.data())
def test_a_part_with_its_reach_around_equals_the_part_of_the_whole(
    case: dict[str, Any], data: st.DataObject
) -> None:
    labels, numbers = case["labels"], {"w0": 10.0, "sigma": 0.4, "spacing": case["spacing"]}
    reach = border_reach(ndim=labels.ndim, **numbers)
    whole = border_term(labels, **numbers)
    part, around = [], []
    for size, r in zip(labels.shape, reach):
        start = data.draw(st.integers(0, size - 1))
        stop = data.draw(st.integers(start + 1, size))
        part.append(slice(start, stop))
        around.append(slice(max(0, start - r), stop + r))
    within = tuple(slice(p.start - a.start, p.stop - a.start) for p, a in zip(part, around))
    term = border_term(labels[tuple(around)], **numbers)[within]
    np.testing.assert_allclose(term, whole[tuple(part)], rtol=1e-6)


@given(labelled(max_side=5))
def test_a_mirror_around_the_image_changes_nothing(case: dict[str, Any]) -> None:
    labels, numbers = case["labels"], {"w0": 10.0, "sigma": 0.4, "spacing": case["spacing"]}
    reach = border_reach(ndim=labels.ndim, **numbers)
    mirrored = np.pad(labels, [(r, r) for r in reach], mode="reflect")
    inner = tuple(slice(r, r + n) for r, n in zip(reach, labels.shape))
    term = border_term(mirrored, **numbers)[inner]
    np.testing.assert_allclose(term, border_term(labels, **numbers), rtol=1e-6)


@given(labelled(), st.sampled_from([0.2, 7.0]))
def test_only_the_ratios_of_the_spacing_matter(case: dict[str, Any], factor: float) -> None:
    labels, sigma, spacing = case["labels"], case["sigma"], case["spacing"]
    first = border_term(labels, w0=10, sigma=sigma, spacing=spacing)
    scaled = tuple(factor * size for size in spacing)
    again = border_term(labels, w0=10, sigma=sigma, spacing=scaled)
    np.testing.assert_allclose(again, first, rtol=1e-5, atol=1e-6)


@given(labelled())
def test_the_numbers_of_cells_do_not_matter(case: dict[str, Any]) -> None:
    labels = case.pop("labels")
    renumbered = np.where(labels == 0, 0, 2**63 + labels.astype(np.uint64) * np.uint64(5))
    np.testing.assert_array_equal(
        border_term(renumbered.astype(np.uint64), w0=10, **case),
        border_term(labels, w0=10, **case),
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((5, 6), np.uint8),  # no cell
        np.ones((5, 6), np.uint8),  # one cell that fills the image and has no border
        np.kron([[0, 3], [0, 0]], np.ones((4, 4), int)),  # one cell
        np.zeros((0, 4), int),
    ],
)
def test_fewer_than_two_cells_have_no_border_term(labels: np.ndarray) -> None:
    assert not border_term(labels, w0=10, sigma=5, spacing=(1, 1)).any()


def test_cells_one_by_one_and_in_sets_give_the_same() -> None:
    """The first image is computed cell by cell; the second, with cells in two pieces, in sets."""
    field = field_of_cells((180, 180), 200)
    labels = np.concatenate([field, np.zeros((60, 180), int), field])
    numbers = {"w0": 10.0, "sigma": 3.0, "spacing": (1.0, 1.0)}
    alone = border_term(field, **numbers)
    twice = border_term(labels, **numbers)
    np.testing.assert_array_equal(twice[:160], alone[:160])
    np.testing.assert_array_equal(twice[-160:], alone[-160:])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"w0": -1.0}, "w0 is -1.0; give 0 or more"),
        ({"sigma": 0.0}, "sigma is 0.0; give a positive"),
        ({"spacing": (1.0,)}, r"spacing is \(1.0,\); give 2"),
        ({"spacing": (1.0, 0.0)}, r"spacing is \(1.0, 0.0\); give 2"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, Any], message: str) -> None:
    given_numbers = {"w0": 10.0, "sigma": 5.0, "spacing": (1.0, 1.0), **numbers}
    with pytest.raises(TrainingError, match=message):
        border_term(np.zeros((3, 3), int), **given_numbers)


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(TrainingError, match="labels are float64"):
        border_term(np.zeros((3, 3)), w0=10, sigma=5, spacing=(1, 1))


def test_no_weight_means_no_reach_and_no_term() -> None:
    numbers = {"w0": 0.0, "sigma": 5.0, "spacing": (1.0, 1.0)}
    assert border_reach(ndim=2, **numbers) == (0, 0)
    assert not border_term(np.array([[1, 2], [0, 3]]), **numbers).any()


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=9), st.floats(0, 2))
def test_class_weights_are_1_on_average_and_follow_the_inverse_frequency(
    counts: list[int], balance: float
) -> None:
    weights = class_weights(counts, balance=balance)
    shares = np.array(counts) / sum(counts)
    assert math.isclose((shares * weights).sum(), 1)
    np.testing.assert_allclose(np.divide(weights, weights[0]), (shares / shares[0]) ** -balance)


def test_a_class_without_voxels_is_named() -> None:
    with pytest.raises(TrainingError, match="no voxel is of class 1, 3;"):
        class_weights([5, 0, 7, 0], balance=1)
