"""Fragments that touch are one object, numbered in the order of the first fragments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bigunet.objects.stitching import _connected


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, np.ndarray]:
    nodes = draw(st.integers(1, 60))
    node = st.integers(0, nodes - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=90))
    return nodes, np.array(pairs, np.int64).reshape(-1, 2).T


@given(graphs())
def test_components_are_those_of_scipy_in_the_same_order(graph: tuple[int, np.ndarray]) -> None:
    num_nodes, (first, second) = graph
    links = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(num_nodes,) * 2)
    expected, numbers = connected_components(links, directed=True, connection="weak")
    count, components = _connected(num_nodes, graph[1])
    assert count == expected
    assert components.tolist() == numbers.tolist()


@pytest.mark.parametrize("order", ["ascending", "from both ends", "random"])
def test_a_chain_of_fragments_is_one_object(order: str) -> None:
    nodes = np.arange(5000)
    if order == "from both ends":
        nodes = np.stack([nodes[:2500], nodes[:2499:-1]], axis=1).ravel()
    elif order == "random":
        nodes = np.random.default_rng(0).permutation(nodes)
    count, components = _connected(5000, np.stack([nodes[:-1], nodes[1:]]))
    assert count == 1
    assert not components.any()


def test_without_fragments_there_is_no_object() -> None:
    count, components = _connected(0, np.zeros((2, 0), np.int64))
    assert (count, components.tolist()) == (0, [])
