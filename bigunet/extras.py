"""How the optional parts of bigunet are installed: the one place that says so in messages."""

from __future__ import annotations


def how_to_add(extra: str) -> str:
    """The command that installs an extra of bigunet, for messages.

    Parameters
    ----------
    extra : str
        Such as ``"view"``, or several with commas between them.

    Examples
    --------
    >>> how_to_add("view")
    "pip install -e '.[view]' in the folder of bigunet"
    """
    return f"pip install -e '.[{extra}]' in the folder of bigunet"
