"""Values and errors of users, files and libraries, shortened for messages."""

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


def first_line(error: BaseException, letters: int = 80) -> str:
    r"""The first line of an error of another library, or its type if it has no message.

    >>> first_line(ValueError("one\ntwo")), first_line(ValueError())
    ('one', 'ValueError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:letters]
