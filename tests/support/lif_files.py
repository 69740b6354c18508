"""Writes small LIF files as Leica's programs do; no package writes them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_IDS = {"x": 1, "y": 2, "z": 3, "t": 4}
_UNITS = {"x": "m", "y": "m", "z": "m", "t": "s"}


def write_lif(
    path: Path,
    images: dict[str, tuple[str, np.ndarray]],
    *,
    steps: dict[str, float],
    channels: tuple[str, ...] = ("Green",),
) -> None:
    """Write images, each with the letters of its axes (of t, z, c, y, x, outermost first)."""
    elements, blocks = "", b""
    for number, (name, (axes, voxels)) in enumerate(images.items()):
        block = f"MemBlock_{number}"
        elements += _element(name, axes, voxels, block, steps, channels)
        blocks += _memory(block, voxels.astype(voxels.dtype.newbyteorder("<")).tobytes())
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="file" Visibility="1"><Data>'
        '<Experiment Path="file"/></Data><Memory Size="0" MemoryBlockID="MemBlock_root"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, 5 + len(xml), 0x2A, len(xml) // 2) + xml
    path.write_bytes(head + blocks)


def _memory(name: str, content: bytes) -> bytes:
    text = name.encode("utf-16-le")
    head = struct.pack("<BQBI", 0x2A, len(content), 0x2A, len(name)) + text
    return struct.pack("<II", 0x70, len(head)) + head + content


def _element(
    name: str,
    axes: str,
    voxels: np.ndarray,
    block: str,
    steps: dict[str, float],
    channels: tuple[str, ...],
) -> str:
    strides = dict(zip(axes, voxels.strides))
    sizes = dict(zip(axes, voxels.shape))
    bits = voxels.dtype.itemsize * 8
    described = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{bits}" Min="0" Max="1" '
        f'NameOfMeasuredQuantity="" Unit="" LUTName="{channel}" IsLUTInverted="0" '
        f'BytesInc="{k * strides.get("c", 0)}" BitInc="0"/>'
        for k, channel in enumerate(channels[: sizes.get("c", 1)])
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{_IDS[axis]}" NumberOfElements="{sizes[axis]}" Origin="0" '
        f'Length="{steps.get(axis, 0) * (sizes[axis] - 1)}" Unit="{_UNITS[axis]}" '
        f'BitInc="0" BytesInc="{strides[axis]}"/>'
        for axis in "xyzt"
        if axis in axes
    )
    return (
        f'<Element Name="{name}" Visibility="1" UniqueID="{block}"><Data><Image><ImageDescription>'
        f"<Channels>{described}</Channels><Dimensions>{dimensions}</Dimensions>"
        f"</ImageDescription></Image></Data>"
        f'<Memory Size="{voxels.nbytes}" MemoryBlockID="{block}"/></Element>'
    )
