"""Images of every kind that people bring, drawn by Hypothesis and written without bigunet."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from hypothesis import strategies as st
from zarr.codecs import TransposeCodec

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", ">u2", ">f4",
)  # fmt: skip
NAMES = ("DAPI", "dapi", "GFP", "0", "1", "2", "Channel 0", "488", "", " ", None, 5, 1.5, "é\n" * 9)
UNITS = ("micrometer", "nm", "µm", "pixel", "", None, 5, "meter")
CONTENTS = ("noise", "constant", "ramp", "spots")
ODD_SCALES = (1e-320, 1e-200, 1e-30, 1e30, 1e200, 3)
_TYPES = {"t": "time", "c": "channel"}


@dataclass(frozen=True)
class Drawn:
    """A stored image, and the content of its arrays.

    Parameters
    ----------
    path : Path
    axes : str
        Axes in the order of storage.
    levels : tuple of ndarray
        Voxels of all levels, with axes in the order of storage; the largest level comes first.
    stored : tuple of ndarray of bool
        Which voxels of each level lie in a chunk that is stored.
    names : tuple or None
        Labels of the channels, as they are stored.
    spec : dict
        All that was drawn, for the message of a failure.
    """

    path: Path
    axes: str
    levels: tuple[np.ndarray, ...]
    stored: tuple[np.ndarray, ...]
    names: tuple[Any, ...] | None
    spec: dict[str, Any]

    def volume(self, level: int, channels: tuple[int, ...]) -> np.ndarray:
        """Voxels, (channel, *space), with axes in the order t, z, y, x."""
        voxels = _canonical(self.levels[level], self.axes)
        return voxels[list(channels)]

    def in_stored_chunks(self, level: int, channels: tuple[int, ...]) -> np.ndarray:
        """Whether each voxel of the volume lies in a stored chunk of one of these channels."""
        stored = _canonical(self.stored[level], self.axes)[list(channels)]
        return np.asarray(stored.any(axis=0))


def _canonical(array: np.ndarray, axes: str) -> np.ndarray:
    order = [axes.index(a) for a in "ctzyx" if a in axes]
    moved = array.transpose(order)
    return moved if "c" in axes else moved[np.newaxis]


@st.composite
def specs(draw: Any, only: dict[str, Any] | None = None) -> dict[str, Any]:
    """The properties of an image, in plain values; ``only`` fixes some of them."""
    version = draw(st.sampled_from(["0.4", "0.5", "0.1", "0.2", "0.3", "bare2", "bare3"]))
    version = (only or {}).get("version", version)
    few = "tczyx" if version in ("0.1", "0.2") else None
    axes = few or draw(st.sampled_from(["yx", "cyx", "zyx", "czyx", "tyx", "tczyx", "yxc", "xy"]))
    if not few and draw(st.booleans()):
        axes = "".join(draw(st.permutations(axes)))
    most = {"t": 2, "c": 4, "z": 9, "y": 40, "x": 40}
    shape = tuple(draw(st.integers(1, most[a])) for a in axes)
    is_v3 = version in ("0.5", "bare3")
    chunks = tuple(draw(st.integers(max(1, n // 3), n)) for n in shape)
    shards = draw(st.booleans()) and is_v3
    dtype = draw(st.sampled_from(DTYPES))
    kind = np.dtype(dtype).kind
    fills = [0, 1] if kind == "b" else [0, 0, 7] + ([float("nan"), -9999.0] if kind == "f" else [])
    return {
        "version": version,
        "axes": axes,
        "shape": shape,
        "chunks": chunks,
        "shards": tuple(2 * n for n in chunks) if shards else None,
        "dtype": dtype,
        "fill": draw(st.sampled_from(fills)),
        "content": draw(st.sampled_from(CONTENTS)),
        "seed": draw(st.integers(0, 99)),
        "range": draw(st.sampled_from([(0, 200), (5, 6), (-50, 60), (0, 1), "all", "greatest"])),
        "absent": draw(st.integers(0, 3)) == 0,
        "hot": draw(st.integers(0, 3)) == 0,
        "sentinel": draw(st.integers(0, 4)) == 0,
        "bad": draw(st.sampled_from([None] * 5 + ["nan", "inf", "-inf"])),
        "num_levels": draw(st.integers(1, 3)),
        "order": draw(st.integers(0, 5)),
        "names": draw(st.none() | st.lists(st.sampled_from(NAMES), max_size=4)),
        "scale": draw(st.sampled_from([None, 0.5, 0.65, 1, 2])
                      | st.sampled_from(ODD_SCALES)),
        "translation": draw(st.sampled_from([None, 0, 7.5, -1e300])),
        "outer": draw(st.sampled_from([None, None, None, 0.5, 1e-200, 1e200])),
        "unit": draw(st.sampled_from(UNITS)),
        "zip": draw(st.integers(0, 7)) == 0,
        "name_axes": draw(st.integers(0, 3)) > 0,
        "fortran": draw(st.integers(0, 4)) == 0,
        "compressed": draw(st.integers(0, 3)) > 0,
        "separator": draw(st.sampled_from(["/", "."])),
        "no_fill": draw(st.integers(0, 5)) == 0,
        **(only or {}),
    }  # fmt: skip


def voxels_of(spec: dict[str, Any]) -> np.ndarray:
    """The voxels of level 0, in the order of storage."""
    random = np.random.default_rng(spec["seed"])
    dtype, shape = np.dtype(spec["dtype"]), spec["shape"]
    low, high = _range_of(spec, dtype)
    unit = {
        "noise": lambda: random.random(shape),
        "constant": lambda: np.full(shape, 0.5),
        "ramp": lambda: np.linspace(0, 1, int(np.prod(shape))).reshape(shape),
        "spots": lambda: (random.random(shape) > 0.9) * random.random(shape),
    }[spec["content"]]()
    if dtype.kind == "b":
        return np.asarray(unit > 0.4)
    values = low + unit * (float(high) - float(low))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # The greatest float of 64 bits is beyond the greatest integer of 64 bits.
        values = np.clip(values, float(limits.min), np.nextafter(float(limits.max), 0))
    voxels = values.astype(dtype)
    _spoil(voxels, spec, random)
    return voxels


def _range_of(spec: dict[str, Any], dtype: np.dtype) -> tuple[float, float]:
    if spec["range"] == "greatest":
        greatest = {2: 6e4, 4: 3e38, 8: 1.7e308}.get(dtype.itemsize, 1)
        if dtype.kind != "f":
            greatest = 1 if dtype.kind == "b" else np.iinfo(dtype).max
        return (greatest - greatest // 2**20, greatest)
    if spec["range"] != "all":
        low, high = spec["range"]
        return (0, high) if dtype.kind == "u" else (low, high)
    if dtype.kind in "iub":
        return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return {2: (-6e4, 6e4), 4: (-1e38, 1e38), 8: (-1e300, 1e300)}[dtype.itemsize]


def _spoil(voxels: np.ndarray, spec: dict[str, Any], random: np.random.Generator) -> None:
    dtype = voxels.dtype
    flat = voxels.reshape(-1)
    somewhere = random.integers(0, flat.size, max(1, flat.size // 300))
    greatest = np.finfo(dtype).max if dtype.kind == "f" else np.iinfo(dtype).max
    if spec["hot"]:
        flat[somewhere] = min(greatest, 65000)
    if spec["sentinel"]:
        strip = [slice(None)] * voxels.ndim
        strip[spec["axes"].index("x")] = slice(
            0, max(1, voxels.shape[spec["axes"].index("x")] // 5)
        )
        voxels[tuple(strip)] = -9999 if dtype.kind != "u" and dtype.itemsize > 1 else 0
    if spec["bad"] and dtype.kind == "f":
        flat[somewhere[:1]] = float(spec["bad"])


def write(spec: dict[str, Any], folder: Path) -> Drawn:
    """Store an image; the same spec gives the same bytes."""
    path = folder / "image.zarr"
    levels = [voxels_of(spec)]
    if spec["version"].startswith("bare"):
        stored = [_write_array(path, "", levels[0], spec)]
    else:
        for _ in range(1, spec["num_levels"]):
            halves = tuple(slice(None, None, 2 if a in "yx" else 1) for a in spec["axes"])
            levels.append(np.ascontiguousarray(levels[-1][halves]))
        kept = [a for k, a in enumerate(levels) if not k or a.shape != levels[k - 1].shape]
        levels = kept
        stored = _write_group(path, levels, spec)
    arrays = tuple(np.asarray(a) for a, _ in stored)
    if spec["zip"]:
        shutil.make_archive(str(path), "zip", path)
        shutil.rmtree(path)
        path = path.with_name("image.zarr.zip")
    names = None if spec["names"] is None else tuple(spec["names"])
    return Drawn(path, spec["axes"], arrays, tuple(b for _, b in stored), names, spec)


def _write_array(
    path: Path, name: str, voxels: np.ndarray, spec: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Write an array; return its voxels for a reader, and which voxels lie in stored chunks."""
    is_v3 = spec["version"] in ("0.5", "bare3")
    chunks = tuple(min(c, n) for c, n in zip(spec["chunks"], voxels.shape))
    more: dict[str, Any] = {}
    if is_v3 and spec["shards"]:
        more["shards"] = tuple(2 * c for c in chunks)
    fill: Any = np.asarray(spec["fill"]).astype(voxels.dtype)[()]
    if is_v3 and spec["fortran"] and not more:
        more["filters"] = [TransposeCodec(order=tuple(range(voxels.ndim))[::-1])]
    if not is_v3:
        more["order"] = "F" if spec["fortran"] else "C"
        encoding = {"name": "v2", "separator": spec["separator"]}
        more["chunk_key_encoding"] = encoding
        # Without a fill value all chunks are stored.
        fill = None if spec["no_fill"] and not spec["absent"] else fill
    if not spec["compressed"]:
        more["compressors"] = None
    if is_v3 and spec["name_axes"]:
        more["dimension_names"] = list(spec["axes"])
    array = zarr.create_array(
        str(path), name=name or None, shape=voxels.shape, dtype=voxels.dtype, chunks=chunks,
        fill_value=fill,
        zarr_format=3 if is_v3 else 2, **more,
    )  # fmt: skip
    if not is_v3 and not name and spec["name_axes"]:
        array.attrs["_ARRAY_DIMENSIONS"] = list(spec["axes"])
    if spec["absent"]:
        # The first chunk is not written.
        here = tuple(slice(min(c, n - 1), None) for c, n in zip(chunks, voxels.shape))
        array[here] = voxels[here]
    else:
        array[...] = voxels
    # Read with plain zarr.
    voxels = np.asarray(zarr.open_array(str(path), path=name, mode="r")[...])
    if fill is None:
        return voxels, np.ones(voxels.shape, bool)
    return voxels, _stored(voxels, chunks, np.asarray(fill))


