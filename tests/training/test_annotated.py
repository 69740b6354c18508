"""Voxels that nobody annotated: neither the loss nor a score depends on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.discs import InMemory, discs, grey_of, sample_of

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import NOT_ANNOTATED, annotated, is_annotated
from bigunet.io.sources.connected import ConnectedLabels
from bigunet.model.networks.unet import UNetConfig
from bigunet.training.data.augment import Augmentation
from bigunet.training.data.census import take_census, weigh
from bigunet.training.data.lone_values import lone_value
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule, classes_of
from bigunet.training.data.weight_map import border_term
from bigunet.training.loss import weighted_cross_entropy
from bigunet.training.recipe import Recipe
from bigunet.training.segmented_samples import Segmented
from bigunet.training.validate import score_of

RULES = {
    "cells": TargetRule("cells"),
    "boundaries": TargetRule("boundaries"),
    "classes": TargetRule("classes", (0, 1, 2)),
}
SCORES = {"cells": "average-precision", "boundaries": "v-rand", "classes": "dice"}
IGNORED = 255


def partly(labels: np.ndarray, unknown: np.ndarray) -> Sample:
    """A sample in which nobody annotated some voxels; these are stored as 255."""
    stored = np.where(unknown, IGNORED, labels).astype(np.uint8)
    sample = sample_of(stored, grey_of(labels))
    return Sample(sample.image, annotated(sample.labels, (IGNORED,)), sample.grey_range)


@pytest.mark.parametrize("kind", RULES)
@given(number=st.integers(0, 10**6), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_loss_and_gradient_do_not_depend_on_scores_where_nothing_is_annotated(
    kind: str, number: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = discs(seed=seed) % 3
    unknown = np.kron(rng.random((6, 5)) < 0.6, np.ones((10, 10), bool))
    unknown[20:50, 20:50] = False
    rule = RULES[kind]
    field = UNetConfig(ndim=2, width=2, depth=1).receptive_field()
    recipe = Recipe(patch=12, border_sigma=2.0)
    weights = (1.0, 2.0, 3.0)[: rule.num_classes]
    source = PatchSource([partly(labels, unknown)], recipe, rule, weights, field)
    patch = source.draw(number)
    counts = torch.from_numpy(patch.weights)[None]
    assert (counts > 0).any()
    scores = torch.from_numpy(rng.normal(size=(1, rule.num_classes, *counts.shape[1:])))
    other = torch.where(counts[:, None] > 0, scores, scores + 9 * torch.randn_like(scores))
    results = []
    for one in (scores, other):
        one = one.clone().requires_grad_()
        loss = weighted_cross_entropy(one, torch.from_numpy(patch.classes)[None].long(), counts)
        (gradient,) = torch.autograd.grad(loss, one)
        assert not gradient[(counts == 0)[:, None].expand_as(gradient)].any()
        results.append((loss.detach(), gradient))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kind", RULES)
@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_voxel_has_no_weight_just_where_nobody_annotated_it(kind: str, number: int) -> None:
    labels = discs() % 3
    unknown = np.kron(np.random.default_rng(1).random((12, 10)) < 0.5, np.ones((5, 5), bool))
    sample = partly(labels, unknown)
    # The image shows which voxels are known. Beyond its edge it is mirrored, as the labels are.
    shown = np.where(unknown, 150, 40).astype(np.uint8)
    sample = replace(sample, image=InMemory(shown[None], "yx"))
    field = UNetConfig(ndim=2, width=2, depth=1).receptive_field()
    recipe = Recipe(
        patch=12, border_sigma=2.0, augmentation=Augmentation(warp_share=0.0, grey_share=0.0)
    )
    weights = (1.0, 2.0, 3.0)[: RULES[kind].num_classes]
    patch = PatchSource([sample], recipe, RULES[kind], weights, field).draw(number)
    inner = tuple(slice(b, n - b) for b, n in zip(field.border, patch.image.shape[1:]))
    np.testing.assert_array_equal(patch.weights == 0, patch.image[0][inner] > 0.5)


@pytest.mark.parametrize("kind", RULES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_scores_do_not_depend_on_classes_where_nothing_is_annotated(
    kind: str, data: st.DataObject
) -> None:
    rule, shape = RULES[kind], (24, 20)
    seed = data.draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    labels = (discs(shape, seed=seed, count=4) % 3).astype(np.int16)
    unknown = np.kron(rng.random((6, 5)) < 0.4, np.ones((4, 4), bool))
    labels[unknown] = NOT_ANNOTATED
    truth = classes_of(np.where(unknown, 0, labels), rule)
    noise = rng.integers(0, rule.num_classes, shape)
    wrong = np.where(rng.random(shape) < 0.05, noise, truth).astype(np.uint8)
    other = np.where(unknown, noise, wrong).astype(np.uint8)
    scores = [score_of([Segmented(labels, one)], rule, SCORES[kind]) for one in (wrong, other)]
    assert scores[0] == scores[1] or np.isnan(scores).all()


@given(st.integers(0, 999), st.sampled_from(["cells", "boundaries"]))
@settings(max_examples=30, deadline=None)
def test_voxels_that_nobody_annotated_are_no_neighbours(seed: int, kind: Any) -> None:
    """Voxels keep their class unless an unknown voxel lies within the border width."""
    labels = discs((24, 20), seed=seed, count=6).astype(np.int16)
    rule = TargetRule(kind)
    whole = classes_of(labels, rule)
    part = labels.copy()
    part[8:16, 5:12] = NOT_ANNOTATED
    known = is_annotated(part)
    classes = classes_of(part, rule)
    same = (classes == whole) & known
    near = np.zeros(labels.shape, bool)
    near[7:17, 4:13] = True
    assert same[~near].all()
    # Nearer voxels can differ only where they touched an object that is unknown now.
    apart = classes_of(np.where(known, labels, 0), rule)
    np.testing.assert_array_equal(classes[known], apart[known])
    assert not classes[~known].any()


def brute_force(labels: np.ndarray, sigma: float) -> np.ndarray:
    """The formula of the paper, for borders between voxels that are both annotated."""
    known = labels != NOT_ANNOTATED
    borders: dict[int, list[Any]] = {}
    for place in np.ndindex(labels.shape):
        for axis in range(labels.ndim):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                inside = 0 <= other[axis] < labels.shape[axis]
                both = inside and known[place] and known[tuple(other)] and labels[place] != 0
                if both and labels[place] != labels[tuple(other)]:
                    borders.setdefault(int(labels[place]), []).append(place)
    if len(borders) < 2:
        return np.zeros(labels.shape)
    voxels = np.array(list(np.ndindex(labels.shape)))
    distances = [
        np.linalg.norm(voxels[:, np.newaxis] - np.array(border), axis=2).min(axis=1)
        for border in borders.values()
    ]
    first, second = np.sort(distances, axis=0)[:2]
    return (10 * np.exp(-((first + second) ** 2) / (2 * sigma**2))).reshape(labels.shape)


@given(
    npst.arrays(
        np.int16,
        npst.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=6),
        elements=st.sampled_from([0, 0, 1, 2, 3, NOT_ANNOTATED, NOT_ANNOTATED]),
    )
)
@settings(deadline=None)
def test_the_edge_of_the_unknown_part_is_no_border_of_a_cell(labels: np.ndarray) -> None:
    term = border_term(labels, w0=10, sigma=2.0, spacing=(1.0,) * labels.ndim)
    np.testing.assert_allclose(term, brute_force(labels, 2.0), atol=1e-4)


def test_masks_give_no_object_where_nobody_annotated() -> None:
    stored = np.array([[1, 1, 255, 1], [0, 0, 255, 255]], np.uint8)
    source = ConnectedLabels(annotated(InMemory(stored[None], "yx"), (255,)), 2)
    u = NOT_ANNOTATED
    np.testing.assert_array_equal(source.read(Box((0, 0), (2, 4)))[0], [[1, 1, u, 2], [0, 0, u, u]])
    # Beyond the image, labels are mirrored, unknown ones too.
    np.testing.assert_array_equal(source.read(Box((0, 2), (1, 6)))[0], [[u, 2, u, 1]])


def test_shares_count_annotated_voxels_only_and_a_voxel_weighs_1_on_average() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[:, 30:] = 1
    unknown = np.zeros(labels.shape, bool)
    unknown[:, :20] = True
    sample = partly(labels, unknown)
    census = take_census([sample], RULES_OF_TWO, warped_ndim=2)
    assert census.class_shares == (0.5, 0.5)
    assert census.shares == (0.5,)
    assert census.annotated == (Box((0, 20), (40, 40)),)
    (weighed,) = weigh([sample], census, "voxels")
    assert weighed.weight == 800
    field = UNetConfig(ndim=2, width=2, depth=1).receptive_field()
    source = PatchSource(
        [weighed], Recipe(patch=8), RULES_OF_TWO, (1.0, 1.0), field, annotated_share=0.5
    )
    patches = [source.draw(k) for k in range(20)]
    assert {float(v) for patch in patches for v in np.unique(patch.weights)} <= {0.0, 2.0}


RULES_OF_TWO = TargetRule("classes", (0, 1))


def test_a_patch_is_drawn_until_it_has_an_annotated_voxel() -> None:
    labels = discs() % 2
    unknown = np.ones(labels.shape, bool)
    unknown[3:5, 40:42] = unknown[55:58, 3:5] = False
    field = UNetConfig(ndim=2, width=2, depth=1).receptive_field()
    recipe = Recipe(patch=8)
    source = PatchSource([partly(labels, unknown)], recipe, RULES_OF_TWO, (1.0, 1.0), field)
    assert all(source.draw(k).weights.any() for k in range(20))


def test_an_image_without_annotated_voxels_is_named() -> None:
    sample = partly(discs(), np.ones((60, 50), bool))
    with pytest.raises(TrainingError, match="nobody annotated a voxel of memory labels"):
        take_census([sample], RULES["cells"], warped_ndim=2)


@pytest.mark.parametrize(
    ("values", "lone"),
    [
        ([0, 255], None),  # a mask
        ([0, 1], None),
        ([0, 1, 255], 255),
        ([1, 2, 3, 65535], 65535),
        ([0, 1, 2, 99], 99),
        ([0, 128, 255], None),  # greys of three classes
        ([0, 85, 170, 255], None),
        ([0, 1, 2, 20], None),
        (list(range(256)), None),
    ],
)
def test_a_lone_value_is_far_above_all_others(values: list[int], lone: int | None) -> None:
    assert lone_value(values) == lone
