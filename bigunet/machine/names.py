"""Names of files and folders: which ones a system takes, and which ones it takes for the same."""

from __future__ import annotations

import re
import sys
import unicodedata

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?=\.|$)", re.IGNORECASE)


def usable_name(name: str, *, system: str = sys.platform) -> str:
    """A name as a file may have it, with ``_`` for each letter that Windows refuses.

    Parameters
    ----------
    name : str
        Not empty, without a folder.
    system : str
        As ``sys.platform`` names it. Only Windows refuses names.

    Examples
    --------
    >>> usable_name("a:b.", system="win32"), usable_name("aux.zarr", system="win32")
    ('a_b_', '_aux.zarr')
    >>> usable_name("a:b.", system="linux")
    'a:b.'
    """
    if system != "win32":
        return name
    taken = _REFUSED.sub("_", name)
    return f"_{taken}" if _DEVICE.match(taken) else taken


def name_as_seen(name: str, *, system: str = sys.platform) -> str:
    """What is equal for two names that a system takes for the same.

    Windows and macOS do not tell capital letters from small ones, and macOS does not tell apart
    the ways to write an accent.

    Examples
    --------
    >>> name_as_seen("A.zarr", system="darwin") == name_as_seen("a.zarr", system="darwin")
    True
    >>> name_as_seen("A.zarr", system="linux") == name_as_seen("a.zarr", system="linux")
    False
    """
    if system not in ("win32", "darwin"):
        return name
    # The order of the Unicode standard for this comparison, in its section 3.13.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
