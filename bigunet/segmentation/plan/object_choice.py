"""Chooses the outputs of a run, and which voxels are one object, from model and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bigunet.errors import OptionError
from bigunet.model.description import ModelDescription
from bigunet.model.model import Model
from bigunet.model.object_description import ObjectDescription
from bigunet.objects.rule import ObjectRule
from bigunet.objects.split_rule import SplitRule
from bigunet.options.choices import Output
from bigunet.segmentation.object_options import NO_BORDER, UNSURE_CLASS
from bigunet.segmentation.plan.link_choice import choose_links, linked_ndim
from bigunet.segmentation.segment_options import SegmentOptions

# Growth looks at each of them for each voxel of the border.
_MOST_NEIGHBOURS = 40_000
_USUAL = {
    "object_class": "", "object_threshold": None, "border_class": "", "border_width": 0,
    "smallest": None, "fill_holes": None, "connectivity": "faces", "split": "auto",
    "split_radius": 0, "link_planes": None, "link_time": None, "no_table": False,
}  # fmt: skip
_CONNECTIVITY = {"faces": 1, "edges": 2, "corners": 3}


def choose_outputs(description: ModelDescription, options: SegmentOptions) -> tuple[Output, ...]:
    """The outputs of the options; by default classes, and instances if the model has objects.

    Instances are made of classes, so that these are written, too.

    Parameters
    ----------
    description : ModelDescription
    options : SegmentOptions
    """
    has_objects = description.objects is not None or bool(options.object_class)
    if not options.outputs:
        return _with_sources(("classes", "instances") if has_objects else ("classes",), options)
    return _with_sources(options.outputs, options)


def check_probabilities(model: Model, outputs: Sequence[Output]) -> None:
    """Raise OptionError if probabilities are asked for that are not those of the network."""
    if "probabilities" in outputs and not model.keeps_probabilities:
        raise OptionError(
            f"model {model.description.name!r} states a threshold (binarize) that its scores were "
            "shifted for, so that they give no probabilities of it; leave out probabilities (and "
            "--object-threshold)"
        )


def _with_sources(outputs: tuple[Output, ...], options: SegmentOptions) -> tuple[Output, ...]:
    """The outputs, and those that instances are made of."""
    if "instances" in outputs and "classes" not in outputs:
        outputs = ("classes", *outputs)
    if "instances" in outputs and options.object_threshold is not None:
        outputs = outputs if "probabilities" in outputs else (*outputs, "probabilities")
    return outputs


def choose_objects(
    description: ModelDescription,
    options: SegmentOptions,
    *,
    ndim: int,
    voxel_size_um: Sequence[float] | None,
    axes: Sequence[str] = ("y", "x"),
) -> ObjectRule | None:
    """Which voxels are one object; None if no instances are written.

    Parameters
    ----------
    description : ModelDescription
    options : SegmentOptions
        With the chosen outputs.
    ndim : int
        Number of axes that the network sees.
    voxel_size_um : sequence of float or None
        Size of a voxel in micrometres along the axes of an object: three if planes are linked, else
        ``ndim``. None if the image does not state it.
    axes : sequence of str
        Names of the axes of the output; the network sees the last ``ndim``.

    Raises
    ------
    OptionError
        If nothing says which class the objects are, or an option does not fit the model.
    """
    if "instances" not in options.outputs:
        _refuse_unused(options)
        return None
    stated = description.objects
    own = None if stated is None else _number(description, stated.object_class)
    number = _number(description, options.object_class) if options.object_class else own
    if number is None:
        raise OptionError(
            f"model {description.name!r} does not say which class its objects are: give "
            f"--object-class, one of {_listed(description)}"
        )
    # What the model says of its border and sizes holds for its own objects only.
    same = stated if number == own else None
    smallest = same.smallest if same else 0
    if options.smallest is not None:
        smallest = options.smallest.voxels(voxel_size_um, linked_ndim(options, ndim))
    border = _border(description, options, same)
    if border is None and options.object_threshold is not None:
        if len(description.classes) > UNSURE_CLASS:
            raise OptionError("object threshold: the model has too many classes; give none")
        border = UNSURE_CLASS
    if border is None and options.border_width:
        raise OptionError(f"border width {options.border_width}: give a class to --border-class")
    width = options.border_width or (same.border_width if same else 1)
    _check_width(width, ndim)
    return ObjectRule(
        object_class=number,
        border=border,
        border_width=width,
        smallest=smallest,
        connectivity=min(_CONNECTIVITY[options.connectivity], ndim),
        ndim=ndim,
        split=_split(options, same, None if voxel_size_um is None else voxel_size_um[-ndim:]),
        links=choose_links(options, axes=axes, ndim=ndim),
        fill_holes=_largest_hole(options, ndim, voxel_size_um),
    )


def _split(
    options: SegmentOptions, stated: ObjectDescription | None, size_um: Sequence[float] | None
) -> SplitRule | None:
    """Where objects are split. Distances are in the unit of the finest axis."""
    by_model = stated is not None and stated.split
    if options.split == "off" or (options.split == "auto" and not by_model):
        if options.split_radius:
            raise OptionError(f"split radius {options.split_radius}: give --split on, too")
        return None
    spacing = None
    if size_um is not None and len(set(size_um)) > 1:
        spacing = tuple(size / min(size_um) for size in size_um)
    usual = SplitRule()
    return replace(usual, radius=options.split_radius or usual.radius, spacing=spacing)


def _largest_hole(options: SegmentOptions, ndim: int, voxel_size_um: Sequence[float] | None) -> int:
    """Voxels of the largest hole that is filled; linked objects have their holes in one frame."""
    if options.fill_holes is None:
        return 0
    return options.fill_holes.most_voxels(voxel_size_um, ndim)


def _border(
    description: ModelDescription, options: SegmentOptions, stated: ObjectDescription | None
) -> int | None:
    """Number of the class that separates objects; the word none is one of options only."""
    if options.border_class:
        word = options.border_class
        return None if word == NO_BORDER else _number(description, word)
    if stated is None or stated.border is None:
        return None
    return _number(description, stated.border)


def _check_width(width: int, ndim: int) -> None:
    """Raise OptionError for a border so wide that growth would take hours."""
    if (2 * width + 1) ** ndim > _MOST_NEIGHBOURS:
        most = (round(_MOST_NEIGHBOURS ** (1 / ndim)) - 1) // 2
        raise OptionError(f"border width {width}: give at most {most} voxels in {ndim}D")


def _refuse_unused(options: SegmentOptions) -> None:
    """Raise OptionError for an option that would have no effect."""
    for name, usual in _USUAL.items():
        if (value := getattr(options, name)) != usual:
            raise OptionError(
                f"{name.replace('_', ' ')} {value}: no objects are written; give --output instances"
            )


def _number(description: ModelDescription, name: str) -> int:
    """Number of a class by its name or number."""
    names = [one.name for one in description.classes]
    if names.count(name) > 1:
        raise OptionError(
            f"model {description.name!r} has {names.count(name)} classes named {name!r}: give a "
            f"number of {_listed(description)}"
        )
    if name in names:
        return names.index(name)
    if name.isascii() and name.isdigit() and int(name) < len(names):
        return int(name)
    raise OptionError(
        f"model {description.name!r} has no class {name!r}; its classes are {_listed(description)}"
    )


def _listed(description: ModelDescription) -> str:
    return ", ".join(f"{number} {one.name}" for number, one in enumerate(description.classes))
