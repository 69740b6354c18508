"""Validation segments as ``segment`` does, and scores each plane once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.discs import discs, grey_of, sample_of
from support.whole_pass import whole_scores, wrong_labels

from bigunet import Model
from bigunet.geometry import Box
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.training import segmented_samples
from bigunet.training.data.targets import TargetRule, classes_of
from bigunet.training.segmented_samples import Segmented, segment_samples
from bigunet.training.validate import equal_labels, score_of

CELLS = TargetRule("cells")


def model_of(ndim: int) -> Model:
    torch.manual_seed(ndim)
    module = UNet(UNetConfig(ndim=ndim, classes=3, width=4, depth=1)).initialise()
    return Model.of_module(module, ndim=ndim, classes=["background", "cell", "border"])


MODELS = {ndim: model_of(ndim) for ndim in (2, 3)}


@pytest.mark.parametrize(("ndim", "axes"), [(2, 2), (2, 3), (3, 3)])
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_validated_is_one_pass_over_the_mirrored_image(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject, ndim: int, axes: int
) -> None:
    monkeypatch.setattr(
        segmented_samples, "_TILE_VOXELS", 12**ndim
    )  # many tiles, as large images have
    shape = tuple(data.draw(st.integers(3, 30 if axes == 2 else 14)) for _ in range(axes))
    labels = discs(shape, seed=data.draw(st.integers(0, 99)))
    sample = sample_of(labels, grey_of(labels))
    segmented = list(segment_samples(MODELS[ndim], [sample], device="cpu"))
    image = sample.image.read(Box.of_shape(shape))
    planes = [image] if axes == ndim else [image[:, z] for z in range(shape[0])]
    assert len(segmented) == len(planes)
    for one, plane in zip(segmented, planes):
        scores = whole_scores(MODELS[ndim], plane, 40.0, 150.0)
        assert wrong_labels(one.classes, scores) == 0
    np.testing.assert_array_equal(
        np.concatenate([one.truth.ravel() for one in segmented]), labels.ravel()
    )


def test_of_a_large_sample_the_middle_is_segmented() -> None:
    labels = discs((40, 40))
    (one,) = segment_samples(MODELS[2], [sample_of(labels)], device="cpu", max_voxels=400)
    np.testing.assert_array_equal(one.truth, labels[10:30, 10:30])


@pytest.mark.parametrize("name", ["average-precision", "v-rand", "dice"])
def test_the_truth_itself_scores_1_and_less_scores_less(name: str) -> None:
    labels = discs(count=4).astype(np.int32)
    classes = classes_of(labels, TargetRule("cells", border_width=1))
    assert score_of(iter([Segmented(labels, classes)]), CELLS, name) == pytest.approx(1, abs=1e-6)
    worse = classes.copy()
    worse[5:] = 0
    assert score_of(iter([Segmented(labels, worse)]), CELLS, name) < 0.9


def test_equal_labels_are_counted_over_all_planes() -> None:
    same = np.zeros((4, 4), np.uint8)
    other = same.copy()
    other[0] = 1
    first = [Segmented(same, same), Segmented(same, same)]
    second = [Segmented(same, same), Segmented(same, other)]
    assert equal_labels(iter(first), iter(second)) == 28 / 32
