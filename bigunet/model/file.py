"""The model file: weights and description in one ``.safetensors``; nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from bigunet.errors import ModelError, OutputError
from bigunet.model.architectures import build
from bigunet.model.description import ModelDescription
from bigunet.model.model import Model
from bigunet.model.network import Network

_METADATA_KEY = "bigunet"


def save_model(
    path: str | os.PathLike[str],
    module: nn.Module,
    description: ModelDescription,
    *,
    half: bool = False,
) -> None:
    """Write weights and description to ``path``, whole or not at all.

    Parameters
    ----------
    path : path
        Ends in ``.safetensors``.
    module : torch.nn.Module
        A network of the architecture that ``description`` names.
    half : bool
        Store weights as fp16, half the size; they are computed with as fp32 all the same.

    Raises
    ------
    ModelError
        If the description does not fit the module.
    OutputError
        If the file cannot be written.
    """
    expected = _build(description).state_dict()
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()
    }
    if {n: t.shape for n, t in state.items()} != {n: t.shape for n, t in expected.items()}:
        raise ModelError(f"the weights are not those of {description.architecture}")
    if half:
        state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    metadata = {_METADATA_KEY: json.dumps(description.to_dict(), sort_keys=True)}
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, partial, metadata=metadata)
        give_usual_mode(partial)
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(f"cannot write {target}: {error}") from error


def give_usual_mode(path: Path) -> None:
    """Give a file of safetensors, which only its owner may read, the mode of other new files."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def is_model_file(path: Path) -> bool:
    """Whether bigunet wrote this file as a model, and it is whole; weights are not read."""
    try:
        with safe_open(path, framework="pt") as file:
            return _METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_model(source: str | os.PathLike[str]) -> Model:
    """Read a model by the name of a bundled one, or by path.

    Returns
    -------
    Model
        On the CPU, in evaluation mode, fp32.

    Raises
    ------
    ModelError
        If there is no such model or the file is damaged or of another kind.
    """
    path = find_model(source)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a readable .safetensors file: {error}") from error
    try:
        description = ModelDescription.from_dict(json.loads(metadata.get(_METADATA_KEY, "{}")))
        module = _build(description)
        module.load_state_dict({n: _widened(t) for n, t in state.items()})
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: the description is not JSON: {error}") from error
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit the description: {error}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return Model(
        module=module.eval(),
        description=description,
        digest=_digest(path),
        receptive_field=module.config.receptive_field(),
        path=str(path.resolve()),
    )


def bundled_models() -> dict[str, Path]:
    """Name and path of the models that come with bigunet."""
    folder = resources.files("bigunet") / "bundled"
    found = sorted(Path(str(folder)).glob("*.safetensors"))
    return {path.stem: path for path in found}


def find_model(source: str | os.PathLike[str]) -> Path:
    """Path of a model given by name or by path."""
    bundled = bundled_models()
    if str(source) in bundled:
        return bundled[str(source)]
    path = Path(source).expanduser()
    if path.is_file():
        return path
    names = ", ".join(bundled) or "none"
    raise ModelError(f"no model {str(source)!r}: neither a file nor bundled (bundled: {names})")


def _build(description: ModelDescription) -> Network:
    module = build(description.architecture)
    config = module.config
    named = len(description.channels), len(description.classes)
    if named[0] != config.in_channels or named[1] != max(config.classes, 2):
        raise ModelError(
            f"names of {named[0]} channels and {named[1]} classes for a network of "
            f"{config.in_channels} and {config.classes}"
        )
    return module


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
