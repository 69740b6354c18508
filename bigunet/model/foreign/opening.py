"""Opens networks of other tools: chooses by the file's content, and asks for trust first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bigunet.errors import InexactError, ModelError
from bigunet.model.foreign.factory import load_factory
from bigunet.model.foreign.foreign_module import ForeignModule
from bigunet.model.foreign.kinds import ForeignKind, foreign_kind
from bigunet.model.foreign.onnx_file import load_onnx
from bigunet.model.foreign.programs import load_pt2, load_torchscript
from bigunet.model.given import module_from
from bigunet.model.measured import Measured
from bigunet.model.model import Model
from bigunet.model.probing.whole_tiles import measure_tiles
from bigunet.model.remembered import Remembered, file_key, keep_measured, recall_measured
from bigunet.options.short_repr import shown_shape

OR_BLEND = "; to run it all the same, blended and not exact, give --blend and --tile-shape"
_WHY_TRUST: dict[ForeignKind, str] = {
    "pt2": "a program of torch.export, and reading it can run code (torch evaluates its text, and "
    "may unpickle it)",
    "torchscript": "a TorchScript module, a program that can read and write your files",
    "factory": "code that is imported and called, and can do all that you can",
}


def read_network(source: str | os.PathLike[str], *, trust: bool = False) -> ForeignModule:
    """Read the network of a file of another tool, or call ``package.module:factory`` for it.

    Parameters
    ----------
    source : path or str
    trust : bool
        Whether code of the source may run. ONNX files hold no code.

    Raises
    ------
    ModelError
        If it is no such network, if it cannot be read, or if it needs trust.
    """
    kind = foreign_kind(source)
    if kind is None:
        raise ModelError(
            f"{source} is no network that bigunet reads: give an .onnx, .pt2 or TorchScript file, "
            "or package.module:factory"
        )
    if kind in _WHY_TRUST and not trust:
        raise ModelError(
            f"{source} is {_WHY_TRUST[kind]}: give --trust (in Python trust=True) if you trust it"
        )
    path = Path(source).expanduser()
    if kind == "factory":
        return load_factory(os.fspath(source))
    readers = {"onnx": load_onnx, "pt2": load_pt2, "torchscript": load_torchscript}
    return readers[kind](path)


def open_foreign(
    source: str | os.PathLike[str],
    *,
    trust: bool = False,
    halo: Sequence[int] = (),
    blend: bool = False,
) -> Model:
    """A model of a network of another tool. Its receptive field is measured.

    The file says neither names of classes nor a normalisation: both are bigunet's defaults.

    Parameters
    ----------
    source : path or str
        An ``.onnx``, ``.pt2`` or TorchScript file, or ``package.module:factory``.
    trust : bool
        Whether code of the source may run.
    halo : sequence of int, optional
        The halo, one number or one for each axis, where it cannot be measured.
    blend : bool
        Whether to take a network that cannot be run exactly, too.

    Raises
    ------
    ModelError
        If it cannot be read, needs trust, or cannot be run exactly block by block.
    """
    network = read_network(source, trust=trust)
    try:
        model = _model_of(source, network, halo=tuple(halo), blend=blend)
    except InexactError as error:
        raise InexactError(f"{source}: {error}{OR_BLEND}") from error
    except ModelError as error:
        _check_one_shape(source, network, blend)
        raise ModelError(f"{source}: {error}") from error
    return replace(model, path=address_of(source), assumed=("normalisation", "classes"))


def _model_of(
    source: str | os.PathLike[str], network: ForeignModule, *, halo: tuple[int, ...], blend: bool
) -> Model:
    """The model of a network; a file that was measured before is not measured again."""
    ndim, num_channels = network.axes_and_channels()
    channels, name = tuple(map(str, range(num_channels))), _name_of(source)
    shape = network.tile_shape if blend else None
    path = Path(source).expanduser()
    # The code of a factory is not in one file.
    key = ""
    if path.is_file():
        key = file_key(path, ndim=ndim, channels=num_channels, halo=halo, tile_shape=shape)
    module = module_from(network.module)
    if key and (known := recall_measured(key)) is not None:
        # Weights may lie in other files, which the key does not know.
        with contextlib.suppress(Exception):  # a module may raise any error
            model = Model.of_measured(module, known.measured, channels=channels, name=name)
            if model.digest == known.digest:
                return model
    measured = Measured.of(
        module, in_channels=num_channels, ndim=ndim, scores=None, halo=halo, tile_shape=shape
    )
    model = Model.of_measured(module, measured, channels=channels, name=name)
    if key:
        keep_measured(key, Remembered(measured, model.digest))
    return model


def _check_one_shape(source: str | os.PathLike[str], network: ForeignModule, blend: bool) -> None:
    """Raise InexactError if the network runs on the one shape that its file states."""
    shape = network.tile_shape
    if blend or not shape:
        return
    ndim, channels = network.axes_and_channels()
    try:
        measure_tiles(network.module, in_channels=channels, ndim=ndim, tile_shape=shape)
    except ModelError:
        return
    raise InexactError(f"{source} runs on tiles of {shown_shape(shape)} only{OR_BLEND}")


def _name_of(source: str | os.PathLike[str]) -> str:
    path = Path(source)
    return path.stem if path.expanduser().is_file() else os.fspath(source)


def address_of(source: str | os.PathLike[str]) -> str:
    """What ``load_model`` finds again from any folder; the name of a factory as it is."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.is_file() else os.fspath(source)
