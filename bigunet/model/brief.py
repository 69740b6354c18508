"""Values from users and files, shortened for messages."""

from __future__ import annotations

import reprlib


def brief(value: object) -> str:
    """The value as text that is short enough for a message of one line.

    >>> brief(10**99)
    '100000000000000000...0000000000000000000'
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "an integer of thousands of digits"
