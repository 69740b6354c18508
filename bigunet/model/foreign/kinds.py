"""Which kind of network of another tool a name or a file is. It opens none, and needs no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from bigunet.model.files.not_a_model import kind_of_file

ForeignKind = Literal["onnx", "pt2", "torchscript", "factory"]

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_KINDS: dict[str, ForeignKind] = {
    "an ONNX model": "onnx",
    "a TorchScript module": "torchscript",
    "a program of torch.export": "pt2",
}
"""By what ``kind_of_file`` says of a file."""


def foreign_kind(source: object) -> ForeignKind | None:
    """The kind of network that a name or a file is; None if it is none of another tool.

    Of a file only the first bytes, and the names inside an archive, are read.
    """
    if not isinstance(source, (str, os.PathLike)):
        return None
    try:
        path = Path(source).expanduser()
        if path.is_file():
            kind = kind_of_file(path)
            return _KINDS.get(kind[0]) if kind else None
        return "factory" if is_factory(os.fspath(source)) and not path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def is_factory(source: str) -> bool:
    """Whether a model is named as ``package.module:factory``.

    >>> is_factory("mynets.unet:make"), is_factory("C:/models/unet.onnx")
    (True, False)
    """
    return _NAME.fullmatch(source) is not None
