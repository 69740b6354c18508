"""Makes what users give: small images, labels and models, in the current folder."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import zarr
from PIL import Image
from support.model_packages import onnx_package
from support.onnx_graphs import Graph

from bigunet import ModelDescription, Normalisation, UNet, UNetConfig, save_model
from bigunet.model.description import default_classes
from bigunet.model.networks.architectures import architecture_of

KINDS = {"t": "time", "c": "channel"}


PYTHON_WEIGHTS = {
    "pytorch_state_dict": {
        "source": "weights.pt",
        "architecture": {"source": "unet.py", "callable": "UNet"},
    }
}


def package(name: str, **changed: Any) -> None:
    """A package of bioimage.io with ONNX weights, in a folder."""
    onnx_package(Path(name), **changed)


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, shape).astype(dtype)


def array(name: str, voxels: np.ndarray, names: Sequence[str] | None = None) -> None:
    """A bare array of zarr 3, with or without names of its axes."""
    zarr.create_array(name, data=voxels, dimension_names=names)


def absent(name: str, *shape: int, dtype: Any = "uint8", **how: Any) -> None:
    """A bare array without any stored chunk."""
    names = list("tczyx"[-len(shape) :]) if len(shape) < 4 else None
    chunks = tuple(min(n, 512) or 1 for n in shape)
    how = {"dimension_names": names, "chunks": chunks} | how
    zarr.create_array(name, shape=shape, dtype=dtype, **how)


def image(
    name: str,
    *levels: np.ndarray,
    axes: str = "yx",
    channels: Sequence[str] = (),
    um: float = 0,
    metadata: dict[str, Any] | None = None,
) -> None:
    """An OME-Zarr 0.4 image; ``metadata`` replaces parts of the usual metadata."""
    group = zarr.open_group(name, mode="w", zarr_format=2)
    datasets: list[dict[str, Any]] = []
    for k, voxels in enumerate(levels):
        group.create_array(str(k), data=voxels)
        scale = [(um or 1.0) * 2**k if axis in "yx" else 1.0 for axis in axes]
        transformation = {"type": "scale", "scale": scale}
        datasets.append({"path": str(k), "coordinateTransformations": [transformation]})
    listed = [{"name": a, "type": KINDS.get(a, "space")} for a in axes]
    for axis in listed if um else ():
        axis |= {"unit": "micrometer"} if axis["type"] == "space" else {}
    usual = {"version": "0.4", "axes": listed, "datasets": datasets}
    group.attrs["multiscales"] = [usual | (metadata or {})]
    if channels:
        group.attrs["omero"] = {"channels": [{"label": label} for label in channels]}


def plate(name: str, *wells: str, **fields: list[str]) -> None:
    """A plate that lists ``wells``, but stores only the wells and fields in ``fields``."""
    group = zarr.open_group(name, mode="w", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": f"{well[0]}/{well[1:]}"} for well in wells]}
    for well, listed in fields.items():
        path = f"{well[0]}/{well[1:]}"
        group.require_group(path).attrs["well"] = {"images": [{"path": f} for f in listed]}
        image(f"{name}/{path}/{listed[0]}", noise(40, 40))


def model(name: str = "mine.safetensors", *, channels: int = 1, **described: Any) -> None:
    """A small untrained network of two classes."""
    torch.manual_seed(0)
    network = UNet(UNetConfig(ndim=2, in_channels=channels, classes=2, width=2, depth=1))
    description = {
        "name": name.partition(".")[0],
        "architecture": architecture_of(network),
        "classes": default_classes(2),
        "channels": tuple(f"stain {k}" for k in range(channels)),
        "normalisation": Normalisation("fixed", 0, 255),
    }
    save_model(Path(name), network, ModelDescription(**(description | described)))


def file(name: str, content: bytes | str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def archive(name: str, *members: str) -> None:
    with zipfile.ZipFile(name, "w") as made:
        for member in members:
            made.writestr(member, "")


def damaged(name: str, content: bytes, *, chunk: str = "c/0/0") -> None:
    """An image of two blosc chunks; the first one is cut short, as by an incomplete copy."""
    codec = zarr.codecs.BloscCodec(cname="lz4")
    zarr.create_array(
        name, data=noise(64, 128), chunks=(64, 64), compressors=codec, dimension_names=["y", "x"]
    )
    path = Path(name) / chunk
    path.write_bytes(content or path.read_bytes()[:100])


def pairs(change: Any = None, *, count: int = 3, suffix: str = ".tif") -> None:
    """Folders ``images`` and ``labels``: bright discs on a dark ground, and their numbers.

    ``change`` is called with the number of a pair, its image and its labels, and returns both.
    """
    grid = np.stack(np.mgrid[:60, :50])
    for k in range(count):
        rng = np.random.default_rng(k)
        labels = np.zeros((60, 50), np.uint8)
        for number in range(1, 12):
            centre = rng.uniform(0, 50, 2)[:, None, None]
            labels[((grid - centre) ** 2).sum(0) <= 25] = number
        grey = (np.where(labels, 150, 40) + rng.normal(0, 9, labels.shape)).astype(np.uint8)
        if change:
            grey, labels = change(k, grey, labels)
        for folder, voxels in (("images", grey), ("labels", labels)):
            Path(folder).mkdir(exist_ok=True)
            path = f"{folder}/{k}{suffix if folder == 'labels' else '.tif'}"
            if path.endswith(".tif"):
                tifffile.imwrite(path, voxels)
            else:
                Image.fromarray(voxels).save(path)


def description_of_a_giant() -> bytes:
    """A model file of some 600 bytes that describes a network of gigabytes."""
    config = UNetConfig(width=64, depth=8).to_dict()
    made = ModelDescription("giant", {"name": "unet", "config": config}, default_classes(2), ("0",))
    header = {"__metadata__": {"bigunet": json.dumps(made.to_dict())}}
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded


def onnx_model(name: str, operator: str) -> None:
    """An ONNX model of one node."""
    graph = Graph()
    graph.add(operator, "image")
    graph.write(Path(name))
