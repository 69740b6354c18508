"""The options of a training besides its recipe: data, network, target, machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bigunet.errors import OptionError
from bigunet.options.choices import DeviceChoice, NetworkName, NormalisationChoice, TargetKind
from bigunet.options.composed_kinds import Commas, Each
from bigunet.options.image_kinds import Channel
from bigunet.options.lengths import Micrometres
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Flag, ModelPath, Number, Text, Whole
from bigunet.options.short_repr import changed_repr

IMAGES, LABELS, NETWORK = "Images", "Labels and classes", "Network"
MACHINE, MODEL = "Machine", "Model file"


@documented
@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What is trained on what, and where; :class:`Recipe` says how.

    Raises
    ------
    OptionError
        If a value is none of those possible.
    """

    network: NetworkName = option(
        "unet",
        Choice(NetworkName),
        "Architecture of the network. fcn and sliding-window are for comparison.",
        section=NETWORK,
    )
    ndim: int = option(
        0,
        Whole(),
        "Spatial axes that the network sees: 2 or 3.",
        section=NETWORK,
        usual="those of the images",
    )
    width: int = option(64, Whole(), "Number of channels of the first level.", section=NETWORK)
    depth: int = option(4, Whole(), "Number of poolings.", section=NETWORK)
    batch_norm: bool = option(False, Flag(), "Use batch normalisation.", section=NETWORK)
    dropout: float = option(
        0.5, Number(), "Share of the channels that dropout sets to 0.", section=NETWORK
    )
    begin_from: str = option(
        "",
        ModelPath(),
        "Model with the weights to start from, in place of random ones. Its network is used.",
        section=NETWORK,
        flag="--from",
    )
    target: TargetKind = option(
        "cells",
        Choice(TargetKind),
        "Classes that the labels are turned into. cells: numbered objects become background, cell "
        "and border. boundaries: numbered objects that fill the image become boundary and "
        "interior. classes: the labels are classes already.",
        section=LABELS,
    )
    connected: bool = option(
        False,
        Flag(),
        "Read the labels as masks: connected voxels of one value are an object.",
        section=LABELS,
    )
    label_values: tuple[int, ...] = option(
        (),
        Commas(Whole(), "whole numbers", "0,255"),
        "Label values of the classes, in the order of the classes.",
        section=LABELS,
        usual="all values that occur, sorted, 32 at most",
    )
    ignore: tuple[int, ...] = option(
        (),
        Each(Whole(), "whole numbers, such as (255,)"),
        "Label value of voxels that nobody annotated: loss and scores leave them out.",
        section=LABELS,
        metavar="VALUE",
        more="They have no part in class shares, objects and borders either.",
    )
    class_names: tuple[str, ...] = option(
        (),
        Each(Text(), "names, such as ('background', 'cell')"),
        "Name of a class; give one for each class, in order.",
        section=LABELS,
        flag="--class-name",
        metavar="NAME",
        usual="the names that --target gives",
    )
    border_width: int = option(
        1,
        Whole(),
        "Width of the border class, in voxels: voxels of an object that are so near to another "
        "object become border, or boundary.",
        section=LABELS,
    )
    level: int = option(
        0, Whole(), "Level of the images; 0 is the largest.", section=IMAGES, metavar="K"
    )
    channels: tuple[int | str, ...] = option(
        (),
        Each(Channel(), "indices or names, such as ('DAPI',)"),
        "Channel that the network reads, by index or name; index:1 or name:1 where a number is "
        "the name of another channel.",
        section=IMAGES,
        flag="--channel",
        usual="all channels",
    )
    voxel_size_um: tuple[float, ...] = option(
        (),
        Commas(Micrometres(), "numbers", "0.5,0.5"),
        "Size of a voxel in micrometres or with a unit such as 500nm, along each spatial axis, "
        "where the files do not say it or say it wrongly.",
        section=IMAGES,
        flag="--voxel-size",
    )
    normalise: NormalisationChoice = option(
        "percentile",
        Choice(NormalisationChoice),
        "Meaning of --low and --high. percentile: percentiles of each image. fixed: grey values.",
        section=IMAGES,
    )
    low: float = option(
        1.0, Number(), "Percentile or grey value that the network reads as 0.", section=IMAGES
    )
    high: float = option(
        99.8, Number(), "Percentile or grey value that the network reads as 1.", section=IMAGES
    )
    validation: float = option(
        0.1,
        Number(),
        "Share of the images that is kept apart for validation, from 0 to below 1.",
        section=IMAGES,
    )
    loaders: int = option(
        -1,
        Whole(),
        "Number of processes that draw patches ahead; -1 chooses it by the number of cores.",
        section=MACHINE,
    )
    processes: int = option(
        1,
        Whole(),
        "Number of processes that share each step, with a GPU for each where there are GPUs.",
        section=MACHINE,
    )
    device: DeviceChoice = option(
        "auto",
        Choice(DeviceChoice),
        "Device that trains the network. auto takes a GPU of NVIDIA if there is one; mps is an "
        "Apple GPU, on which no training was tried.",
        section=MACHINE,
    )
    calibrate: bool = option(
        False,
        Flag(),
        "After the last step, add to the score of each class the offset that gives the best "
        "validation score.",
        section=MODEL,
        more="Class weights make rare classes too likely, which the offsets correct. The images "
        "for validation are used, and as many others as fit into half a gigabyte, because an "
        "offset chosen on few images is best by chance.",
    )
    half: bool = option(False, Flag(), "Store the weights as fp16.", section=MODEL)
    name: str = option(
        "", Text(), "Name of the model.", section=MODEL, usual="the name of its file"
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ndim not in (0, 2, 3):
            raise OptionError(f"ndim is {self.ndim}; give 2 or 3")
        if self.processes < 1:
            raise OptionError(f"processes is {self.processes}; give at least 1")
        if self.loaders < -1:
            raise OptionError(f"loaders is {self.loaders}; give 0 or more")
        if not 0 <= self.validation < 1:
            raise OptionError(f"validation is {self.validation}; give a share from 0 to below 1")
        if self.border_width < 0:
            raise OptionError(f"border_width is {self.border_width}; give 0 or more")
        if not self.low < self.high:
            raise OptionError(f"low is {self.low}, high {self.high}; give low < high")
        if self.normalise == "percentile" and not 0 <= self.low < self.high <= 100:
            raise OptionError(f"percentiles {self.low} and {self.high}; give 0 to 100")
        both = sorted(set(self.ignore) & set(self.label_values))
        if both:
            raise OptionError(f"{both[0]} is to be ignored and a class; give it once")
        if any(not size > 0 for size in self.voxel_size_um):
            raise OptionError(f"voxel_size_um is {self.voxel_size_um}; give positive sizes")

    def lasting(self) -> dict[str, Any]:
        """The options that decide the weights: a run that is resumed must have the same."""
        free = {"loaders", "device", "half", "name"}
        if not self.ignore:
            free.add("ignore")
        if self.begin_from:
            # The network is that of the model, whatever these options say.
            free |= {"network", "width", "depth", "batch_norm", "dropout"}
        return {k: v for k, v in asdict(self).items() if k not in free}
