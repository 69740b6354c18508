"""The axes of a TIFF: what the file says, what the user says, and what must be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.errors import ImageError
from bigunet.io.files.file_image import check_stated

_GUESSED = "zct"
"""Axes without a meaning: one is taken for z, two for c and z, as in bare arrays."""
_MAX_COLOURS = 4
"""So few pages may be channels."""
_MEANINGS = {"t": "time points", "z": "planes of a stack", "c": "channels"}


@dataclass(frozen=True, slots=True)
class StoredAxes:
    """Axes of an image in a TIFF file, as tifffile names them.

    Parameters
    ----------
    letters : str
        Such as ``"IYX"``; I and Q, among others, say nothing.
    shape : tuple of int
    url : str
        The name of the image in errors.
    """

    letters: str
    shape: tuple[int, ...]
    url: str

    @property
    def known(self) -> list[str]:
        """The letter of each axis; empty text for one without a meaning."""
        return ["c" if a == "S" else a.lower() if a in "TCZYX" else "" for a in self.letters]

    def agreed(self, stated: str) -> str:
        """The axes that the user states, if they do not contradict the file.

        Raises
        ------
        ImageError
            If they do.
        """
        if len(stated) != len(self.letters):
            raise ImageError(
                f"--axes {stated} names {len(stated)} axes, but {self.url} has "
                f"{len(self.letters)}: {self.shape}"
            )
        if any(name and name != given for name, given in zip(self.known, stated)):
            check_stated(stated, "".join(name or "?" for name in self.known), self.url)
        return stated

    def asked(self) -> tuple[str, tuple[str, ...]]:
        """The axes, and a note where one of them is taken for z.

        Raises
        ------
        ImageError
            If it is unclear what the axes are.
        """
        names = name_axes(self.letters, self.url)
        free = [k for k, name in enumerate(self.known) if not name]
        if not free:
            return names, ()
        count, taken = self.shape[free[0]], names[free[0]]
        others = [a for a in "ctz" if a not in names]
        few = 1 < count <= _MAX_COLOURS and "c" in (taken, *others)
        if len(free) > 1 or few:
            raise ImageError(self._question(names, free))
        if not others:
            return names, ()
        other = others[-1]
        instead = "".join(other if k == free[0] else name for k, name in enumerate(names))
        note = (
            f"{self.url}: {count} pages are read as {taken}; give --axes {instead} if they are "
            f"{_MEANINGS[other]}"
        )
        return names, (note,)

    def _question(self, names: str, free: Sequence[int]) -> str:
        start = f"{self.url} has shape {self.shape}, and does not say what its "
        if len(free) > 1:
            return f"{start}first axes are: say so with --axes, such as --axes {names}"
        colours = "".join("c" if k == free[0] else name for k, name in enumerate(names))
        planes = names if names != colours else colours.replace("c", "t")
        return (
            f"{start}{self.shape[free[0]]} pages are: give --axes {colours} if channels, "
            f"--axes {planes} if {_MEANINGS[planes[free[0]]]}"
        )


def name_axes(stored: str, url: str) -> str:
    """Letters of the axes of a TIFF, from the letters that tifffile gives them.

    Examples
    --------
    >>> name_axes("YXS", "a.tif"), name_axes("IYX", "a.tif"), name_axes("QQYX", "a.tif")
    ('yxc', 'zyx', 'czyx')
    """
    names = StoredAxes(stored, (0,) * len(stored), url).known
    if names.count("c") > 1:
        raise ImageError(
            f"{url} has channels of several colours each (axes {stored}); save them as grey"
        )
    free = [name for name in _GUESSED if name not in names]
    unnamed = names.count("")
    if unnamed > len(free):
        raise ImageError(f"{url} has the axes {stored}; only t, c, z, y and x can be read")
    guessed = iter(sorted(free[:unnamed], key="tcz".index))
    return "".join(name or next(guessed) for name in names)
