"""What a format of image files offers: names of files, a description, and open files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Opener


class Describe(Protocol):
    """Describes an image of a file; no voxel of it is decoded."""

    def __call__(self, series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage: ...


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of image files.

    Parameters
    ----------
    suffixes : tuple of str
        Ends of file names, in lower case.
    describe : callable
    opener : callable
        Opens an image of a file, to read from it.
    reads_parts : bool
        Whether a box can be read without decoding the whole image.
    """

    suffixes: tuple[str, ...]
    describe: Describe
    opener: Opener
    reads_parts: bool = True
