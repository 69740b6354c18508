"""Small outputs, their blocks, and the levels that they should have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from ome_zarr_models import v04, v05

from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputClass, OutputImage
from bigunet.io.output.pyramid import downsample_mean, downsample_mode
from bigunet.io.output.writer import OutputWriter

AXES = {
    "t": Axis("t", "time", "second"),
    "c": Axis("c", "channel", None),
    "z": Axis("z", "space", "micrometer"),
    "y": Axis("y", "space", "micrometer"),
    "x": Axis("x", "space", "micrometer"),
}
EXTENTS = {"t": 2, "z": 11, "y": 37, "x": 26}
BLOCKS = {"t": 1, "z": 4, "y": 16, "x": 8}
SCALES = {"t": 1.0, "z": 0.9, "y": 0.3, "x": 0.25}
TRANSLATIONS = {"t": 0.0, "z": -3.0, "y": 10.1, "x": 0.7}
CLASSES = (
    OutputClass("background", (0, 0, 0, 0)),
    OutputClass("cell", (255, 128, 0, 255)),
    OutputClass("nucleus", (0, 64, 255, 200)),
)
LABEL_AXES = ["yx", "zyx", "tyx", "tzyx", "xy"]
IMAGE_AXES = ["cyx", "tczyx"]
VERSIONS = ["0.4", "0.5"]
MODELS: dict[str, Any] = {"0.4": v04, "0.5": v05}


def output_image(store: Path | str, axes: str, version: str = "0.5", **changes: Any) -> OutputImage:
    """Describe an output with levels in two groups: probabilities if there is a channel axis."""
    names = [name for name in "tzyx" if name in axes]
    layout = plan_pyramid(
        tuple(EXTENTS[name] for name in names),
        tuple(BLOCKS[name] for name in names),
        downsampled=tuple(name != "t" for name in names),
        chunk_limit=tuple(4 for _ in names),
        smallest=6,
    )
    with_channels = "c" in axes
    output = OutputImage(
        store=str(store),
        group="probabilities" if with_channels else "labels/classes",
        kind="image" if with_channels else "label",
        dtype="uint8",
        axes=tuple(AXES[name] for name in axes),
        layout=layout,
        num_channels=len(CLASSES) if with_channels else 1,
        scale=tuple(SCALES[name] for name in names),
        translation=tuple(TRANSLATIONS[name] for name in names),
        version=version,
        classes=CLASSES,
    )
    return replace(output, **changes)


def random_values(output: OutputImage, seed: int = 0) -> np.ndarray:
    """All values of level 0, in canonical axes: few labels in flat areas, or scores."""
    top = len(CLASSES) if output.kind == "label" else 256
    shape = (output.num_channels,) * output.has_channels + output.layout.shape
    values = np.random.default_rng(seed).integers(0, top, shape)
    return (values * (values[..., :1] > 0)).astype(output.dtype)


def blocks(output: OutputImage, group: int) -> Iterator[Box]:
    layout = output.layout
    whole = Box.of_shape(layout.levels[layout.groups[group][0]].shape)
    shape = layout.block_shape(group)
    for index in np.ndindex(*layout.grid_shape(group)):
        start = tuple(i * s for i, s in zip(index, shape))
        yield Box(start, tuple(a + s for a, s in zip(start, shape))).intersection(whole)


def write_all(output: OutputImage, values: np.ndarray) -> None:
    create_arrays(output)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    for block in blocks(output, 0):
        writer.write_block(0, block, values[(..., *block.within(whole))])
    for group in range(1, len(output.layout.groups)):
        for block in blocks(output, group):
            writer.downsample_block(group, block)


def reference_levels(output: OutputImage, values: np.ndarray) -> list[np.ndarray]:
    """All levels, downsampled from the whole array, in storage order."""
    downsample = downsample_mode if output.kind == "label" else downsample_mean
    levels = [values]
    for level in range(1, len(output.layout.levels)):
        step = (1,) * output.has_channels + output.layout.step(level)
        levels.append(downsample(levels[-1], step))
    canonical = "c" * output.has_channels + "".join(output.canonical_names)
    stored = [canonical.index(axis.name) for axis in output.axes]
    return [level.transpose(stored) for level in levels]


def stored_levels(output: OutputImage) -> list[np.ndarray]:
    group = zarr.open_group(output.store, path=output.group, mode="r")
    return [np.asarray(group[str(k)][...]) for k in range(len(output.layout.levels))]


def assert_levels_equal(output: OutputImage, values: np.ndarray) -> None:
    for stored, expected in zip(
        stored_levels(output), reference_levels(output, values), strict=True
    ):
        np.testing.assert_array_equal(stored, expected, strict=True)


def fingerprints(store: Path | str) -> dict[str, str]:
    files = [path for path in Path(store).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
