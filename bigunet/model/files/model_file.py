"""The model file: weights and description in one ``.safetensors`` file; never a pickle."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from bigunet.errors import ModelError, OutputError
from bigunet.machine.files import replacing
from bigunet.model.description import ModelDescription
from bigunet.model.files.header import Header, check_fits, differences, plain_json, read_header
from bigunet.model.files.int8_tensors import read_int8, without_int8
from bigunet.model.files.names import bundled_models, find_model
from bigunet.model.files.writing import METADATA_KEY, write_tensors
from bigunet.model.foreign.kinds import foreign_kind
from bigunet.model.foreign.opening import open_foreign
from bigunet.model.given import check_finite, unwrapped
from bigunet.model.int8.numbers import PREFIX
from bigunet.model.model import Model
from bigunet.model.networks.architectures import build
from bigunet.model.networks.network import Network
from bigunet.model.packages.opening import open_package
from bigunet.model.packages.package_files import package_at


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
        A path that ends in ``.safetensors``.
    module : torch.nn.Module
        A network of the architecture that ``description`` names.
    description : ModelDescription
    half : bool
        Whether to store weights as fp16, in half the size. They are loaded as fp32 all the same.

    Raises
    ------
    ModelError
        If the description does not fit the module.
    OutputError
        If the file cannot be written.
    """
    expected = _on_meta(description).state_dict()
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in unwrapped(module).state_dict().items()
    }
    differ = differences(_shapes(state), _shapes(expected))
    if differ:
        network = description.architecture["name"]
        raise ModelError(f"the weights are not those of the description's {network}: {differ}")
    if half:
        state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            write_tensors(partial, state, description)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write {target}: {error}") from error


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def is_model_file(path: Path) -> bool:
    """Whether a file is a whole model file of bigunet; weights are not read."""
    try:
        with safe_open(path, framework="pt") as file:
            return METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_model(
    source: str | os.PathLike[str],
    *,
    trust: bool = False,
    halo: Sequence[int] = (),
    blend: bool = False,
) -> Model:
    """Read a model by the name of a bundled model, or by its path.

    Parameters
    ----------
    source : str or path
        A bundled model, a ``.safetensors`` file of bigunet, a package of bioimage.io (a folder, a
        zip, or its ``rdf.yaml``), an ``.onnx`` file, or with ``trust`` a ``.pt2`` file, a
        TorchScript file or ``package.module:factory``.
    trust : bool
        Whether code of the source may run: for files of torch.export and TorchScript, factories,
        and Python or TorchScript of a package.
    halo : sequence of int, optional
        Of a network of another tool: voxels of context that an output depends on, one number or one
        for each axis, where that cannot be measured.
    blend : bool
        Whether to take a network of another tool that cannot be exact, too.

    Returns
    -------
    Model
        On the CPU, in evaluation mode, in fp32.

    Raises
    ------
    ModelError
        If there is no such model, or if the file is damaged or of another kind.
    """
    is_bundled = str(source) in bundled_models()
    if not is_bundled and (files := package_at(source)) is not None:
        return open_package(files, trust=trust, halo=halo, blend=blend)
    if foreign_kind(source) is not None:
        return open_foreign(source, trust=trust, halo=halo, blend=blend)
    if halo:
        raise ModelError(f"{source} is no network of another tool: its halo is known; leave it out")
    path = find_model(source)
    try:
        header = without_int8(read_header(path))
        description = _description_in(header)
        prefix = check_fits(header, _on_meta(description))
        module = _with_weights(description, _weights_in(path, prefix))
        int8 = read_int8(path, module)
    except SafetensorError as error:
        raise ModelError(f"{path} is not a readable .safetensors file: {error}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except ModelError as error:
        joint = " " if str(error).startswith("is not ") else ": "
        raise ModelError(f"{path}{joint}{error}") from error
    return Model(
        module=module.eval(),
        description=description,
        digest=_digest(path),
        receptive_field=module.config.receptive_field(),
        path=str(path.resolve()),
        int8=int8,
    )


def _description_in(header: Header) -> ModelDescription:
    written = header.metadata.get(METADATA_KEY)
    if written is None:
        raise ModelError(
            f"{len(header.shapes)} tensors without a bigunet description, by another tool: load "
            "them into a bigunet.UNet and save_model, or give Model.of_module(your network)"
        )
    try:
        content = plain_json(written)
    except ValueError as error:
        raise ModelError(f"the description is not JSON: {str(error)[:80]}") from error
    return ModelDescription.from_dict(content)


def _weights_in(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, by their names without the prefix, in fp32."""
    with safe_open(path, framework="pt") as file:
        # Copies, because tensors that are mapped from the file would change with it.
        return {
            name.removeprefix(prefix): _widened(file.get_tensor(name))
            for name in file.keys()  # noqa: SIM118 - no mapping
            if not name.startswith(PREFIX)
        }


def _with_weights(description: ModelDescription, state: Mapping[str, torch.Tensor]) -> Network:
    check_finite(state)
    module = _on_meta(description)
    module.load_state_dict(state, assign=True)
    return module


def _on_meta(description: ModelDescription) -> Network:
    """The network of a description without values; nothing is allocated."""
    with torch.device("meta"):
        module = build(description.architecture)
    config = module.config
    channels, classes = len(description.channels), len(description.classes)
    if channels != config.in_channels or classes != max(config.classes, 2):
        raise ModelError(
            f"names of {channels} channels and {classes} classes for a network of "
            f"{config.in_channels} and {config.classes}"
        )
    return module


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else torch.int64
    return tensor.to(dtype, copy=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
