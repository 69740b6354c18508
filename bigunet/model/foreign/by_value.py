"""Modules of Python that workers cannot import: what is pickled has their code in it.

A module that was imported from the current folder is not there for a worker with another folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cloudpickle


def pack_modules_of(folder: Path, before: set[str]) -> None:
    """Pickle modules by value from now on: those that came from a folder.

    Parameters
    ----------
    folder : Path
    before : set of str
        Names of the modules that were there before.
    """
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in before or not file:
            continue
        parts = Path(file).resolve()
        if parts.is_relative_to(folder) and "site-packages" not in parts.parts:
            cloudpickle.register_pickle_by_value(module)


def is_needed() -> bool:
    """Whether something must be pickled by value."""
    return bool(cloudpickle.list_registry_pickle_by_value())


def packed(state: dict[str, Any]) -> bytes:
    """The state of an object, with the code that it needs."""
    content: bytes = cloudpickle.dumps(state)
    return content


def unpacked(kind: type, content: bytes) -> Any:
    """An object with the state that :func:`packed` has pickled."""
    made: Any = object.__new__(kind)
    made.__dict__.update(cloudpickle.loads(content))
    return made
