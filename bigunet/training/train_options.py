"""What a user can ask of a training besides its recipe: data, network, target, machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, get_args

from bigunet.choices import DeviceChoice, NetworkName, NormalisationChoice, TargetKind
from bigunet.errors import OptionError

_CHOICES: dict[str, Any] = {
    "network": NetworkName,
    "target": TargetKind,
    "normalise": NormalisationChoice,
    "device": DeviceChoice,
}


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Everything but images, labels, output and recipe.

    Parameters
    ----------
    network : {"unet", "fcn", "sliding-window"}
    ndim : int
        Spatial axes of the network, 2 or 3; 0 takes those of the images.
    width, depth : int
        The paper's 64 channels at the first level, and 4 poolings.
    batch_norm : bool
    dropout : float
    begin_from : str
        A model to go on from, by name or path, instead of random weights; its network is taken.
    target : {"classes", "cells", "boundaries"}
        What the labels are turned into: as they are; background, cell and border of numbered
        objects; or boundary and interior of numbered objects that fill the image.
    connected : bool
        Whether connected voxels of one label are an object each: for masks, where objects have
        no numbers.
    label_values : tuple of int
        For classes: the values of the labels in the order of the classes; empty: all, sorted,
        if they are 32 at most.
    ignore : tuple of int
        Values of labels that mean that nobody annotated the voxel: it has no weight in the loss
        and no part in scores, class shares, objects and borders.
    class_names : tuple of str
        Empty for the target's own.
    border_width : int
        Voxels of an object near another one that become border, or boundary.
    level : int
        Of the images; level 0 is the largest.
    channels : tuple of int or str
        That the network reads; empty for all.
    voxel_size_um : tuple of float
        Along the image's spatial axes, in micrometres, where the files do not say it or wrongly.
    normalise : {"percentile", "fixed"}
        Whether ``low`` and ``high`` are percentiles of each image, or grey values.
    low, high : float
        What the network sees as 0 and 1.
    validation : float
        Share of the images that is kept apart, 0 to below 1, unless images are given for it.
    loaders : int
        Processes that draw patches ahead; -1 chooses by the cores.
    processes : int
        That share each step, each with a GPU of its own where there are GPUs.
    device : {"auto", "cpu", "cuda"}
    calibrate : bool
        Whether offsets are added to the scores of the classes, after the last step, that give the
        best score on the images for validation and as many others as fit half a gigabyte: class
        weights make the rare ones too likely, and of few images an offset is best by chance.
    half : bool
        Keep the weights as fp16.
    name : str
        Of the model; empty for that of its file.

    Raises
    ------
    OptionError
        If a value is none of those possible.
    """

    network: NetworkName = "unet"
    ndim: int = 0
    width: int = 64
    depth: int = 4
    batch_norm: bool = False
    dropout: float = 0.5
    begin_from: str = ""
    target: TargetKind = "cells"
    connected: bool = False
    label_values: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    border_width: int = 1
    level: int = 0
    channels: tuple[int | str, ...] = ()
    voxel_size_um: tuple[float, ...] = ()
    normalise: NormalisationChoice = "percentile"
    low: float = 1.0
    high: float = 99.8
    validation: float = 0.1
    loaders: int = -1
    processes: int = 1
    device: DeviceChoice = "auto"
    calibrate: bool = False
    half: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise OptionError(f"{field} is {getattr(self, field)!r}; known: {known}")
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
        """What a run must keep to when it goes on: all that decides its weights."""
        passing = {"loaders", "device", "half", "name"}
        if not self.ignore:
            passing.add("ignore")
        if self.begin_from:
            # That model's network is taken, whatever these say.
            passing |= {"network", "width", "depth", "batch_norm", "dropout"}
        return {k: v for k, v in asdict(self).items() if k not in passing}