def _stored(voxels: np.ndarray, chunks: tuple[int, ...], fill: np.ndarray) -> np.ndarray:
    """Which voxels lie in stored chunks: zarr stores no chunk that only has the fill value."""
    stored = np.zeros(voxels.shape, bool)
    for index in np.ndindex(*(-(-n // c) for n, c in zip(voxels.shape, chunks))):
        where = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks))
        part = voxels[where]
        same = np.isnan(part).all() if part.dtype.kind == "f" and np.isnan(fill) else False
        stored[where] = not (same or (part == fill).all())
    return stored


def _write_group(
    path: Path, levels: list[np.ndarray], spec: dict[str, Any]
) -> list[tuple[np.ndarray, np.ndarray]]:
    version = spec["version"]
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    stored = [_write_array(path, f"s{k}", level, spec) for k, level in enumerate(levels)]
    datasets = []
    for k in range(len(levels)):
        dataset: dict[str, Any] = {"path": f"s{k}"}
        if spec["scale"] is not None and version in ("0.4", "0.5"):
            scale = [
                spec["scale"] * (2.0**k if a in "yx" else 1.0) if a != "c" else 1.0
                for a in spec["axes"]
            ]
            dataset["coordinateTransformations"] = [{"type": "scale", "scale": scale}]
            if spec["translation"] is not None:
                moved = [float(spec["translation"])] * len(spec["axes"])
                dataset["coordinateTransformations"].append(
                    {"type": "translation", "translation": moved}
                )
        datasets.append(dataset)
    np.random.default_rng(spec["order"]).shuffle(datasets)
    multiscale: dict[str, Any] = {"datasets": datasets, "name": "fuzz"}
    if spec["outer"] is not None and version in ("0.4", "0.5"):
        outer = [{"type": "scale", "scale": [spec["outer"]] * len(spec["axes"])}]
        multiscale["coordinateTransformations"] = outer
    if version == "0.3":
        multiscale["axes"] = list(spec["axes"])
    elif version in ("0.4", "0.5"):
        multiscale["axes"] = [
            {"name": a, "type": _TYPES.get(a, "space")}
            | ({"unit": spec["unit"]} if spec["unit"] is not None and a in "zyx" else {})
            for a in spec["axes"]
        ]
    content: dict[str, Any] = {"multiscales": [multiscale]}
    if spec["names"] is not None:
        content["omero"] = {"channels": [{"label": name} for name in spec["names"]]}
    if version == "0.5":
        group.attrs["ome"] = content | {"version": version}
    else:
        multiscale["version"] = version
        group.attrs.update(content)
    return stored
