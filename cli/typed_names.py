"""Names of options in messages, as the user typed them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FLAG = re.compile(r"--[a-z][a-z-]+")


def as_typed(message: str, words: Sequence[str]) -> str:
    """The message with its first option named by the flag, where that flag was typed.

    A name of one word is a noun of other messages, too: it counts before a value alone.

    Parameters
    ----------
    message : str
        Of an error; the package names options as Python does, or in words.
    words : sequence of str
        The words of the command line.

    Examples
    --------
    >>> as_typed("split radius 900: give 1 to 200 voxels", ["segment", "--split-radius=900"])
    '--split-radius 900: give 1 to 200 voxels'
    >>> as_typed("model 'tiny' is 2D", ["segment", "--model", "tiny"])
    "model 'tiny' is 2D"
    """
    for word in words:
        flag = word.partition("=")[0]
        if not _FLAG.fullmatch(flag):
            continue
        name = flag[2:].replace("-", "[ _]")
        before_value = r"\b" if "-" in flag[2:] else r"(?= is [^A-Z]*[;:] give | \w+=)"
        if match := re.match(name + before_value, message):
            return flag + message[match.end() :]
    return message
