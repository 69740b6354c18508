"""The options about a network of another tool: trust, its halo, and blending."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.options.composed_kinds import Commas
from bigunet.options.option_fields import option
from bigunet.options.option_kinds import Flag, Whole
from bigunet.segmentation.object_options import ObjectOptions

NETWORK = "Network"


@dataclass(frozen=True, slots=True)
class ModelOptions(ObjectOptions):
    """How a network that is no model file of bigunet is read and run."""

    trust: bool = option(
        False,
        Flag(),
        "Let the model run code: for .pt2 files, TorchScript, and package.module:factory. Give it "
        "only for files that you would run as a program.",
        section=NETWORK,
        more="ONNX files and model files of bigunet hold no code. An output does not keep this "
        "option: `verify` asks for it again.",
    )
    halo: tuple[int, ...] = option(
        (),
        Commas(Whole(), "whole numbers", "64"),
        "Voxels of context that an output of the network depends on, where they cannot be "
        "measured; one number, or one for each axis. bigunet checks it on noise.",
        section=NETWORK,
        usual="measured",
        metavar="N[,N[,N]]",
    )
    blend: bool = option(
        False,
        Flag(),
        "For networks that cannot be exact: overlapping tiles of --tile-shape, averaged with "
        "Gaussian weights as in nnU-Net. The output says that it is blended, not exact.",
        section=NETWORK,
        more="The tiles overlap by half and lie on one grid of the whole image, so that blocks and "
        "workers do not change the result (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).",
    )
