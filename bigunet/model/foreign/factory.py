"""Calls ``package.module:factory`` for a network. Importing the module runs its code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from bigunet.errors import ModelError
from bigunet.model.brief import first_line
from bigunet.model.foreign.by_value import pack_modules_of
from bigunet.model.foreign.foreign_module import ForeignModule


def load_factory(source: str) -> ForeignModule:
    """Import a module from the environment or else from the current folder, and call its factory.

    Parameters
    ----------
    source : str
        ``package.module:factory``; the factory takes nothing and returns a ``torch.nn.Module``.

    Raises
    ------
    ModelError
        If the module cannot be imported, or if the factory fails or returns something else.
    """
    module_name, _, factory_name = source.partition(":")
    folder, before = Path.cwd().resolve(), set(sys.modules)
    with _folder_last(str(folder)):
        factory = _factory(source, module_name, factory_name)
        try:
            network = factory()
        except Exception as error:  # the code of a user may raise any error
            raise ModelError(f"{source} failed: {_reason(error)}") from error
    pack_modules_of(folder, before)
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{source} returned a {type(network).__name__}; it must return a torch.nn.Module "
            "with its weights loaded"
        )
    return ForeignModule(network.eval(), "Python")


def _factory(source: str, module_name: str, factory_name: str) -> Any:
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"{source}: {_reason(error)}; the module must be installed, or be in this folder"
        ) from error
    except Exception as error:  # the code of a user may raise any error
        raise ModelError(f"{source}: importing {module_name} failed: {_reason(error)}") from error
    for name in factory_name.split("."):
        found = getattr(found, name, None)
    if not callable(found):
        raise ModelError(f"{source}: {module_name} has no callable {factory_name}; check the name")
    return found


@contextmanager
def _folder_last(folder: str) -> Iterator[None]:
    """A folder as the last place to import from, so that it hides no installed module."""
    sys.path.append(folder)
    try:
        yield
    finally:
        if folder in sys.path:
            # The last one, because the folder may have been there before.
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


def _reason(error: BaseException) -> str:
    line = first_line(error, 100)
    return line if line == type(error).__name__ else f"{type(error).__name__}: {line}"
