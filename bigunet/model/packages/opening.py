"""A package as a model: its network, its normalisation, and what its scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from bigunet.errors import InexactError, ModelError
from bigunet.model.brief import brief
from bigunet.model.description import PALETTE, SegmentationClass
from bigunet.model.foreign.opening import OR_BLEND
from bigunet.model.model import Model
from bigunet.model.packages.axis_order import check_axes, on_image_axes
from bigunet.model.packages.own_package import own_model
from bigunet.model.packages.package import Package, PackageTensor
from bigunet.model.packages.package_files import PackageFiles
from bigunet.model.packages.postprocessing import OutputRule, output_rule
from bigunet.model.packages.preprocessing import normalisation_of
from bigunet.model.packages.reading import read_package
from bigunet.model.packages.scores_of_package import (
    Measuring,
    Reordered,
    WithBackground,
    scored,
)
from bigunet.model.packages.weights import networks_of

_BACKGROUND = ("background", "bg")
# Names of one channel that say nothing of its class.
_UNNAMED = ("foreground", "probability", "probabilities", "channel0", "output", "mask", "0", "1")


def open_package(
    files: PackageFiles, *, trust: bool = False, halo: Sequence[int] = (), blend: bool = False
) -> Model:
    """The model of a package.

    Parameters
    ----------
    files : PackageFiles
    trust : bool
        Whether Python and TorchScript of the package may run.
    halo : sequence of int, optional
        The halo of its network, where it cannot be measured.
    blend : bool
        Whether to take a network that cannot be run exactly, too.

    Raises
    ------
    ModelError
        If the package cannot be run exactly block by block. The message says why.
    """
    place = files.root if files.root.is_file() else files.root / files.rdf
    try:
        package = read_package(files)
        model = own_model(package)
        if model is not None and halo:
            raise ModelError("its halo is known: leave it out")
        if model is None:
            way = Measuring(halo=tuple(halo), blend=blend, tile_shape=_one_shape(package))
            model = _model_of(package, way, trust=trust)
    except ModelError as error:
        joint = (
            " " if str(error).startswith(("is no ", "holds no ", "has ", "describes ")) else ": "
        )
        raise type(error)(f"{place}{joint}{error}") from error
    return replace(model, path=str(place.resolve()))


def _model_of(package: Package, way: Measuring, *, trust: bool) -> Model:
    taken, made = _tensors(package)
    rule = output_rule(made)
    normalisation = normalisation_of(taken)
    reasons = []
    for form, network in networks_of(package, trust=trust):
        if isinstance(network, ModelError):
            reasons.append(f"{form}: {network}")
            continue
        try:
            model = _of_network(on_image_axes(network, taken, made), rule, way, taken, made)
        except ModelError as error:
            reasons.append(f"{form}: {error}{OR_BLEND if isinstance(error, InexactError) else ''}")
            continue
        description = replace(
            model.description,
            name=package.name,
            normalisation=normalisation,
            voxel_size_um=_voxel_size(taken),
            architecture={"name": "bioimage.io package", "weights": form},
            card={**package.card, **_halo_note(model, made)},
        )
        return replace(model, description=description)
    known = ", ".join(package.weights) or "none"
    raise ModelError("; ".join(reasons) or f"holds weights as {known}, which bigunet does not run")


def _tensors(package: Package) -> tuple[PackageTensor, PackageTensor]:
    """The one input and the one output, on one grid."""
    needed = [tensor for tensor in package.inputs if not tensor.optional]
    if len(package.inputs) != 1 or len(needed) != 1 or len(package.outputs) != 1:
        names = ", ".join(t.name for t in (*package.inputs, *package.outputs))
        raise ModelError(
            f"has {len(package.inputs)} inputs and {len(package.outputs)} outputs ({names[:80]}): "
            "bigunet runs networks with one of each; export the part that segments"
        )
    taken, made = needed[0], package.outputs[0]
    if len(taken.space) not in (2, 3) or taken.space[-2:] != ("y", "x"):
        raise ModelError(f"its input has the axes {', '.join(taken.space)}, not y, x or z, y, x")
    check_axes(taken, made)
    for axis in made.axes:
        if axis.kind == "space" and axis.name in taken.space and axis.ratio != 1:
            raise ModelError(
                f"its output has {axis.ratio:g} voxels along {axis.name} for one of the input: "
                "labels need the grid of the image"
            )
    return taken, made


def _of_network(
    network: nn.Module,
    rule: OutputRule,
    way: Measuring,
    taken: PackageTensor,
    made: PackageTensor,
) -> Model:
    """The model of a network, with named classes."""
    names = made.channels or (taken.channels if made.axis("channel") else _UNNAMED[:1])
    if len(names) == 1 and names[0].lower() in _UNNAMED:
        names = _UNNAMED[:1]
    way = replace(way, ndim=len(taken.space), channels=taken.channels or ("0",))
    order = _background_first(names, exclusive=rule.activation != "sigmoid")
    if order != tuple(range(len(names))):
        network, names = Reordered(network, order), tuple(names[k] for k in order)
    model = scored(network, rule, len(names), way)
    if model.scores == "probabilities" and isinstance(model.module, WithBackground):
        _background_first(names, exclusive=False)
        names = ("background", *names)
    elif len(names) == 1:
        names = ("background", names[0])
    classes = tuple(
        SegmentationClass(name, PALETTE[k % len(PALETTE)]) for k, name in enumerate(names)
    )
    return replace(model, description=replace(model.description, classes=classes))


def _background_first(names: Sequence[str], *, exclusive: bool) -> tuple[int, ...]:
    """The order of channels in which the one that is named as background comes first.

    Raises
    ------
    ModelError
        If the names leave open what the background is.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"two channels of its output are named {brief(twice[0])}")
    places = [k for k, name in enumerate(names) if name.lower() in _BACKGROUND]
    if not places:
        return tuple(range(len(names)))
    named = brief(names[places[0]])
    if len(names) == 1:
        raise ModelError(f"its only channel is the background ({named}): bigunet needs the others")
    if len(places) > 1 or not exclusive:
        raise ModelError(
            f"its channel {named} has a probability that does not exclude those of the others, so "
            "that it is not clear which voxels are the background"
        )
    return (places[0], *(k for k in range(len(names)) if k != places[0]))


def _voxel_size(taken: PackageTensor) -> tuple[float, ...] | None:
    """Size of a voxel along z, y, x or y, x, if the package states it for all of them."""
    axes = [taken.axis(name) for name in taken.space]
    sizes = [axis.scale_um for axis in axes if axis is not None and axis.scale_um is not None]
    return tuple(sizes) if len(sizes) == len(axes) else None


def _one_shape(package: Package) -> tuple[int, ...]:
    """The one shape that a package states for its input; empty if there are more."""
    taken = package.inputs[0] if package.inputs else PackageTensor("", ())
    axes = [taken.axis(name) for name in taken.space]
    sizes = [axis.size for axis in axes if axis is not None and axis.size is not None]
    return tuple(sizes) if len(sizes) == len(axes) else ()


def _halo_note(model: Model, made: PackageTensor) -> dict[str, str]:
    """A line of the card if other programs read less context than the network uses."""
    used = max(model.receptive_field.halo)
    stated = [axis.halo for axis in made.axes if axis.kind == "space" and axis.halo]
    border = max(model.receptive_field.border)
    if not stated or not model.exact or min(stated) + border >= used:
        return {}
    line = (
        f"the package states {min(stated)} voxels, and its network reads {used}: bigunet reads "
        f"{used}, so that tiles equal one pass"
    )
    return {"halo": line}
