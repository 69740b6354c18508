"""An array as a temporary OME-Zarr, which workers read as any other image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bigunet.arrays.given_array import NAME, GivenArray
from bigunet.arrays.scratch_folder import scratch_folder, speaking_of
from bigunet.io.output.array_image import write_array_image

_IMAGE = "array.zarr"


@contextlib.contextmanager
def stored_array(
    given: GivenArray,
    scratch: str | Path | None,
    *,
    more_bytes: int = 0,
    names: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """Write an array part by part into a temporary folder, which is removed afterwards.

    Parameters
    ----------
    given : GivenArray
    scratch : path, optional
        Folder for the temporary folder; by default that of the system.
    more_bytes : int
        Bytes that the caller will write beside the image.
    names : mapping of str to str, optional
        What errors call files that the caller writes beside the image.

    Yields
    ------
    Path
        The image.

    Raises
    ------
    OptionError, OutputError
        If there is no such folder, or it has not enough space.
    """
    with scratch_folder(scratch, given.num_bytes + more_bytes) as folder:
        image = folder / _IMAGE
        known = {folder / file: name for file, name in (names or {}).items()}
        with speaking_of({image: NAME, **known}):
            write_array_image(image, given.image, given.parts())
            yield image
