"""The description of a package, ``rdf.yaml``, in format 0.5 of bioimage.io."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from bigunet.errors import OptionError
from bigunet.exporting.export_options import ExportOptions
from bigunet.exporting.sample_tensors import EPS
from bigunet.exporting.weights import (
    ONNX_FILE,
    ONNX_OPSET,
    SOURCE_FILE,
    STATE_FILE,
    network_numbers,
)
from bigunet.model.model import Model
from bigunet.model.networks.network import Network

FORMAT = "0.5.5"
IMAGE_FILE, OUTPUT_FILE, COVER_FILE, README = (
    "test_input.npy", "test_output.npy", "cover.png", "README.md",
)  # fmt: skip
_DOI = re.compile(r"10\.\d{4,9}/[^\s;,]+")
# A licence of SPDX has no blank. Most have a version at the end.
_SPDX = re.compile(r"^(?:MIT|ISC|Unlicense|[A-Za-z][A-Za-z0-9.+-]*-\d[A-Za-z0-9.+-]*)$")
_RONNEBERGER = {
    "text": "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image "
    "Segmentation, MICCAI 2015.",
    "doi": "10.1007/978-3-319-24574-4_28",
}


def description_of(
    model: Model, files: Mapping[str, bytes], options: ExportOptions
) -> dict[str, Any]:
    """The description as plain data.

    Parameters
    ----------
    model : Model
    files : mapping of str to bytes
        The other files of the package.
    options : ExportOptions

    Raises
    ------
    OptionError
        If there is no licence that SPDX knows.
    """
    described = model.description
    authors = options.authors or tuple(filter(None, [described.card.get("authors")]))
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": _plain_name(described.name),
        "description": _one_line(described.card.get("data") or f"A network for {described.name}"),
        "license": _licence(model, options),
        **({"authors": [{"name": name} for name in authors]} if authors else {}),
        "cite": _cited(model),
        "tags": _tags(model, options),
        "covers": [COVER_FILE],
        "documentation": README,
        "inputs": [_input(model, files)],
        "outputs": [_output(model, files)],
        "weights": _weights(model, files),
        # Names of training files are of no use to others.
        "config": {"bigunet": {"description": replace(described, training={}).to_dict()}},
    }


def _input(model: Model, files: Mapping[str, bytes]) -> dict[str, Any]:
    field, space = model.receptive_field, _space(model)
    least = field.input_shape(field.stride)
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": _identifiers(model.description.channels)},
    ]
    for name, size, step, scale in zip(space, least, field.stride, _scales(model)):
        axes.append({"type": "space", "id": name, "size": {"min": size, "step": step}, **scale})
    return {
        "id": "image",
        "description": "Grey values of any range.",
        "axes": axes,
        "data": {"type": "float32"},
        "test_tensor": _file(IMAGE_FILE, files),
        "preprocessing": [_cast(), _preprocessing(model), _cast()],
    }


def _output(model: Model, files: Mapping[str, bytes]) -> dict[str, Any]:
    field, described = model.receptive_field, model.description
    names = [one.name for one in described.classes]
    single = is_single(model)
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": _identifiers(names[1:] if single else names)},
    ]
    for name, border, scale in zip(_space(model), field.border, _scales(model)):
        # Valid convolutions give no score for the border, and none that depends on padding.
        size = {"tensor_id": "image", "axis_id": name, "offset": -2 * border}
        axes.append({"type": "space", "id": name, "size": size, **scale})
    step = {"id": "sigmoid"} if single else {"id": "softmax", "kwargs": {"axis": "channel"}}
    return {
        "id": "probabilities",
        "description": "Probability of each class.",
        "axes": axes,
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": _file(OUTPUT_FILE, files),
        "postprocessing": [step, _cast()],
    }


def is_single(model: Model) -> bool:
    """Whether the network gives one score, that of the foreground."""
    return isinstance(model.module, Network) and model.module.config.classes == 1


def _preprocessing(model: Model) -> dict[str, Any]:
    usual = model.description.normalisation
    if usual.kind == "percentile":
        numbers = {
            "axes": list(_space(model)),
            "min_percentile": float(usual.low),
            "max_percentile": float(usual.high),
            "eps": EPS,
        }
        return {"id": "scale_range", "kwargs": numbers}
    span = usual.high - usual.low
    return {"id": "scale_linear", "kwargs": {"gain": 1 / span, "offset": -usual.low / span}}


def _weights(model: Model, files: Mapping[str, bytes]) -> dict[str, Any]:
    weights: dict[str, Any] = {}
    if STATE_FILE in files:
        source = _file(SOURCE_FILE, files)
        weights["pytorch_state_dict"] = {
            **_file(STATE_FILE, files),
            "pytorch_version": torch.__version__.partition("+")[0],
            "architecture": {
                **source, "callable": "UNet", "kwargs": network_numbers(model.module)
            },
        }  # fmt: skip
    weights["onnx"] = {**_file(ONNX_FILE, files), "opset_version": ONNX_OPSET}
    if STATE_FILE in files:
        weights["onnx"]["parent"] = "pytorch_state_dict"
    return weights


def _file(name: str, files: Mapping[str, bytes]) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _cast() -> dict[str, Any]:
    return {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}


def _space(model: Model) -> tuple[str, ...]:
    return ("z", "y", "x")[-model.ndim :]


def _scales(model: Model) -> list[dict[str, Any]]:
    size = model.description.voxel_size_um
    if size is None:
        return [{}] * model.ndim
    return [{"scale": float(v), "unit": "micrometer"} for v in size[-model.ndim :]]


def _licence(model: Model, options: ExportOptions) -> str:
    licence = options.licence or str(model.description.card.get("licence") or "")
    if not _SPDX.match(licence):
        raise OptionError(
            f"the licence of the package is {licence!r}: give one as SPDX writes it, such as "
            "--licence CC-BY-4.0"
        )
    return licence


def _cited(model: Model) -> list[dict[str, str]]:
    cited = [_RONNEBERGER] if model.description.architecture.get("name") == "unet" else []
    citation = str(model.description.card.get("citation") or "")
    for doi in _DOI.findall(citation):
        cited.append({"text": _one_line(citation), "doi": doi.rstrip(".")})
    return cited or [{"text": "bigunet", "url": "https://bioimage.io"}]


def _tags(model: Model, options: ExportOptions) -> list[str]:
    classes = [one.name for one in model.description.classes[1:]]
    words = ["bigunet", "segmentation", f"{model.ndim}d", *classes, *options.tags]
    return list(dict.fromkeys(" ".join(word.split()) for word in words))


def _identifiers(names: tuple[str, ...] | list[str]) -> list[str]:
    """Names of channels as the format takes them; numbers have a word before them."""
    plain = [re.sub(r"\W+", "_", name).strip("_") or "channel" for name in names]
    return [f"channel_{name}" if name[0].isdigit() else name for name in plain]


def _plain_name(name: str) -> str:
    """A name of 5 to 128 letters, as bioimage.io takes it."""
    plain = re.sub(r"[^\w\s+()-]", " ", name).strip()
    return (plain if len(plain) > 4 else f"{plain} (bigunet)")[:128]


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:1000]
