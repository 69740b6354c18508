"""Grey values as a network sees them, and labels drawn over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.report.overlay import Color, outlines

_FRAME = (140, 140, 140)
_MARK = (255, 255, 255), (0, 0, 0)


def seen_grey(voxels: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """A picture of grey values: those that a network reads as 0 are black, as 1 white.

    Parameters
    ----------
    voxels : ndarray, (channel, y, x)
        The first three are red, green and blue. Of one or two, the first is shown.
    low, high : sequence of float
        Grey range of each channel.

    Returns
    -------
    ndarray of uint8, (y, x, 3)
    """
    shown = [0, 1, 2] if len(voxels) >= 3 else [0, 0, 0]
    planes = []
    for k in shown:
        share = (np.nan_to_num(voxels[k].astype(np.float64)) - low[k]) / (high[k] - low[k])
        planes.append((np.clip(share, 0, 1) * 255).round().astype(np.uint8))
    return np.stack(planes, axis=2)


def tinted(
    picture: np.ndarray, labels: np.ndarray, colors: Sequence[Color], strength: float
) -> np.ndarray:
    """A copy of a picture with a tint where a label is not 0.

    Parameters
    ----------
    picture : ndarray of uint8, (y, x, 3)
    labels : ndarray of int, (y, x)
    colors : sequence of (red, green, blue)
        One colour for each label.
    strength : float
        From 0, no tint, to 1, nothing but colour.
    """
    result, inside = picture.astype(np.float64), labels > 0
    colored = np.asarray(colors, float)[labels[inside]]
    result[inside] = (1 - strength) * result[inside] + strength * colored
    return result.round().astype(np.uint8)


def outlined(
    picture: np.ndarray, labels: np.ndarray, colors: Sequence[Color], ids: np.ndarray
) -> np.ndarray:
    """A copy of a picture with the outline of each object in the colour of its class.

    Parameters
    ----------
    picture : ndarray of uint8, (y, x, 3)
    labels : ndarray of int, (y, x)
        The class of each voxel.
    colors : sequence of (red, green, blue)
    ids : ndarray of int, (y, x)
        Number of the object of each voxel, or its class where there are no objects.
    """
    result, edge = picture.copy(), outlines(ids) & (labels > 0)
    result[edge] = np.asarray(colors, np.uint8)[labels[edge]]
    return result


def framed(picture: np.ndarray, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """A picture in a grey frame with marks where lines between rows or columns end.

    Parameters
    ----------
    picture : ndarray of uint8, (y, x, 3)
    rows, columns : sequence of int
        A mark stands before the row or column of this number.
    """
    frame = max(4, max(picture.shape[:2]) // 40)
    result = np.pad(picture, ((frame, frame), (frame, frame), (0, 0)))
    border = np.ones(result.shape[:2], bool)
    border[frame:-frame, frame:-frame] = False
    result[border] = _FRAME
    for axis, places in enumerate((rows, columns)):
        for place in places:
            for side, color in enumerate(_MARK):
                at = place + frame - 1 + side
                line = (slice(at, at + 1), slice(None)) if axis == 0 else (slice(None), at)
                mark = np.zeros(border.shape, bool)
                mark[line] = True
                result[mark & border] = color
    return result
