"""An extension of griffe for the API reference: classes that ``documented`` completes.

The reference is made from source text, where their docstrings lack the parameters and each default
is a call of ``option``; both are taken from the class itself.
"""

from __future__ import annotations

import importlib
from typing import Any

import griffe

from bigunet.options.option_fields import option_fields


class Documented(griffe.Extension):
    """Shows docstrings and defaults as ``help`` shows them in Python."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Replace the docstring of a documented class, and the defaults of its options."""
        if not any(str(one.value) == "documented" for one in cls.decorators):
            return
        living = getattr(importlib.import_module(cls.module.path), cls.name)
        cls.docstring = griffe.Docstring(living.__doc__, parent=cls)
        defaults = {one.name: repr(one.default) for one in option_fields(living)}
        for name, member in cls.members.items():
            # Inherited fields are members of another class.
            if name in defaults:
                member.value = defaults[name]
        for parameter in cls.parameters:
            parameter.default = defaults.get(parameter.name, parameter.default)
