"""What several tests share: a tiny model, small images, workers, and the command line."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Two test processes share the cores: threads of both would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What tests measure of models stays out of the user's cache, and each test measures anew.
os.environ["BIGUNET_CACHE"] = ""

import numpy as np
import pytest
import torch
import zarr
from bigunet_cli.main import main
from distributed import Client
from hypothesis import settings

from bigunet import ModelDescription, Normalisation, save_model
from bigunet.model.description import default_classes
from bigunet.model.networks.architectures import architecture_of, build, config_class

EXTENTS = {"t": 2, "c": 2, "z": 20, "y": 90, "x": 70}
TYPES = {"t": "time", "c": "channel"}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
BIGUNET = Path(sys.executable).with_name("bigunet")

# A third of the usual number, for a suite of hundreds of laws that runs at every change. The
# examples are new in each run, and make soak draws thousands of them.
settings.register_profile("suite", max_examples=30, deadline=None)
settings.register_profile("soak", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

WriteModel = Callable[..., Path]
WriteImage = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, and the lines on stderr but the dashboard's."""

    code: int
    out: str
    err: str

    @property
    def messages(self) -> list[str]:
        return [line for line in self.err.splitlines() if not line.startswith("dashboard: ")]

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Run = Callable[..., Outcome]


def save_random_model(
    path: Path, *, fixed: bool = True, architecture: str = "unet", **numbers: Any
) -> Path:
    """A random network of three classes. It uses all labels; grey values are 0 to 255."""
    usual = {"width": 4, "depth": 2, "classes": 3, "batch_norm": True}
    made_of = config_class(architecture)
    known = {name: n for name, n in usual.items() if name in made_of.__dataclass_fields__}
    config = made_of.from_dict(known | numbers)
    torch.manual_seed(0)
    module = build({"name": architecture, "config": config.to_dict()}).initialise().eval()
    noise = torch.rand(
        1, config.in_channels, *config.receptive_field().input_shape((20,) * config.ndim)
    )
    with torch.no_grad():
        scores = module(noise)
        # No class wins everywhere.
        module.get_parameter("head.bias").sub_(scores.transpose(0, 1).flatten(1).mean(dim=1))
    description = ModelDescription(
        name=path.stem,
        architecture=architecture_of(module),
        classes=default_classes(config.classes),
        channels=tuple(f"stain {k}" for k in range(config.in_channels)),
        normalisation=Normalisation("fixed", 0, 255) if fixed else Normalisation(),
    )
    save_model(path, module, description)
    return path


def write_ome_zarr(
    path: Path,
    axes: str = "yx",
    *,
    version: str = "0.4",
    shape: tuple[int, ...] | None = None,
    chunks: tuple[int, ...] | None = None,
    metadata: dict[str, Any] | None = None,
) -> np.ndarray:
    """Write noise as an image of one level without help from bigunet; the voxels come back.

    ``metadata`` may have ``scale``, ``translation``, ``outer`` (transformations of the whole
    multiscale) and ``channels`` (names).
    """
    stated = metadata or {}
    shape = shape or tuple(EXTENTS[a] for a in axes)
    seed = np.random.default_rng(math.prod(shape))
    pixels = seed.integers(0, 256, shape).astype(np.uint8)
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    encoding: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    array = group.create_array(
        "0",
        shape=shape,
        chunks=chunks or shape,
        dtype="uint8",
        **(encoding if version == "0.4" else {"dimension_names": list(axes)}),
    )
    array[...] = pixels
    multiscale = {
        "name": path.stem,
        "axes": [
            {"name": a, "type": TYPES.get(a, "space")} | ({"unit": UNITS[a]} if a in UNITS else {})
            for a in axes
        ],
        "datasets": [
            {"path": "0", "coordinateTransformations": _transformations(stated, len(axes))}
        ],
    }
    if "outer" in stated:
        multiscale["coordinateTransformations"] = stated["outer"]
    content: dict[str, Any] = {"multiscales": [multiscale]}
    if "channels" in stated:
        content["omero"] = {"channels": [{"label": name} for name in stated["channels"]]}
    if version == "0.4":
        multiscale["version"] = "0.4"
        group.attrs.update(content)
    else:
        group.attrs["ome"] = content | {"version": version}
    return pixels


def _transformations(stated: dict[str, Any], ndim: int) -> list[dict[str, Any]]:
    steps = [{"type": "scale", "scale": list(stated.get("scale", [1.0] * ndim))}]
    if "translation" in stated:
        steps.append({"type": "translation", "translation": list(stated["translation"])})
    return steps


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out tests that use what Windows lacks, when they are on Windows."""
    if os.name != "nt" or collection_path.suffix != ".py":
        return None
    from support.systems import uses_one_system

    return uses_one_system(collection_path) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where torch sees none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no GPU"))


@pytest.fixture(autouse=True)
def _loggers_speak() -> None:
    """Whatever an earlier test did to logging, or a library that it used."""
    logging.disable(logging.NOTSET)
    logging.getLogger("bigunet").setLevel(logging.NOTSET)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.split(".")[0] == "bigunet" and isinstance(logger, logging.Logger):
            logger.disabled, logger.propagate = False, True


@pytest.fixture(scope="session")
def write_model() -> WriteModel:
    return save_random_model


@pytest.fixture(scope="session")
def write_image() -> WriteImage:
    return write_ome_zarr


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one channel, in 2D."""
    return save_random_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """One worker of two threads in this process, reached over the loopback by others too."""
    with Client(
        processes=False,
        n_workers=1,
        threads_per_worker=2,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as client:
        yield client


@pytest.fixture
def bigunet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command in this process: no second start of Python, and no coverage lost."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["bigunet", *map(str, arguments)])
        capsys.readouterr()
        code = _code_of(main)
        return Outcome(code, *capsys.readouterr())

    loggers = [logging.getLogger(name) for name in ("bigunet", "distributed")]
    levels = [logger.level for logger in loggers]
    yield run
    for logger, level in zip(loggers, levels):
        logger.setLevel(level)


def _code_of(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as left:
        return int(left.code or 0)
    raise AssertionError("the command came back without an exit code")


@pytest.fixture(scope="session")
def bigunet_process() -> Run:
    """The installed command in a process of its own."""

    def run(*arguments: object) -> Outcome:
        done = subprocess.run(
            [BIGUNET, *map(str, arguments)], capture_output=True, text=True, timeout=240
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
