"""Options of ``bigunet train`` that would have no effect: refused, or warned of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from bigunet.errors import OptionError
from bigunet.model.files.model_file import load_model
from bigunet.model.networks.architectures import config_class

_NETWORK = ("network", "width", "depth", "batch_norm", "dropout")


def check_effects(context: click.Context, given: Mapping[str, Any]) -> None:
    """Warn of options without effect, in a line each on stderr.

    Raises
    ------
    OptionError
        If the options name another network than that of the model to go on from.
    """
    typed = {
        name
        for name in given
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    }
    network = _network(given)
    if given["begin_from"]:
        _check_network(network, {name: given[name] for name in _NETWORK if name in typed}, given)
    for line in _without_effect(typed, given, network):
        click.echo(f"Warning: {line}", err=True)


def _network(given: Mapping[str, Any]) -> dict[str, Any]:
    """Name and numbers of the network to train, as far as the options name them."""
    if given["begin_from"]:
        architecture = load_model(given["begin_from"]).description.architecture
        config = config_class(architecture["name"]).from_dict(architecture["config"]).to_dict()
        return {"network": architecture["name"], **config}
    known = config_class(given["network"]).__dataclass_fields__
    return {name: given[name] for name in _NETWORK if name == "network" or name in known}


def _check_network(
    network: Mapping[str, Any], asked: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    for name, value in asked.items():
        if name in network and network[name] != value:
            option = f"--{name.replace('_', '-')}"
            raise OptionError(
                f"{option} is {value}, but {network[name]} in the model {given['begin_from']}, "
                f"which gives the network: leave out {option}, or --from"
            )


def _without_effect(
    typed: set[str], given: Mapping[str, Any], network: Mapping[str, Any]
) -> Iterator[str]:
    if "steps" in typed and given["minutes"] > 0:
        yield f"--steps {given['steps']} has no effect: --minutes ends the run"
    if "validation" in typed and given["validate"]:
        yield f"--validation {given['validation']:g} has no effect beside --validate"
    if given["batch_norm"] and "batch_norm" not in network:
        yield f"--batch-norm has no effect: the network {network['network']} has no such layers"
    elif given["freeze_statistics"] < 1 and not network.get("batch_norm"):
        yield "--freeze-statistics has no effect: the network has no batch normalisation"
