"""The verb ``export``: a model of bigunet as a package of bioimage.io."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import yaml

from bigunet.errors import ModelError
from bigunet.exporting.archive import check_target, write_files
from bigunet.exporting.cover import cover
from bigunet.exporting.description import (
    COVER_FILE,
    IMAGE_FILE,
    OUTPUT_FILE,
    README,
    description_of,
)
from bigunet.exporting.export_options import ExportKeywords, ExportOptions
from bigunet.exporting.readme import readme
from bigunet.exporting.sample_tensors import sample_tensors
from bigunet.exporting.weights import (
    ONNX_FILE,
    SOURCE_FILE,
    STATE_FILE,
    network_source,
    onnx_program,
    state_dict,
)
from bigunet.model.files.model_file import load_model
from bigunet.model.foreign.kinds import foreign_kind
from bigunet.model.model import Model
from bigunet.model.networks.architectures import architecture_of
from bigunet.options.option_fields import chosen


def export(
    model: str | Path | Model,
    target: str | Path,
    *,
    options: ExportOptions | None = None,
    existing: Literal["refuse", "overwrite"] = "refuse",
    **fields: Unpack[ExportKeywords],
) -> Path:
    """Write a model as a package of bioimage.io, format 0.5.

    The package has the weights as a state dict with the source of the network (of a U-Net) and as
    ONNX, test tensors, a cover and documentation. bigunet reads it as the model that it was. The
    same model and options give the same bytes.

    Parameters
    ----------
    model : str, path or Model
        A model of bigunet's networks.
    target : path
        A zip if its name ends in ``.zip``, else a folder.
    options : ExportOptions, optional
    existing : {"refuse", "overwrite"}
        What to do if the target exists. Only a package is overwritten.
    **fields
        Fields of ExportOptions, such as ``licence="CC-BY-4.0"``.

    Returns
    -------
    Path
        The package.

    Raises
    ------
    ModelError
        If the model is none of bigunet's networks.
    BigUNetError
        If the licence is missing, or the package cannot be written.
    """
    options = chosen(ExportOptions, options, fields, export)
    check_target(Path(target), overwrite=existing == "overwrite")
    _check_is_own(model)
    loaded = model if isinstance(model, Model) else load_model(model)
    if loaded.description.normalisation.kind == "steps":
        raise ModelError(f"model {loaded.description.name!r} is of a package already: copy that")
    described = replace(loaded.description, architecture=architecture_of(loaded.module))
    loaded = replace(loaded, description=described)
    # A missing licence is said before anything is computed.
    files = _files(loaded, options)
    write_files(files, Path(target))
    return Path(target)


def _check_is_own(model: str | Path | Model) -> None:
    """Raise ModelError for a file of another tool: `export` could not run it without trust."""
    if not isinstance(model, Model) and foreign_kind(model) is not None:
        raise ModelError(
            f"{model} is a network of another tool, and packages are made of models of bigunet: "
            "give a .safetensors file, or pack this one with bioimageio.spec"
        )


def _files(model: Model, options: ExportOptions) -> dict[str, bytes]:
    """The files of the package, by name."""
    tensors = sample_tensors(model, options.image)
    files = {
        README: readme(model),
        COVER_FILE: cover(model, tensors),
        IMAGE_FILE: _npy(tensors.image),
        OUTPUT_FILE: _npy(tensors.probabilities),
        ONNX_FILE: onnx_program(model),
    }
    state = state_dict(model.module)
    if state is not None:
        files |= {STATE_FILE: state, SOURCE_FILE: network_source()}
    described = description_of(model, files, options)
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=100)
    return {"rdf.yaml": text.encode(), **files}


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array))
    return buffer.getvalue()
