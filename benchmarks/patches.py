"""Count the patches per second that are drawn, and those that the network is trained on.

    python benchmarks/patches.py IMAGES LABELS [--processes N] [--patch N] ...

Patches come from the files, with the whole augmentation and the weight map. The script prints JSON:
patches drawn per second, patches trained per second, and the number of processes that draw as fast
as the network is trained.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from dataclasses import replace

import torch

from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.training.checkpoint import Learner, TrainingState
from bigunet.training.data.loader import Share, batch_of, batches
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.training_set import open_training_set
from bigunet.training.loop import Machine, Trainer
from bigunet.training.recipe import Recipe
from bigunet.training.schedule import optimiser_of
from bigunet.training.train_options import TrainOptions


def drawn_per_second(source: PatchSource, *, processes: int, count: int) -> float:
    """Patches drawn per second, after the processes have started."""
    stream = batches(source, Share(1), first=0, loaders=processes)
    for _ in itertools.islice(stream, 8 * max(1, processes)):
        pass
    started = time.perf_counter()
    for _ in itertools.islice(stream, count):
        pass
    return count / (time.perf_counter() - started)


def trained_per_second(
    source: PatchSource, config: UNetConfig, recipe: Recipe, steps: int
) -> float:
    """Patches trained per second, if they are in memory already."""
    module = UNet(config).initialise()
    learner = Learner(module, UNet(config), optimiser_of(module, recipe))
    batch = batch_of([source.draw(k) for k in range(recipe.batch)])
    machine = Machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    module.to(machine.device)
    learner.average.to(machine.device)
    trainer = Trainer(learner, itertools.repeat(batch), recipe, machine, begun=TrainingState())
    trainer.step()
    started = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    return steps * recipe.batch / (time.perf_counter() - started)


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """The figures that the script prints."""
    config = UNetConfig(
        ndim=arguments.ndim,
        classes=3,
        width=arguments.width,
        depth=arguments.depth,
        batch_norm=True,
    )
    recipe = Recipe(patch=arguments.patch, precision=arguments.precision, steps=1_000_000)
    options = TrainOptions(
        ndim=arguments.ndim, width=arguments.width, depth=arguments.depth, validation=0.0
    )
    training_set = open_training_set(arguments.images, arguments.labels, options, recipe)
    field = config.receptive_field()
    source = PatchSource(
        training_set.samples, recipe, training_set.rule, training_set.class_weights, field
    )
    plain = replace(recipe, border_weight=0.0)
    without = PatchSource(
        training_set.samples, plain, training_set.rule, training_set.class_weights, field
    )
    drawn = drawn_per_second(source, processes=arguments.processes, count=arguments.count)
    trained = trained_per_second(source, config, recipe, arguments.steps)
    return {
        "patch": source.shape,
        "width": arguments.width,
        "depth": arguments.depth,
        "processes": arguments.processes,
        "drawn_per_second": round(drawn, 2),
        "drawn_per_second_without_weight_map": round(
            drawn_per_second(without, processes=arguments.processes, count=arguments.count), 2
        ),
        "trained_per_second": round(trained, 2),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "processes_to_keep_up": math.ceil(trained / drawn * max(1, arguments.processes)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images")
    parser.add_argument("labels")
    parser.add_argument("--ndim", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--patch", type=int, default=388)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5)
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
