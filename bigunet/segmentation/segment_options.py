"""What a user can ask of a segmentation; validated here, fitted to an image by the plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from bigunet import option_types
from bigunet.choices import (
    BackendChoice,
    DeviceChoice,
    LevelChoice,
    Nonfinite,
    OmeVersionChoice,
    Output,
    PrecisionChoice,
)
from bigunet.errors import OptionError
from bigunet.io.images.axes import checked_letters
from bigunet.urls import shown_url


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Everything but image, model, output and workers.

    Parameters
    ----------
    outputs : tuple of {"classes", "probabilities"}
        What is written.
    level : int or "auto"
        The level of the image that is segmented; 0 is the largest. ``auto``: the one with voxels
        most like those that the model was trained on.
    channels : tuple of int or str
        Channels that the model reads, in the model's order: an int is an index; text is
        ``"index:1"``, ``"name:DAPI"``, or either without the prefix. Empty: those that the model
        names, where the image has them, or all if their number fits and no name disagrees.
    axes : str
        Letters of the image's axes in the order of storage, such as ``"yxc"``, for an array that
        does not name them. Empty: as the image states them.
    roi : mapping of str to (int, int)
        Start and stop per axis, in voxels of the level; axes left out are whole.
    block_shape : tuple of int
        What one task writes, along the network's axes or all the volume's; empty for a default.
    tile_shape : tuple of int
        The most voxels that one forward pass keeps, along the network's axes; empty for a default.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the convolutions. ``auto``: bf16 where the hardware has it and the model's labels were
        found to be the same in it, fp32 otherwise.
    device : {"auto", "cpu", "cuda"}
        ``auto``: a worker's GPU if it has one.
    backend : {"auto", "torch", "compile", "openvino"}
        What computes the network. ``auto``: OpenVINO on a CPU where it is installed, torch
        otherwise. ``compile`` is torch's own compiler.
    ome_version : {"auto", "0.4", "0.5"}
        ``auto``: 0.5, or that of the image where the labels are written into it.
    tta : bool
        Test-time augmentation: whether the probabilities of the classes (after the softmax)
        are averaged over the eight rotations and mirrors of the plane y, x, at eight times the
        cost; over its four mirrors where voxels are not as high as wide, or the network treats
        y and x differently. Exact across blocks.
    skip_empty : bool
        Whether voxels of chunks that are not stored become label 0, and cost nothing.
    mask : str
        OME-Zarr or zarr array of one channel, at any resolution: voxels where it is 0 become
        label 0, and tiles of such voxels cost nothing. Empty for none.
    grey_range : tuple of (float, float)
        Grey values that become 0 and 1, one pair for each channel that the model reads or one for
        all; a pair whose first number is the greater one turns bright and dark over. Empty: as
        the model wishes.
    percentiles : tuple of (float, float)
        Percentiles of the image, 0 to 100, that become 0 and 1, in the place of the model's.
    grey_range_of : str
        Another image, on which percentiles are measured, or an output of bigunet, the grey range
        of which is taken: so that a whole series shares one. Empty for the image itself.
    memory_limit : int
        Bytes that all processes on one machine should keep within; tiles and blocks that are
        not given are chosen to. 0: half of what this process may use, and no more than 8 GB per
        worker.
    tune : bool
        Whether tiles that are not given are chosen by measuring a few on a worker first, rather
        than by their operations: for long runs.
    nonfinite : {"refuse", "background"}
        What voxels of a float image are that are NaN or infinite: an error that names the first,
        or voxels that the network reads as the low end of the grey range and that become label 0.

    Raises
    ------
    OptionError
        If a value is none of those possible.
    """

    outputs: tuple[Output, ...] = ("classes",)
    level: LevelChoice = 0
    channels: tuple[int | str, ...] = ()
    axes: str = ""
    roi: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    block_shape: tuple[int, ...] = ()
    tile_shape: tuple[int, ...] = ()
    precision: PrecisionChoice = "auto"
    device: DeviceChoice = "auto"
    backend: BackendChoice = "auto"
    ome_version: OmeVersionChoice = "auto"
    tta: bool = False
    skip_empty: bool = False
    mask: str = ""
    grey_range: tuple[tuple[float, float], ...] = ()
    percentiles: tuple[float, ...] = ()
    grey_range_of: str = ""
    memory_limit: int = 0
    tune: bool = False
    nonfinite: Nonfinite = "refuse"

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            object.__setattr__(self, name, kind(getattr(self, name), name))
        object.__setattr__(self, "axes", checked_letters(self.axes))
        _check("output", self.outputs, Output)
        if isinstance(self.level, str):
            _check("level", (self.level,), Literal["auto"])
        _check("precision", (self.precision,), PrecisionChoice)
        _check("device", (self.device,), DeviceChoice)
        _check("backend", (self.backend,), BackendChoice)
        _check("nonfinite", (self.nonfinite,), Nonfinite)
        _check("OME-Zarr version", (self.ome_version,), OmeVersionChoice)
        if self.backend == "openvino" and (self.precision == "fp16" or self.device == "cuda"):
            asked = "fp16" if self.precision == "fp16" else "a GPU"
            raise OptionError(f"OpenVINO runs on CPUs in fp32 or bf16, not with {asked}")
        if self.memory_limit < 0:
            raise OptionError(f"memory limit {self.memory_limit}: give bytes, or 0 for a default")
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise OptionError(f"outputs {self.outputs}: name each wanted one once")
        for name in ("block_shape", "tile_shape"):
            if any(n < 1 for n in getattr(self, name)):
                raise OptionError(f"{name} {getattr(self, name)}: every axis needs at least 1")
        for axis, (start, stop) in self.roi.items():
            if not 0 <= start < stop:
                raise OptionError(f"roi {axis}={start}:{stop}: give 0 <= START < STOP")
        _check_grey(self.grey_range, self.percentiles, self.grey_range_of)

    @property
    def read_besides(self) -> tuple[str, ...]:
        """Addresses of what a run reads beside its image."""
        return tuple(address for address in (self.mask, self.grey_range_of) if address)

    @property
    def chosen_level(self) -> int:
        """The level as a number, which the plan makes of ``auto``."""
        assert isinstance(self.level, int)
        return self.level

    def completed(self, chosen: Mapping[str, Any]) -> SegmentOptions:
        """With these values for what is left to choose, by the names of the fields."""
        left = {"block_shape": (), "tile_shape": (), "precision": "auto"}
        taken: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in chosen.items()
            if getattr(self, name) == left[name]
        }
        return replace(self, **taken)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the mask without a password or token."""
        roi = {axis: list(ends) for axis, ends in self.roi.items()}
        shown = {"mask": shown_url(self.mask), "grey_range_of": shown_url(self.grey_range_of)}
        return {**asdict(self), "roi": roi, **shown}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SegmentOptions:
        """The options written by :meth:`to_dict`, back from JSON."""
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        fields["roi"] = {axis: tuple(ends) for axis, ends in data.get("roi", {}).items()}
        fields["grey_range"] = tuple((low, high) for low, high in data.get("grey_range", ()))
        return cls(**fields)


def _level(value: Any, name: str) -> LevelChoice:
    return value if isinstance(value, str) else option_types.whole(value, name)  # type: ignore[return-value]


def _outputs(value: Any, name: str) -> tuple[str, ...]:
    return option_types.listed(value, name, "names, such as ('classes',)")


def _channels(value: Any, name: str) -> tuple[int | str, ...]:
    items = option_types.listed(value, name, "indices or names, such as ('DAPI',)")
    return tuple(k if isinstance(k, str) else option_types.whole(k, name) for k in items)


def _grey_range(value: Any, name: str) -> tuple[tuple[float, float], ...]:
    items = option_types.listed(value, name, "pairs, such as ((100, 4000),)")
    return tuple(option_types.pair(item, name) for item in items)


def _percentiles(value: Any, name: str) -> tuple[float, ...]:
    items = option_types.listed(value, name, "two numbers")
    return option_types.pair(items, name) if items else ()


_KINDS: dict[str, Callable[[Any, str], Any]] = {
    "outputs": _outputs,
    "level": _level,
    "channels": _channels,
    "axes": option_types.text,
    "roi": option_types.ranges,
    "block_shape": option_types.wholes,
    "tile_shape": option_types.wholes,
    "tta": option_types.flag,
    "skip_empty": option_types.flag,
    "mask": option_types.path,
    "grey_range": _grey_range,
    "percentiles": _percentiles,
    "grey_range_of": option_types.path,
    "memory_limit": option_types.whole,
    "tune": option_types.flag,
}


def _check(what: str, values: tuple[str, ...], choices: Any) -> None:
    for value in values:
        if value not in get_args(choices):
            raise OptionError(
                f"unknown {what} {value!r:.60}; known: {', '.join(get_args(choices))}"
            )


def _check_grey(
    grey_range: tuple[tuple[float, float], ...], percentiles: tuple[float, ...], other: str
) -> None:
    """Raise OptionError where the grey range is stated twice, or cannot be one."""
    if grey_range and (percentiles or other):
        raise OptionError("a grey range is given in numbers or measured: give one of the two")
    for low, high in grey_range:
        if low == high:
            raise OptionError(f"grey range {low}:{high}: give two numbers that differ")
        if math.isinf(float(high) - float(low)):
            raise OptionError(f"grey range {low}:{high}: give two numbers that are less far apart")
    if percentiles and not (len(percentiles) == 2 and 0 <= percentiles[0] < percentiles[1] <= 100):
        raise OptionError(f"percentiles {percentiles}: give 0 <= P < Q <= 100")
