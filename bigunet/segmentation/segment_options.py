"""The options of a segmentation: declared and checked here, fitted to an image by the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bigunet.errors import OptionError
from bigunet.io.images.axes import checked_letters
from bigunet.options.choices import (
    BackendChoice,
    DeviceChoice,
    LevelChoice,
    Nonfinite,
    OmeVersionChoice,
    Output,
    PrecisionChoice,
    SlabChoice,
    SliceAxis,
)
from bigunet.options.composed_kinds import Commas, Each, TwoNumbers
from bigunet.options.convolution_kind import Convolution, is_winograd
from bigunet.options.image_kinds import Channel, LevelNumber, Size, SlabPlanes
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Flag, ImagePath, Text, Whole
from bigunet.options.regions import Ends, Region, in_order
from bigunet.options.short_repr import changed_repr
from bigunet.segmentation.model_options import NETWORK, ModelOptions
from bigunet.urls import shown_url

IMAGE, GREY = "Image", "Grey values"
OUTPUT, BLOCKS = "Output", "Blocks and memory"
_SHAPE = Commas(Whole(), "whole numbers", "512,512")


@documented
@dataclass(frozen=True, slots=True)
class SegmentOptions(ModelOptions):
    """How an image is segmented, apart from model, output and workers.

    Raises
    ------
    OptionError
        If a value is none of those possible.
    """

    outputs: tuple[Output, ...] = option(
        (),
        Each(Choice(Output, "output"), "names, such as ('classes',)"),
        "What to write. instances are numbered objects, made of the classes.",
        section=OUTPUT,
        flag="--output",
        usual="classes, and instances if the model file says what its objects are",
    )
    level: LevelChoice = option(
        0,
        LevelNumber(),
        "Level of the image; 0 is the largest. auto takes the level with the voxel size nearest "
        "to that of the model's training images.",
        section=IMAGE,
    )
    channels: tuple[int | str, ...] = option(
        (),
        Each(Channel(), "indices or names, such as ('DAPI',)"),
        "Channel that the model reads, by index or name; index:1 or name:1 where a number is the "
        "name of another channel. Give as many as the model reads, in the model's order.",
        section=IMAGE,
        flag="--channel",
        usual="the channels that the model names, or all",
        more="In Python, an int is an index. The default is taken only where the image has the "
        "channels that the model names, or where their number fits and no name disagrees.",
    )
    axes: str = option(
        "",
        Text(),
        "Axes of an array that does not name them: letters of t, c, z, y, x in the order of "
        "storage, such as yxc.",
        section=IMAGE,
        metavar="LETTERS",
    )
    slice_axis: SliceAxis = option(
        "z",
        Choice(SliceAxis, "slice axis"),
        "Axis across which a 2D network sees the planes of a volume: with x, it sees the planes "
        "(z, y).",
        section=IMAGE,
        more="The outputs have the axes of the image in any case.",
    )
    roi: Mapping[str, Ends] = option(
        {},
        Region(),
        "Region to segment: start and stop along an axis, in voxels of the level such as "
        "x=0:4096, or in nm, um or mm such as x=10um:250um. Other axes are taken whole.",
        section=IMAGE,
        more="Lengths count from the start of the image; a voxel is in the region if its centre "
        "is.",
    )
    block_shape: tuple[int, ...] = option(
        (),
        _SHAPE,
        "Shape of the block that one task writes, along the axes of the network, or of the image "
        "with the slice axis before the others of space.",
        section=BLOCKS,
        usual="chosen to fit into the memory",
    )
    tile_shape: tuple[int, ...] = option(
        (),
        _SHAPE,
        "Largest part of a block that one forward pass computes, along the axes of the network; "
        "with --blend, what it reads.",
        section=BLOCKS,
        usual="chosen to fit into the memory",
    )
    slab: SlabChoice = option(
        "auto",
        SlabPlanes(),
        "Planes of a tile that a U-Net takes at a time; it keeps what the next ones need, so that "
        "a long tile takes little memory. 0 takes each tile at once.",
        section=BLOCKS,
        more="The planes are those of the first axis of the network. auto chooses by the number of "
        "operations and the memory; it is 0 with a given tile shape.",
    )
    precision: PrecisionChoice = option(
        "auto",
        Choice(PrecisionChoice, "precision"),
        "Number format of the convolutions. auto takes bf16 if the hardware computes in it and "
        "tests found the same labels for the model, else fp32.",
        section=NETWORK,
    )
    device: DeviceChoice = option(
        "auto",
        Choice(DeviceChoice, "device"),
        "Device that runs the network. auto takes a worker's GPU if it has one; mps is an Apple "
        "GPU.",
        section=NETWORK,
    )
    backend: BackendChoice = option(
        "auto",
        Choice(BackendChoice, "backend"),
        "Library that runs the network. auto takes OpenVINO on a CPU where it is installed, else "
        "torch; compile is torch's own compiler.",
        section=NETWORK,
    )
    convolution: str = option(
        "auto",
        Convolution(),
        "How 3-wide convolutions are computed. winograd needs fewer multiplications, in torch on a "
        "CPU in fp32. auto measures the layers in long runs, and takes what is faster.",
        section=NETWORK,
        more="winograd takes all layers of some 32 channels and more; winograd:LAYER,LAYER names "
        "them. Scores differ by rounding alone. It needs numba.",
    )
    ome_version: OmeVersionChoice = option(
        "auto",
        Choice(OmeVersionChoice, "OME-Zarr version"),
        "OME-Zarr version of the output. auto takes 0.5, or the version of the image for labels "
        "inside it.",
        section=OUTPUT,
    )
    tta: bool = option(
        False,
        Flag(),
        "Average the probabilities over the 8 rotations and mirrors of the plane, for a little "
        "more accuracy and 8 times the work.",
        section=NETWORK,
        more="It is test-time augmentation, and exact across blocks. Only the 4 mirrors are used "
        "where voxels are not as high as wide, or the network treats y and x differently.",
    )
    skip_empty: bool = option(
        False,
        Flag(),
        "Write label 0 for chunks of the image that are not stored, without computing them.",
        section=IMAGE,
    )
    mask: str = option(
        "",
        ImagePath(),
        "OME-Zarr or zarr array of one channel, at any resolution. Where it is 0, label 0 is "
        "written without computing it.",
        section=IMAGE,
    )
    grey_range: tuple[tuple[float, float], ...] = option(
        (),
        Each(TwoNumbers("LOW:HIGH"), "pairs, such as ((100, 4000),)"),
        "Grey values that the network reads as 0 and 1: one pair for all channels, or one for "
        "each. HIGH:LOW exchanges bright and dark.",
        section=GREY,
        usual="what the model file says",
    )
    percentiles: tuple[float, ...] = option(
        (),
        TwoNumbers("P:Q", may_be_empty=True),
        "Percentiles of the image, 0 to 100, that the network reads as 0 and 1.",
        section=GREY,
        usual="what the model file says",
    )
    grey_range_of: str = option(
        "",
        ImagePath(),
        "Another image to measure the grey range on, or an output of bigunet to take it from, so "
        "that a series of images shares one range.",
        section=GREY,
    )
    memory_limit: int = option(
        0,
        Size(),
        "Memory for all processes on a machine, such as 8GB; blocks and tiles are chosen to fit. "
        "On GPUs, the tiles depend on the memory of the GPU instead.",
        section=BLOCKS,
        usual="half of the memory of the machine, container or batch job; 8 GB per worker at most",
        more="In Python, a number is bytes.",
    )
    tune: bool = option(
        False,
        Flag(),
        "Measure a few tile sizes on a worker first, and take the fastest. It pays off in long "
        "runs.",
        section=BLOCKS,
    )
    no_report: bool = option(
        False,
        Flag(),
        "Write no page about the run. Otherwise report.html is beside the ledger: pictures, sizes "
        "of objects, grey values, and times.",
        section=OUTPUT,
    )
    nonfinite: Nonfinite = option(
        "refuse",
        Choice(Nonfinite, "nonfinite"),
        "What to do with NaN and infinity in the image: refuse ends the run and names the first "
        "such voxel, background makes them label 0.",
        section=IMAGE,
        more="The network reads such a voxel as the low end of the grey range.",
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "axes", checked_letters(self.axes))
        on_gpu = self.device in ("cuda", "mps")
        if self.backend == "openvino" and (self.precision == "fp16" or on_gpu):
            asked = "fp16" if self.precision == "fp16" else "a GPU"
            raise OptionError(f"OpenVINO runs on CPUs in fp32 or bf16, not with {asked}")
        self._check_convolution()
        if self.memory_limit < 0:
            raise OptionError(f"memory limit {self.memory_limit}: give bytes, or 0 for a default")
        if len(set(self.outputs)) != len(self.outputs):
            raise OptionError(f"outputs {self.outputs}: name each output once")
        self._check_objects()
        for name in ("block_shape", "tile_shape"):
            if any(n < 1 for n in getattr(self, name)):
                raise OptionError(f"{name} {getattr(self, name)}: every axis needs at least 1")
        for axis, (start, stop) in self.roi.items():
            if not in_order(start, stop):
                raise OptionError(f"roi {axis}={start}:{stop}: give 0 <= START < STOP")
        _check_grey(self.grey_range, self.percentiles, self.grey_range_of)
        if self.blend and (self.tta or self.tune):
            raise OptionError(f"--blend and {'--tta' if self.tta else '--tune'}: give one of them")

    def _check_convolution(self) -> None:
        """Raise OptionError if Winograd's method is asked for where it cannot run."""
        if not is_winograd(self.convolution):
            return
        if self.backend not in ("auto", "torch"):
            raise OptionError(
                f"--convolution winograd runs in torch: leave out --backend {self.backend}"
            )
        if self.device in ("cuda", "mps"):
            raise OptionError(
                f"--convolution winograd runs on CPUs: leave out --device {self.device}"
            )
        if self.precision not in ("auto", "fp32"):
            raise OptionError(
                f"--convolution winograd runs in fp32: leave out --precision {self.precision}"
            )

    @property
    def read_besides(self) -> tuple[str, ...]:
        """Addresses of the images that a run reads beside its own image."""
        return tuple(address for address in (self.mask, self.grey_range_of) if address)

    @property
    def chosen_level(self) -> int:
        """The level as a number; the plan has replaced ``auto`` by one."""
        assert isinstance(self.level, int)
        return self.level

    @property
    def chosen_slab(self) -> int:
        """The planes of a slab; the plan has replaced ``auto`` by a number."""
        assert isinstance(self.slab, int)
        return self.slab

    def completed(self, chosen: Mapping[str, Any]) -> SegmentOptions:
        """The options with these values where a choice is left open, by the names of the fields."""
        open_choices = {
            "block_shape": (), "tile_shape": (), "slab": "auto", "precision": "auto",
            "convolution": "auto",
        }  # fmt: skip
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in chosen.items()
            if getattr(self, name) == open_choices[name]
        }
        return replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; addresses are without passwords and tokens."""
        roi = Region().data(self.roi)
        sizes = {"smallest": self.smallest, "fill_holes": self.fill_holes}
        texts = {name: None if size is None else str(size) for name, size in sizes.items()}
        shown = {"mask": shown_url(self.mask), "grey_range_of": shown_url(self.grey_range_of)}
        fields = {**asdict(self), **texts, "roi": roi, **shown}
        # Whoever reads an output must not be made to trust what it names.
        del fields["trust"]
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SegmentOptions:
        """The options written by :meth:`to_dict`, back from JSON."""
        return cls(**data)


def _check_grey(
    grey_range: tuple[tuple[float, float], ...], percentiles: tuple[float, ...], other: str
) -> None:
    """Raise OptionError for a grey range that is given twice, or that is impossible."""
    if grey_range and (percentiles or other):
        raise OptionError("a grey range is given in numbers or measured: give one of the two")
    for low, high in grey_range:
        if low == high:
            raise OptionError(f"grey range {low}:{high}: give two numbers that differ")
        if math.isinf(float(high) - float(low)):
            raise OptionError(f"grey range {low}:{high}: give two numbers that are less far apart")
    if percentiles and not (len(percentiles) == 2 and 0 <= percentiles[0] < percentiles[1] <= 100):
        raise OptionError(f"percentiles {percentiles}: give 0 <= P < Q <= 100")
