"""The places in a table are in the order of the image, whatever order was measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.stored_objects import objects

import bigunet
from bigunet.measuring.axis_order import in_image_order

SIZE = {"z": 2.0, "y": 0.5, "x": 0.25}


@pytest.mark.parametrize("axes", list(map("".join, itertools.permutations("zyx"))))
def test_places_of_turned_labels_become_those_of_the_labels(axes: str) -> None:
    labels = objects((12, 15, 19))
    expected = bigunet.measure(labels, voxel_size_um=tuple(SIZE.values()))
    turned = bigunet.measure(
        labels.transpose(["zyx".index(name) for name in axes]),
        voxel_size_um=tuple(SIZE[name] for name in axes),
    )
    columns = in_image_order(turned, axes)
    assert list(columns) == list(expected)
    places = [name for name in expected if name.startswith(("centroid", "bbox"))]
    assert len(places) == 18
    assert all(np.array_equal(columns[name], expected[name]) for name in places)


def test_places_in_a_plane_keep_their_order() -> None:
    table = bigunet.measure(objects((12, 15)))
    assert list(in_image_order(table, "zx").values()) == list(table.values())
