"""Time the forward pass alone, from a tile in memory to labels in memory.

    python benchmarks/forward.py LOAD --tile 900 1924 [--precision bf16] [--backend auto]
        [--device cuda]

No run can be faster than this. The script prints JSON: for each tile, given as the number of voxels
per axis that it keeps, the microseconds per kept voxel. For a GPU it also prints the time in which
the GPU computed, without the transfers to it and back.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, get_args

import numpy as np
import torch
from limit import seconds
from loads import LOADS, Load
from processor import device_name, usual_precision

from bigunet import Model, ModelDescription, Normalisation, UNet
from bigunet.model.description import default_classes
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.options.choices import BackendChoice, Precision


def model_of(load: Load) -> Model:
    """The network of a load with random weights, without a file."""
    torch.manual_seed(0)
    config = load.config
    description = ModelDescription(
        name=load.name,
        architecture={"name": "unet", "config": config.to_dict()},
        classes=default_classes(config.classes),
        channels=("0",),
        normalisation=Normalisation("fixed", 0, 255),
    )
    module = UNet(config).initialise().eval()
    return Model(module, description, digest="", receptive_field=config.receptive_field())


def measure(
    load: Load,
    tiles: list[int],
    *,
    precision: str,
    backend: str,
    device: str,
    threads: int,
    repeats: int,
) -> dict[str, Any]:
    """Microseconds per kept voxel, for each tile."""
    torch.set_num_threads(threads)
    model = model_of(load)
    predictor = Predictor(
        model,
        GreyRange((0.0,), (255.0,)),
        precision=precision,  # type: ignore[arg-type]
        backend=backend,  # type: ignore[arg-type]
        device=device,
    )
    field = model.receptive_field
    total, computing = {}, {}
    for extent in tiles:
        shape = field.input_shape((extent,) * model.ndim)
        pixels = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
        first = field.halo[0] - field.border[0]
        inner = (slice(first, first + extent),) * model.ndim
        taken = seconds(lambda p=pixels, i=inner: predictor.predict(p, i), repeats=repeats)  # type: ignore[misc]
        total[str(extent)] = 1e6 * taken / extent**model.ndim
        pending = predictor.begin(pixels, inner)
        pending.result()
        computing[str(extent)] = 1e6 * pending.seconds / extent**model.ndim
    return {
        "load": load.name,
        "device": device_name(device),
        "precision": precision,
        "backend": predictor.backend,
        "threads": threads,
        "microseconds_per_voxel": total,
        "computing_microseconds_per_voxel": computing,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--tile", type=int, nargs="+", required=True)
    parser.add_argument(
        "--precision", choices=get_args(Precision), help="by default the fastest native one"
    )
    parser.add_argument("--backend", choices=get_args(BackendChoice), default="auto")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    figures = measure(
        LOADS[arguments.load],
        arguments.tile,
        precision=arguments.precision or usual_precision(arguments.device),
        backend=arguments.backend,
        device=arguments.device,
        threads=arguments.threads,
        repeats=arguments.repeats,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
