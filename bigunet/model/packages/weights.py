"""The network of a package, from the safest form of its weights that can be used.

::

    1  state dict of a network that bigunet knows    plain tensors
    2  ONNX                                          a graph of known operators
    3  state dict with the package's own Python      runs that code: only with trust
    4  TorchScript                                   may run code when it is loaded: only with trust
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.brief import first_line
from bigunet.model.foreign.onnx_file import load_onnx
from bigunet.model.packages.package import Package, Weights
from bigunet.model.packages.package_files import ChangedFileError

STATE, ONNX, SCRIPT = "pytorch_state_dict", "onnx", "torchscript"


def networks_of(package: Package, *, trust: bool) -> Iterator[tuple[str, nn.Module | ModelError]]:
    """The usable forms of the network, the safest first, or why a form cannot be used.

    Raises
    ------
    ChangedFileError
        If a file is not the one that the package states.
    """
    for name in (ONNX, STATE, SCRIPT):
        entry = package.weights.get(name)
        if entry is None:
            continue
        try:
            yield name, _READ[name](package, entry, trust)
        except ChangedFileError:
            raise
        except ModelError as error:
            yield name, error


def state_of(package: Package, entry: Weights) -> dict[str, Tensor]:
    """The tensors of a state dict. Nothing but tensors is unpickled."""
    content = package.files.read(entry.source, entry.sha256)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f"{entry.source} holds more than tensors, or is damaged: save the state dict alone "
            f"({str(error).splitlines()[0][:60]})"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ModelError(f"{entry.source} holds more than tensors: save the state dict alone")
    return state


def _from_onnx(package: Package, entry: Weights, trust: bool) -> nn.Module:
    content = package.files.read(entry.source, entry.sha256)
    # In a folder of its own, so that it can name no other file.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.onnx")
        path.write_bytes(content)
        try:
            return load_onnx(path).module
        except ModelError as error:
            raise ModelError(str(error).replace(str(path), str(entry.source))) from error


def _from_state(package: Package, entry: Weights, trust: bool) -> nn.Module:
    if not trust:
        where = entry.code or entry.module or "code"
        raise ModelError(
            f"{where} would run Python of the package: read it, then give --trust (trust=True)"
        )
    state = state_of(package, entry)
    module = _built(package, entry)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"its weights do not fit its network: {first_line(error)}") from error
    return module


def _from_script(package: Package, entry: Weights, trust: bool) -> nn.Module:
    if not trust:
        raise ModelError(
            "TorchScript is a program that can read and write your files: give --trust "
            "(trust=True) if you trust its maker"
        )
    content = package.files.read(entry.source, entry.sha256)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            script: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
            return script
    except RuntimeError as error:
        raise ModelError(f"{entry.source} is no TorchScript: {first_line(error)}") from error


_READ = {ONNX: _from_onnx, STATE: _from_state, SCRIPT: _from_script}


def _built(package: Package, entry: Weights) -> nn.Module:
    """The network that the package's Python builds, without weights."""
    if entry.code is not None:
        code = package.files.read(entry.code, entry.code_sha256)
        holder: Any = _run(code, entry.code)
    else:
        try:
            holder = importlib.import_module(str(entry.module))
        except ImportError as error:
            raise ModelError(f"{entry.module} is not installed: pip install it first") from error
    build = getattr(holder, entry.builder, None)
    if build is None:
        raise ModelError(f"{entry.code or entry.module} has no {entry.builder!r}")
    try:
        module = build(**entry.numbers)
    except Exception as error:  # the code of others may raise anything
        raise ModelError(f"{entry.builder} cannot be called: {first_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{entry.builder} gives no torch.nn.Module")
    return module


def _run(code: bytes, name: str) -> types.ModuleType:
    """Run Python of the package as a module of its own."""
    module = types.ModuleType(f"package_{abs(hash(code)):x}")
    # Dataclasses look their module up. Afterwards it is taken out again: pickles for workers then
    # carry the classes themselves, which no worker could import.
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, name, "exec"), module.__dict__)
    except Exception as error:  # the code of others may raise anything
        raise ModelError(f"{name} cannot be run: {first_line(error)}") from error
    finally:
        del sys.modules[module.__name__]
    return module
