"""Which file a model's name or path means. It reads no weights, and needs no torch."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from bigunet.errors import ModelError
from bigunet.model.files.not_a_model import kind_of_file, kind_of_folder


def bundled_models() -> dict[str, Path]:
    """Name and path of the models that come with bigunet."""
    folder = resources.files("bigunet") / "bundled"
    paths = sorted(Path(str(folder)).glob("*.safetensors"))
    return {path.stem: path for path in paths}


def find_model(source: str | os.PathLike[str]) -> Path:
    """The path of a model that is given by name or by path.

    Raises
    ------
    ModelError
        If there is no such model, or if the file is recognised as another kind.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(
            f"a {type(source).__name__} is neither a name nor a path of a model: wrap a module "
            "with bigunet.Model.of_module(module, ndim=2)"
        )
    bundled = bundled_models()
    if str(source) in bundled:
        return bundled[str(source)]
    try:
        path = Path(source).expanduser()
        kind = kind_of_file(path) if path.is_file() else None
        if path.is_dir():
            kind = kind_of_folder(path)
        elif path.is_file() and kind is None:
            return path
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{str(source)!r} cannot be read: {error}") from error
    if kind is not None:
        raise ModelError(f"{source} is {kind[0]}, no model of bigunet: {kind[1]}")
    names = ", ".join(bundled) or "none"
    raise ModelError(f"no model {str(source)!r}: neither a file nor bundled (bundled: {names})")
