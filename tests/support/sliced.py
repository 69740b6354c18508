"""Images with several levels, and the same images with their axes in another order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

SCALE = {"t": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}
MOVED = {"t": 0.0, "z": 10.0, "y": 3.0, "x": -7.0}


@dataclass(frozen=True)
class Turn:
    """Brings the slice axis of an image to the place of z, and keeps the order of the others."""

    axes: str
    slice_axis: str

    @property
    def order(self) -> list[int]:
        """Position of each axis of the turned image in the image."""
        others = [name for name in "zyx" if name != self.slice_axis]
        named = dict(zip("zyx", [self.slice_axis, *others]))
        return [self.axes.index(named.get(name, name)) for name in self.axes]

    def there(self, voxels: np.ndarray) -> np.ndarray:
        return voxels.transpose(self.order)

    def back(self, voxels: np.ndarray) -> np.ndarray:
        """Turn the axes of an output back; it may have lost the channel, or got one."""
        order = self.order
        if voxels.ndim != len(self.axes):
            without = Turn(self.axes.replace("c", ""), self.slice_axis).order
            order = without if voxels.ndim == len(without) else [0, *(k + 1 for k in without)]
        return voxels.transpose(np.argsort(order))


def write_levels(
    path: Path, levels: list[np.ndarray], axes: str, turn: Turn | None = None, **array: Any
) -> Path:
    """Write an image with anisotropic voxels; the scales of a turned image are turned, too."""
    names = [axes[k] for k in turn.order] if turn else list(axes)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    datasets = []
    for number, voxels in enumerate(levels):
        stored = group.create_array(
            str(number), shape=voxels.shape, dtype=voxels.dtype, dimension_names=list(axes),
            **{"chunks": tuple(min(n, 16) for n in voxels.shape), **array},
        )  # fmt: skip
        stored[...] = voxels
        factors = [a / b for a, b in zip(levels[0].shape, voxels.shape)]
        scale = [SCALE.get(name, 1.0) * f for name, f in zip(names, factors)]
        steps = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": [MOVED.get(name, 0.0) for name in names]},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    named = [{"name": a} | _kind(a) for a in axes]
    multiscale = {"name": "image", "axes": named, "datasets": datasets}
    group.attrs["ome"] = {"multiscales": [multiscale], "version": "0.5"}
    return path


def _kind(axis: str) -> dict[str, str]:
    if axis in "zyx":
        return {"type": "space", "unit": "micrometer"}
    return {"type": "time", "unit": "second"} if axis == "t" else {"type": "channel"}


def stored_arrays(output: Path) -> dict[str, np.ndarray]:
    """Every array of an output that holds voxels, by its path."""
    groups = [*sorted((output / "labels").glob("[!.z]*")), output / "probabilities"]
    paths = [path for group in groups for path in sorted(group.glob("[0-9]"))]
    return {
        str(path.relative_to(output)): np.asarray(zarr.open_array(str(path), mode="r")[...])
        for path in paths
    }
