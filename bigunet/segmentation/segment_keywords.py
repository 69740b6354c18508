"""Types of the options that ``segment`` and its like take as keywords, for type checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from bigunet.options.choices import (
    BackendChoice,
    Connectivity,
    DeviceChoice,
    LevelChoice,
    Nonfinite,
    OmeVersionChoice,
    Output,
    PrecisionChoice,
    SlabChoice,
    SliceAxis,
    SplitChoice,
)
from bigunet.options.lengths import Length
from bigunet.options.object_sizes import ObjectSize


class ArrayKeywords(TypedDict, total=False):
    """Fields of SegmentOptions as keywords, but the axes; sequences stand for tuples."""

    object_class: str
    object_threshold: float | None
    border_class: str
    border_width: int
    smallest: ObjectSize | int | str | None
    fill_holes: ObjectSize | int | str | None
    connectivity: Connectivity
    split: SplitChoice
    split_radius: int
    link_planes: float | None
    link_time: float | None
    no_table: bool
    trust: bool
    halo: Sequence[int]
    blend: bool
    outputs: Sequence[Output]
    level: LevelChoice
    channels: Sequence[int | str]
    slice_axis: SliceAxis
    roi: Mapping[str, Sequence[int | str | Length]]
    block_shape: Sequence[int]
    tile_shape: Sequence[int]
    slab: SlabChoice
    precision: PrecisionChoice
    device: DeviceChoice
    backend: BackendChoice
    convolution: str
    ome_version: OmeVersionChoice
    tta: bool
    skip_empty: bool
    mask: str
    grey_range: Sequence[Sequence[float]]
    percentiles: Sequence[float]
    grey_range_of: str
    memory_limit: int | str
    tune: bool
    no_report: bool
    nonfinite: Nonfinite


class SegmentKeywords(ArrayKeywords, total=False):
    """Fields of SegmentOptions as keywords; sequences stand for tuples."""

    axes: str
