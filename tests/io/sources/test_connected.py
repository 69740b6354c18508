"""Law of objects of masks: they are connected across the whole plane, whatever box is read."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.discs import InMemory

from bigunet.geometry import Box
from bigunet.io.sources.connected import ConnectedLabels
from bigunet.labels import connected


@given(st.integers(0, 10_000), st.sampled_from([2, 3]))
@settings(deadline=None)
def test_objects_of_a_box_are_those_of_the_whole(seed: int, ndim: int) -> None:
    rng = np.random.default_rng(seed)
    masks = (rng.random((3, 9, 11)) < 0.6).astype(np.uint8) * 255
    labels = ConnectedLabels(InMemory(masks[np.newaxis], "zyx"), ndim)
    whole = labels.read(Box.of_shape(masks.shape))[0]
    planes = [masks] if ndim == 3 else list(masks)
    expected = np.stack([connected(plane) for plane in planes]).reshape(masks.shape)
    np.testing.assert_array_equal(whole, expected)
    start = tuple(int(rng.integers(-5, 5)) for _ in range(3))
    box = Box(start, tuple(a + int(rng.integers(1, 12)) for a in start))
    mirrored = np.pad(whole, 30, mode="reflect")
    inside = tuple(slice(a + 30, b + 30) for a, b in zip(box.start, box.stop))
    copy = pickle.loads(pickle.dumps(labels))
    np.testing.assert_array_equal(copy.read(box)[0], mirrored[inside])
