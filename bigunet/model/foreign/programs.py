"""Reads networks that are programs: files of torch.export and TorchScript. Reading may run code."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bigunet.errors import ModelError
from bigunet.model.brief import first_line
from bigunet.model.foreign.foreign_module import ForeignModule


def load_pt2(path: Path) -> ForeignModule:
    """Read a program of torch.export, a ``.pt2`` file, without its checks of the input's shape.

    Whether the program runs on other shapes than those of its export is measured later.

    Raises
    ------
    ModelError
        If it cannot be read here, or has several inputs.
    """
    with _reading(path, "a program of torch.export"):
        program = torch.export.load(path)
        module = program.module(check_guards=False)
    outputs = _simplify(module)
    if outputs != 1:
        raise ModelError(
            f"{path} gives {outputs} outputs; bigunet runs networks that give their scores alone: "
            "export such a network"
        )
    # A copy, because the copy has no hooks: they check the shape, and cannot be pickled.
    module = copy.deepcopy(module)
    names = set(program.graph_signature.user_inputs)
    given = [
        node for node in program.graph.nodes if node.op == "placeholder" and node.name in names
    ]
    if len(given) != 1:
        raise ModelError(
            f"{path} reads {len(given)} inputs; bigunet runs networks that read the image alone: "
            "export such a network"
        )
    sizes = tuple(size if isinstance(size, int) else None for size in given[0].meta["val"].shape)
    return ForeignModule(module, "torch.export", sizes)


def _simplify(module: torch.fx.GraphModule) -> int:
    """Make the module take and give tensors instead of trees; the number of its outputs."""
    end = next(node for node in module.graph.nodes if node.op == "output")
    given = end.args[0]
    outputs = given if isinstance(given, (tuple, list)) else (given,)
    if len(outputs) == 1:
        end.args = (outputs[0],)
        module.graph.set_codegen(torch.fx.graph.CodeGen())
        module.recompile()
    for name in ("_in_spec", "_out_spec"):
        module.__dict__.pop(name, None)
    return len(outputs)


def load_torchscript(path: Path) -> ForeignModule:
    """Read a TorchScript archive, which ``torch.jit.save`` wrote.

    Raises
    ------
    ModelError
        If it cannot be read here.
    """
    with _reading(path, "TorchScript"):
        module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return ForeignModule(module.eval(), "TorchScript")


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Turn torch's errors into one line; its warnings about formats are not for users."""
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # torch raises many kinds
        raise ModelError(
            f"{path} cannot be read as {kind} by torch {torch.__version__} ({first_line(error)}): "
            "fetch it again, or save it with this version of torch"
        ) from error
    finally:
        logger.setLevel(level)
