"""The verb ``measure``: the table of objects, block by block, of arrays or of stored images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import OptionError
from bigunet.measuring.array_voxels import ArrayVoxels
from bigunet.measuring.blockwise import checked_block_shape, sums_of_blocks, usual_block_shape
from bigunet.measuring.described import Described
from bigunet.measuring.merging import merged_all
from bigunet.measuring.stored_voxels import StoredVoxels
from bigunet.measuring.table import table_of


def measure(
    labels: Any,
    image: Any = None,
    *,
    probability: Any = None,
    frames: int | Sequence[str] = 0,
    voxel_size_um: float | Sequence[float] | None = None,
    class_name: str | None = None,
    block_shape: Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """Measure objects: the table that has one row an object, the same for any blocks.

    Parameters
    ----------
    labels : array_like of int, (*frames, y, x) or (*frames, z, y, x), or str or Path
        0 is no object, and each other value is one object. A numpy array, or any array that slices,
        such as one of zarr; or the path of a label image: OME-Zarr, zarr, TIFF or PNG.
    image : array_like, or str or Path, optional
        Grey values, of the shape of ``labels``, or with an axis of channels before it. A path, if
        the labels are one: all channels of the level that fits.
    probability : array_like, optional
        Probability of the objects' class, of the shape of ``labels``: 0 to 1, or whole numbers from
        0 to the greatest of their type.
    frames : int or sequence of str, optional
        Number of the axes of ``labels`` that are no space, or their names, such as ``["t"]``; each
        frame is measured on its own, and an id in two frames has two rows. The names are those of
        the columns, by default ``frame``. Labels at a path have names of their own.
    voxel_size_um : float or sequence of float, optional
        Micrometres of a voxel: one number, or one per axis of space. Images at paths say it
        themselves, most often.
    class_name : str, optional
        Class of the objects, for the column ``class``.
    block_shape : sequence of int, optional
        Voxels that are read at a time, per axis. It changes memory and time, and no number of the
        table.

    Returns
    -------
    dict of str to ndarray, (objects,)
        One array a column, ascending by frame, then by label; ``pandas.DataFrame`` takes it. As in
        ``skimage.measure.regionprops_table``: ``label``; ``area`` (voxels, in 3D as well);
        ``centroid-0`` and so on; ``bbox-0`` and so on (first voxel, then the voxel after the last);
        ``axis_major_length``, ``axis_minor_length``; ``equivalent_diameter_area``;
        ``eccentricity`` and ``orientation`` (2D); ``intensity_mean``, ``intensity_std``,
        ``intensity_min``, ``intensity_max`` (with ``-0`` or ``-DAPI`` and so on where the image has
        an axis of channels). Beside them: ``class``; the index of the frame, such as ``t``;
        ``axis_middle_length`` (3D); ``confidence``, the mean probability; and ``cut``: whether the
        border of the image cuts the object.
        With the size of a voxel also: ``area_um2`` or ``volume_um3``, ``centroid_um-0`` and
        ``bbox_um-0`` and so on, and lengths that end in ``_um``; eccentricity and orientation are
        then those in micrometres.

    Raises
    ------
    LabelsError
        If the labels are no whole numbers, hold classes, or do not have two or three axes of space.
    ImageError
        If the image does not fit the labels, or cannot be read.
    OptionError
        If the size of a voxel or of a block does not fit the labels.

    Notes
    -----
    Sums are exact, of floats as well, and each column is rounded at the end: a mean or a centroid
    is the nearest float64. Where a voxel of an object is NaN or infinite, its mean is what numpy
    gives, and its standard deviation is NaN. ``cut`` leaves out frames, and axes of one voxel.

    Examples
    --------
    >>> labels = np.array([[7, 7, 0], [0, 0, 9]])
    >>> table = measure(labels, labels * 10, voxel_size_um=0.5)
    >>> table["label"].tolist(), table["area_um2"].tolist(), table["intensity_mean"].tolist()
    ([7, 9], [0.5, 0.25], [70.0, 90.0])
    """
    if isinstance(labels, (str, Path)):
        _refuse(probability=probability, frames=frames or None)
        if image is not None and not isinstance(image, (str, Path)):
            raise OptionError("the labels are a path, the image is none; give two paths")
        stored = StoredVoxels.of(labels, image)
        usual = usual_block_shape(stored.shape, stored.chunk)
        described = described_of(stored, voxel_size_um, class_name)
        voxels: ArrayVoxels | StoredVoxels = stored
    else:
        names = _frame_names(frames)
        voxels = ArrayVoxels.of(labels, image, probability, names)
        usual = usual_block_shape(voxels.shape)
        described = Described(
            voxels.shape[-voxels.ndim :],
            _spacing(voxel_size_um, voxels.ndim),
            dict(zip(names, voxels.shape)),
            class_name,
        )
    block = usual if block_shape is None else checked_block_shape(block_shape, voxels.shape)
    return table_of(merged_all(sums_of_blocks(voxels, block)), described)


def described_of(
    stored: StoredVoxels,
    voxel_size_um: float | Sequence[float] | None = None,
    class_name: str | None = None,
) -> Described:
    """What the table says of a stored image; a size that is given comes before the stored one."""
    size = _spacing(voxel_size_um, stored.ndim) or stored.voxel_size_um
    return Described(stored.shape[-stored.ndim :], size, stored.frames, class_name)


def _frame_names(frames: int | Sequence[str]) -> Sequence[str]:
    if not isinstance(frames, int):
        return frames
    return ["frame"] if frames == 1 else [f"frame-{k}" for k in range(frames)]


def _spacing(size: float | Sequence[float] | None, ndim: int) -> Sequence[float] | None:
    return (size,) * ndim if isinstance(size, (int, float)) else size


def _refuse(**arrays: Any) -> None:
    for name, value in arrays.items():
        if value is not None:
            raise OptionError(f"{name} is for labels in an array; leave it out for a path")
