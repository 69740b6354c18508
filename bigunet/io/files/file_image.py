"""Which image of which file is meant, and its description."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.errors import ImageError
from bigunet.io.images.limits import some_of
from bigunet.io.images.multiscale import ImageDescription
from bigunet.urls import is_url

_NUMBERED = re.compile(r"(?P<path>.+)#(?P<number>\d+)", re.DOTALL)
_MOST_LISTED = 8
"""The most images of a file that an error lists."""


@dataclass(frozen=True, slots=True)
class FileSeries:
    """One image of a file on this machine.

    Parameters
    ----------
    path : str
    number : int or None
        Index of the image in the file; None for the only one, or the main one.
    """

    path: str
    number: int | None = None

    @classmethod
    def of(cls, url: str) -> FileSeries:
        """Split an address such as ``scan.lif#2``; a file of exactly that name comes first."""
        match = _NUMBERED.fullmatch(url)
        if match is None or is_url(url) or os.path.lexists(url):
            return cls(url)
        return cls(match["path"], int(match["number"]))

    @property
    def url(self) -> str:
        """The address that :meth:`of` splits."""
        return self.path if self.number is None else f"{self.path}#{self.number}"

    def choose(self, names: Sequence[str], main: Sequence[int]) -> int:
        """The index of the image to read.

        Parameters
        ----------
        names : sequence of str
            What each image of the file is called in an error.
        main : sequence of int
            The images that may be meant where no number is given.

        Raises
        ------
        ImageError
            If it is unclear which image is meant, or there is no image of this number.
        """
        listed = some_of(
            (f"#{k} {name}" for k, name in enumerate(names)), len(names), most=_MOST_LISTED
        )
        if self.number is not None and self.number < len(names):
            return self.number
        if self.number is not None:
            raise ImageError(f"{self.path} has no image #{self.number}; it has {listed or 'none'}")
        if not names:
            raise ImageError(f"{self.path} holds no image; give another file")
        if len(main) == 1:
            return main[0]
        raise ImageError(
            f"{self.path} holds {len(names)} images; give one of them, such as "
            f"'{self.path}#{main[0] if main else 0}': {listed}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImage(ImageDescription):
    """An image in a file that is no zarr.

    Parameters
    ----------
    files : tuple of str
        Paths of all files that hold its voxels.
    others : tuple of str
        Names of the other images in the file, such as the label of a slide.
    """

    files: tuple[str, ...]
    others: tuple[str, ...] = ()


def name_of(path: str) -> str:
    """The name of an image file without its suffix."""
    name = os.path.basename(path)
    return os.path.splitext(name)[0].removesuffix(".ome") or name


def check_stated(axes: str, own: str, url: str) -> None:
    """Raise an ImageError if the user states other axes than a file that knows its axes."""
    if axes and axes != own:
        raise ImageError(
            f"{url} states the axes {own}, but --axes {axes} was given; leave out --axes, or "
            "correct the file"
        )
