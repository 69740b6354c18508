"""Brings the places in a table into the order of the axes of the image."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.io.images.multiscale import ordered_axes
from bigunet.measuring.grey_columns import Columns


def in_image_order(band: Columns, axes: Sequence[str]) -> Columns:
    """The same columns, with centroids and bounding boxes in the order z, y, x.

    Parameters
    ----------
    band : dict of str to ndarray, (rows,)
    axes : sequence of str
        Names of the axes along which the objects were measured.

    Examples
    --------
    >>> in_image_order({"centroid-0": 7, "centroid-1": 1, "centroid-2": 2}, "xzy")
    {'centroid-0': 1, 'centroid-1': 2, 'centroid-2': 7}
    """
    source: dict[str, str] = {}
    for place, name in enumerate(ordered_axes(axes)):
        at = list(axes).index(name)
        for unit in ("", "_um"):
            source[f"centroid{unit}-{place}"] = f"centroid{unit}-{at}"
            source[f"bbox{unit}-{place}"] = f"bbox{unit}-{at}"
            source[f"bbox{unit}-{place + len(axes)}"] = f"bbox{unit}-{at + len(axes)}"
    return {name: band[source.get(name, name)] for name in band}
