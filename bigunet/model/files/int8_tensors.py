"""The 8-bit numbers in a model file, beside its weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bigunet.errors import ModelError, OutputError
from bigunet.machine.files import replacing
from bigunet.model.description import ModelDescription
from bigunet.model.files.header import Header
from bigunet.model.files.writing import write_tensors
from bigunet.model.int8.numbers import PREFIX, Int8Numbers
from bigunet.model.networks.network import Network
from bigunet.model.networks.unet import UNetConfig


def without_int8(header: Header) -> Header:
    """The header of the weights alone."""
    return replace(
        header,
        shapes={k: v for k, v in header.shapes.items() if not k.startswith(PREFIX)},
        dtypes={k: v for k, v in header.dtypes.items() if not k.startswith(PREFIX)},
    )


def read_int8(path: Path, network: Network) -> Int8Numbers | None:
    """The 8-bit numbers of a file; None if it has none.

    Raises
    ------
    ModelError
        If they do not fit the network.
    """
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118
        # Copies, because tensors that are mapped from the file would change with it.
        tensors = {name: file.get_tensor(name).clone() for name in names}
    if not tensors:
        return None
    if not isinstance(network.config, UNetConfig):
        raise ModelError("8-bit numbers for a network that is no U-Net: make the file anew")
    return Int8Numbers.from_tensors(tensors, network.config)


def write_with_int8(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    numbers: Int8Numbers,
    description: ModelDescription,
) -> None:
    """Write a model file again with 8-bit numbers; the weights keep their bytes.

    Raises
    ------
    OutputError
        If the file cannot be read or written.
    """
    try:
        with safe_open(source, framework="pt") as file:
            names = [name for name in file.keys() if not name.startswith(PREFIX)]  # noqa: SIM118
            weights = {name: file.get_tensor(name).clone() for name in names}
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(target)) as partial:
            write_tensors(partial, weights | numbers.to_tensors(), description)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write {target}: {error}") from error
