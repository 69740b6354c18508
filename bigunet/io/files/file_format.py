"""What a format of image files offers: names of files, a description, and open files."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import Protocol, cast

from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Opener


class Describe(Protocol):
    """Describes an image of a file; no voxel of it is decoded."""

    def __call__(self, series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage: ...


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of image files. Its modules are imported when the first file of it is opened.

    Parameters
    ----------
    suffixes : tuple of str
        Ends of file names, in lower case.
    describe_name, opener_name : str
        A :class:`Describe`, and what opens an image of a file to read from it: ``"module:name"``.
    reads_parts : bool
        Whether a box can be read without decoding the whole image.
    """

    suffixes: tuple[str, ...]
    describe_name: str
    opener_name: str
    reads_parts: bool = True

    @property
    def describe(self) -> Describe:
        """What describes an image of such a file."""
        return cast(Describe, pkgutil.resolve_name(self.describe_name))

    @property
    def opener(self) -> Opener:
        """What opens such a file."""
        return cast(Opener, pkgutil.resolve_name(self.opener_name))
