"""Files that hold planes: a box is put together of windows in planes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.files.open_files import OpenFile
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.multiscale import Level


class PlaneFile(OpenFile):
    """An open file of planes.

    Parameters
    ----------
    url : str
        The name of the image in errors.
    names : str
        Letters of the axes in storage order; the last are yx, or yxc for colours.
    """

    def __init__(self, url: str, names: str) -> None:
        self.url = url
        self.names = names

    @abstractmethod
    def window(
        self, level: Level, index: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Voxels of a part of a plane: (y, x), or (y, x, c) with all colours.

        Parameters
        ----------
        level : Level
        index : mapping of str to int
            Where the plane is along the other axes.
        rows, columns : slice
            With a start and a stop inside the plane.
        """

    def read(self, level: Level, selection: Selection) -> np.ndarray:
        lead = self.names.index("y")
        chosen = [np.arange(n)[part] for n, part in zip(level.shape, selection)]
        rows, columns = (_span(indices) for indices in chosen[lead : lead + 2])
        voxels = np.empty([len(indices) for indices in chosen], level.dtype)
        if not voxels.size:
            return voxels
        expected = (*voxels.shape[lead : lead + 2], *level.shape[lead + 2 :])
        for place in np.ndindex(*voxels.shape[:lead]):
            index = {name: int(chosen[k][place[k]]) for k, name in enumerate(self.names[:lead])}
            window = self.window(level, index, rows, columns)
            if window.shape != expected or window.dtype != voxels.dtype:
                raise ImageError(
                    f"{self.url} gave {window.dtype} voxels of shape {window.shape} at "
                    f"{index or 'its plane'}, where {level.dtype} of {expected} was expected; "
                    "it is damaged, or was changed: open it again"
                )
            voxels[place] = window[(..., *selection[lead + 2 :])]
        return voxels


def _span(indices: np.ndarray) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1) if len(indices) else slice(0, 0)
