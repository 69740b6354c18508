"""From the description of a package to what it states; nothing but the description is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.packages import format_04, format_05
from bigunet.model.packages.package import Package, PackageTensor
from bigunet.model.packages.package_files import PackageFiles
from bigunet.model.packages.plain_fields import card_of, mapping, text
from bigunet.model.packages.yaml_text import read_yaml

_FORMATS = {"0.4": format_04, "0.5": format_05}


def read_package(files: PackageFiles) -> Package:
    """Read the description of a package.

    Raises
    ------
    ModelError
        If it is no description of one network for images, or of another format.
    """
    data = read_yaml(files.read(files.rdf))
    if data.get("type", "model") != "model":
        raise ModelError(f"describes a {brief(data.get('type'))}, not a model: give a model")
    version = str(data.get("format_version"))
    known = _FORMATS.get(".".join(version.split(".")[:2]))
    if known is None:
        raise ModelError(
            f"has format {version[:20]}; bigunet reads {' and '.join(_FORMATS)}: convert it with "
            "'bioimageio update-format'"
        )
    inputs, outputs = known.tensors_of(data)
    _check_names((*inputs, *outputs))
    return Package(
        files,
        text(data.get("name"), "the name"),
        inputs,
        outputs,
        known.weights_of(data),
        card_of(data),
        _own(data),
    )


def _check_names(tensors: tuple[PackageTensor, ...]) -> None:
    names = [tensor.name for tensor in tensors]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ModelError(f"has two tensors of the name {twice!r}: each needs its own")


def _own(data: Mapping[str, Any]) -> Mapping[str, Any]:
    config = data.get("config")
    own = config.get("bigunet") if isinstance(config, Mapping) else None
    return {} if own is None else mapping(own, "config of bigunet")
