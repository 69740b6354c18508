"""From the name of a class, which a user gives, to its number in a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bigunet.errors import OptionError
from bigunet.evaluation.evaluate_options import EvaluateOptions

Classes = Mapping[int, str]
"""Name of each class by its number; empty if a prediction does not name its classes."""


def listed(classes: Classes) -> str:
    """Numbers and names in one line, for people.

    >>> listed({0: "background", 1: "nucleus"})
    '0 background, 1 nucleus'
    """
    return ", ".join(str(k) if name == str(k) else f"{k} {name}" for k, name in classes.items())


def example(classes: Classes) -> str:
    """Name of a class that may be objects: the first one after the background."""
    names = list(classes.values())
    return names[1] if len(names) > 1 else names[0]


def numbered(options: EvaluateOptions, classes: Classes, url: str) -> EvaluateOptions:
    """Replace names of classes in the options by their numbers.

    Raises
    ------
    OptionError
        If the prediction at ``url`` has no such class, or does not say the names of its classes.
    """
    return replace(
        options,
        object_class=_number(options.object_class, classes, url),
        border_class=_number(options.border_class, classes, url),
        interior=_number(options.interior, classes, url),
    )


def _number(choice: int | str | None, classes: Classes, url: str) -> int | None:
    """Number of the class that a user chose by name or number."""
    if choice is None:
        return None
    for number, name in classes.items():
        if name == choice:
            return number
    text = str(choice)
    is_number = text.isascii() and text.isdigit()
    if not classes and not is_number:
        raise OptionError(
            f"{url} does not name its classes; give the number of the class instead of {choice!r}"
        )
    if not is_number or (classes and int(text) not in classes):
        raise OptionError(f"{url} has no class {choice!r}; its classes are {listed(classes)}")
    return int(text)
