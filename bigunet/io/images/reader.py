"""What every image offers to those who read voxels from it, whatever it is stored as."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from bigunet.geometry import Box


class Reader(Protocol):
    """Some channels of one level of an image, from which boxes are read.

    Attributes
    ----------
    url : str
        The name of the image in messages: its absolute path or URL, where it has one.
    axes : tuple of str
        Names of the axes without the channel, in the order t, z, y, x. Readers of an image with
        another slice axis have this axis before the others of space.
    shape : tuple of int
        Voxels along each of these axes.
    dtype : numpy.dtype
        Type of the voxels, in native byte order.
    num_channels : int
        Number of channels that :meth:`read` returns.
    scale_um : tuple of float or None
        Micrometres per voxel along the axes of space, in the order of ``axes``. None where the
        image states no unit of length for one of them.

    Notes
    -----
    Readers can be pickled, and threads may share one. A reader opens its file at the first read.
    """

    @property
    def url(self) -> str: ...

    @property
    def axes(self) -> tuple[str, ...]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def num_channels(self) -> int: ...

    @property
    def scale_um(self) -> tuple[float, ...] | None: ...

    def read(self, box: Box) -> np.ndarray:
        """Read a box.

        Parameters
        ----------
        box : Box
            In voxels of the level, along :attr:`axes`. Where the box leaves the image, the voxels
            are mirrored at the border without repeating the edge voxel (numpy's ``reflect``), as
            often as needed.

        Returns
        -------
        ndarray, shape (channel, *box.shape)
            C-contiguous, of type :attr:`dtype`. The caller may change it.

        Raises
        ------
        GeometryError
            If the box has another number of axes than the image.
        ImageError
            If a voxel cannot be read or decoded.
        """
        ...


class LevelReader(Reader, Protocol):
    """A reader that also says which boxes are cheap to read.

    Attributes
    ----------
    chunk : tuple of int
        Voxels along each axis of :attr:`shape` that cost least when they are read together.
    """

    @property
    def chunk(self) -> tuple[int, ...]: ...

    def is_stored(self, box: Box) -> bool:
        """Whether a voxel of a box inside the image is stored, or may be; else all are equal."""
        ...
