"""The network that a training begins with, its device, and its number of loaders."""

from __future__ import annotations

from typing import Any

import torch

from bigunet.errors import ClusterError, OptionError
from bigunet.machine.cores import cores
from bigunet.machine.processes import can_start_processes, check_processes
from bigunet.model.files.model_file import load_model
from bigunet.model.inference.hardware import device_of
from bigunet.model.networks.architectures import build, config_class
from bigunet.model.networks.network import Network
from bigunet.options.choices import DeviceChoice
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.train_options import TrainOptions

_MOST_LOADERS = 8


def begin_network(options: TrainOptions, training_set: TrainingSet, *, seed: int) -> Network:
    """A network with random weights drawn from the seed, or with the weights of another model.

    Raises
    ------
    OptionError
        If the other model has other axes, channels or classes.
    ModelError
        If there is no network with these numbers, or no such model.
    """
    if options.begin_from:
        return _of_model(options.begin_from, training_set)
    numbers: dict[str, Any] = {
        "ndim": training_set.ndim,
        "in_channels": training_set.in_channels,
        "classes": training_set.rule.num_classes,
        "width": options.width,
        "depth": options.depth,
        "batch_norm": options.batch_norm,
        "dropout": options.dropout,
    }
    # Not every network has all of these numbers: the sliding window has no batch normalisation.
    known = config_class(options.network).__dataclass_fields__
    config = {name: value for name, value in numbers.items() if name in known}
    torch.manual_seed(seed)
    return build({"name": options.network, "config": config}).initialise()


def _of_model(source: str, training_set: TrainingSet) -> Network:
    model = load_model(source)
    # Built anew, because the loaded network is in evaluation mode and made to be run.
    module = build(model.description.architecture)
    # The number of scores counts, not of classes: a network with one score distinguishes two
    # classes, but has no softmax to learn with.
    has = (model.ndim, model.in_channels, module.config.classes)
    needs = (training_set.ndim, training_set.in_channels, training_set.rule.num_classes)
    if has != needs:
        raise OptionError(
            f"model {source} has {has[0]} axes, {has[1]} channels and {has[2]} scores; the "
            f"images need {needs[0]}, {needs[1]} and {needs[2]}: train from random weights, or "
            "change the target"
        )
    module.load_state_dict(model.module.state_dict())
    return module


def choose_device(choice: DeviceChoice, rank: int) -> torch.device:
    """The GPU of the process with number ``rank``, or the CPU.

    An Apple GPU is taken only if it is asked for: no training was tried on one.

    Raises
    ------
    ClusterError
        If the choice needs a GPU and there is none for this process.
    """
    if choice == "mps":
        return _apple_gpu(rank)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if choice == "cpu" or (choice == "auto" and count == 0):
        return torch.device("cpu")
    if rank >= count:
        raise ClusterError(
            f"process {rank} has no GPU of its own: there are {count}; give fewer with "
            "--processes, or --device cpu"
        )
    return torch.device("cuda", rank)


def _apple_gpu(rank: int) -> torch.device:
    if rank > 0:
        raise ClusterError("an Apple GPU trains in one process: give --processes 1")
    return torch.device(device_of("mps"))


def choose_loaders(options: TrainOptions, device: torch.device) -> int:
    """Number of processes that draw patches ahead.

    With a CPU it is 1, because the network's own threads need the cores. With a GPU it grows with
    the cores. It is 0 where this Python cannot start processes and the user has not asked for
    any: the patches are the same without them.
    """
    if options.loaders > 0:
        check_processes("loaders=0")
    if options.loaders >= 0:
        return options.loaders
    if not can_start_processes():
        return 0
    of_process = cores() // options.processes
    return min(_MOST_LOADERS, max(1, of_process - 1)) if device.type == "cuda" else 1
