"""Images with labels of objects inside, written without help from bigunet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
TYPES = {"t": "time", "c": "channel"}


def objects(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Boxes with numbers from 1, with gaps, that overlap at random."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint32)
    for label in rng.permutation(60)[:40] + 1:
        start = [int(rng.integers(0, n)) for n in shape]
        labels[tuple(slice(a, a + int(rng.integers(1, 9))) for a in start)] = label
    return labels


def write_multiscale(
    path: Path,
    voxels: np.ndarray,
    axes: str,
    *,
    version: str = "0.5",
    um: float | None = 0.5,
    channels: tuple[str, ...] = (),
) -> None:
    """Write an image, or a label image, of one level."""
    group = zarr.open_group(path, mode="a", zarr_format=2 if version == "0.4" else 3)
    chunks = tuple(min(n, 16) for n in voxels.shape)
    encoding: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    array = group.create_array(
        "0",
        shape=voxels.shape,
        chunks=chunks,
        dtype=voxels.dtype,
        **(encoding if version == "0.4" else {"dimension_names": list(axes)}),
    )
    array[...] = voxels
    named = [{"name": a, "type": TYPES.get(a, "space")} for a in axes]
    if um is not None:
        named = [
            axis | ({"unit": UNITS[axis["name"]]} if axis["name"] in UNITS else {})
            for axis in named
        ]
    scale = [{"type": "scale", "scale": [um or 1.0 if a in "zyx" else 1.0 for a in axes]}]
    content: dict[str, Any] = {
        "multiscales": [
            {
                "version": version,
                "axes": named,
                "datasets": [{"path": "0", "coordinateTransformations": scale}],
            }
        ]
    }
    if channels:
        window = {"min": 0, "max": 9999, "start": 0, "end": 9999}
        shown = {"color": "FFFFFF", "window": window}
        content["omero"] = {"channels": [{"label": name} | shown for name in channels]}
    if path.parent.name == "labels":
        content["image-label"] = {"version": version, "source": {"image": "../../"}}
    group.attrs.update(content if version == "0.4" else {"ome": content | {"version": version}})


def write_labelled(
    path: Path, labels: np.ndarray, grey: np.ndarray, axes: str, **stated: Any
) -> None:
    """Write ``grey``, (c, *axes), and ``labels/cells`` inside it."""
    names = tuple(f"stain{c}" for c in range(len(grey)))
    with_channel = axes.replace("t", "tc") if "t" in axes else f"c{axes}"
    order = [with_channel.index("c"), *(with_channel.index(a) for a in axes)]
    stored = grey.transpose(np.argsort(order))
    write_multiscale(path, stored, with_channel, channels=names, **stated)
    write_multiscale(path / "labels" / "cells", labels, axes, **stated)
    listed = {"labels": ["cells"]}
    is_old = stated.get("version") == "0.4"
    group = zarr.open_group(path / "labels", mode="a", zarr_format=2 if is_old else 3)
    group.attrs.update(listed if is_old else {"ome": listed | {"version": "0.5"}})
