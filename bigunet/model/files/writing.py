"""Writes the tensors and the description of a model file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from bigunet.model.description import ModelDescription

METADATA_KEY = "bigunet"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], description: ModelDescription) -> None:
    """Write a model file; OSError or SafetensorError if that fails."""
    metadata = {METADATA_KEY: json.dumps(description.to_dict(), sort_keys=True)}
    save_file(dict(tensors), path, metadata=metadata)
    give_usual_mode(path)


def give_usual_mode(path: Path) -> None:
    """Give a new file the usual mode: safetensors lets only the owner read the files it writes."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
