"""Connected components of pairs of numbers."""

from __future__ import annotations

import numpy as np


def components(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which numbers are connected by pairs.

    Parameters
    ----------
    pairs : ndarray of int64, (2, num_pairs)

    Returns
    -------
    members : ndarray of int64, (num_members,)
        All numbers of the pairs, in ascending order.
    component : ndarray of int32, (num_members,)
        The component of each, from 0.

    Examples
    --------
    >>> components(np.array([[5, 9, 7], [7, 30, 5]]))
    (array([ 5,  7,  9, 30]), array([0, 0, 1, 1], dtype=int32))
    """
    # Imported here: only the process that joins objects needs it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    members, ends = np.unique(pairs, return_inverse=True)
    first_ends, second_ends = ends.reshape(pairs.shape).astype(np.int32)
    ones = np.ones(len(first_ends), np.int8)
    graph = coo_array((ones, (first_ends, second_ends)), shape=(len(members), len(members)))
    _, component = connected_components(graph, directed=True, connection="weak")
    return members, component
