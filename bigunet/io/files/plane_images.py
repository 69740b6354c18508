"""Descriptions of images that files hold as planes, and the packages that read such files."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.errors import ImageError
from bigunet.extras import how_to_add
from bigunet.io.files.file_image import FileImage, FileSeries, check_stated, name_of
from bigunet.io.images.axes import axis_named
from bigunet.io.images.channels import COLOURS
from bigunet.io.images.multiscale import Axis, Level

_PART = 1024
"""Longest side of the windows of a plane that are worth to be read at once."""
_UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}


def package(module: str, *, extra: str, kind: str, path: str) -> Any:
    """Import the package that reads a kind of file.

    Parameters
    ----------
    module, extra : str
        Name of the module, and of the extra of bigunet that installs it.
    kind : str
        Such as ``"a Zeiss CZI file"``.
    path : str

    Raises
    ------
    ImageError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImageError(
            f"{path} is {kind}; install the package that reads it: {how_to_add(extra)}"
        ) from error


@dataclass(frozen=True, slots=True)
class PlaneImage:
    """What a file says of an image of planes.

    Parameters
    ----------
    sizes : mapping of str to int
        Voxels along each axis (t, c, z, y, x) in the order in which it is to be stored; ``s`` at
        the end for red, green and blue.
    dtype : numpy.dtype
    voxel_size : mapping of str to float
        Micrometres along z, y and x, and seconds along t, where they are known.
    channel_names : sequence of str
    """

    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    voxel_size: Mapping[str, float]
    channel_names: Sequence[str] = ()

    @property
    def names(self) -> str:
        """Letters of the axes."""
        return "".join(self.sizes).replace("s", "c")

    def describe(
        self,
        series: FileSeries,
        *,
        axes: str,
        files: tuple[str, ...] = (),
        others: Sequence[str] = (),
        factors: Sequence[int] = (1,),
        shapes: Sequence[tuple[int, ...]] = (),
    ) -> FileImage:
        """The image as all images are described.

        Parameters
        ----------
        series : FileSeries
        axes : str
            Letters of the axes that the user states.
        files : tuple of str
            All files of the image, if not only that of the series.
        others : sequence of str
            Names of other images in the file.
        factors, shapes : sequence
            How much coarser each level is along y and x, and its shape.

        Raises
        ------
        ImageError
            If the axes cannot be read, or are other ones than the user states.
        """
        names = self.names
        if len(set(names)) < len(names):
            raise ImageError(
                f"{series.url} has channels of several colours each; export it as OME-TIFF"
            )
        check_stated(axes, names, series.url)
        sizes = {name: n for name, n in self.voxel_size.items() if np.isfinite(n) and n > 0}
        own = tuple(self.sizes.values())
        return FileImage(
            url=series.url,
            name=name_of(series.path),
            axes=tuple(_axis(name, sizes) for name in names),
            levels=tuple(
                self._level(k, shape, factor, sizes)
                for k, (shape, factor) in enumerate(zip(shapes or (own,), factors))
            ),
            channel_names=self._channel_names(),
            is_label=False,
            is_rgb="s" in self.sizes,
            files=files or (series.path,),
            others=tuple(others),
        )

    def _channel_names(self) -> tuple[str, ...]:
        if "s" in self.sizes:
            return COLOURS
        count = self.sizes.get("c", 1)
        names = [str(name or "") for name in self.channel_names][:count]
        return (*names, *("",) * (count - len(names)))

    def _level(
        self, number: int, shape: tuple[int, ...], factor: int, sizes: Mapping[str, float]
    ) -> Level:
        halved = [factor if name in "yx" else 1 for name in self.names]
        scale = tuple(sizes.get(name, 1.0) * f for name, f in zip(self.names, halved))
        parts = {"y": _PART, "x": _PART, "c": 3 if "s" in self.sizes else 1}
        chunks = tuple(min(n, parts.get(name, 1)) for name, n in zip(self.names, shape))
        origin = tuple((f - 1) / 2 * s / f for f, s in zip(halved, scale))
        return Level(str(number), shape, chunks, None, self.dtype.name, scale, origin)


def _axis(name: str, sizes: Mapping[str, float]) -> Axis:
    axis = axis_named(name, _UNITS.get(name) if name in sizes else None)
    assert axis is not None
    return axis


def only_known(sizes: Mapping[str, int], known: str, url: str) -> None:
    """Raise an ImageError if an image has several voxels along an axis that cannot be read."""
    unknown = [f"{name} ({n})" for name, n in sizes.items() if n > 1 and name not in known]
    if unknown:
        raise ImageError(
            f"{url} has the axes {', '.join(unknown)} besides t, c, z, y and x; export one of "
            "their positions as OME-TIFF"
        )
