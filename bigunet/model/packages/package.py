"""What a package states, whatever its format: tensors, axes, steps and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bigunet.model.packages.package_files import PackageFiles

AxisKind = Literal["batch", "channel", "space", "time", "index"]


@dataclass(frozen=True, slots=True)
class PackageAxis:
    """One axis of a tensor.

    Parameters
    ----------
    kind : {"batch", "channel", "space", "time", "index"}
    name : str
        "x", "y" or "z" for space; else the name of the kind.
    size : int or None
        The only size that is stated; None if there are several, or none.
    channels : tuple of str
        Names of the channels; empty if none are stated.
    scale_um : float or None
        Size of a voxel in micrometres.
    halo : int
        Voxels that other programs cut from each side of the output of a tile.
    ratio : float
        Voxels of this axis for one voxel of the axis of the input with the same name.
    """

    kind: AxisKind
    name: str
    size: int | None = None
    channels: tuple[str, ...] = ()
    scale_um: float | None = None
    halo: int = 0
    ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class ProcessingStep:
    """A step before or after the network: its name, and its numbers."""

    name: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def others_than(self, known: str) -> tuple[str, ...]:
        """The numbers that the step states, other than these names; each changes its meaning."""
        stated = (key for key, value in self.numbers.items() if value is not None)
        return tuple(str(key) for key in stated if key not in known.split())


@dataclass(frozen=True, slots=True)
class PackageTensor:
    """An input or an output."""

    name: str
    axes: tuple[PackageAxis, ...]
    steps: tuple[ProcessingStep, ...] = ()
    optional: bool = False

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the axes of space, in the order z, y, x."""
        names = {axis.name for axis in self.axes if axis.kind == "space"}
        return tuple(name for name in ("z", "y", "x") if name in names)

    def axis(self, name: str) -> PackageAxis | None:
        """The axis of this name."""
        return next((axis for axis in self.axes if axis.name == name), None)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; empty if none are stated."""
        channel = self.axis("channel")
        return () if channel is None else channel.channels


@dataclass(frozen=True, slots=True)
class Weights:
    """One of the forms in which a package holds its network.

    Parameters
    ----------
    source : str
        Name of the file in the package.
    sha256 : str or None
    code : str or None
        Name of a Python file in the package that builds the network, for a state dict.
    code_sha256 : str or None
    module : str or None
        Name of a Python module that builds the network, in place of a file.
    builder : str
        What to call there.
    numbers : mapping
        Arguments of the call.
    """

    source: Any
    sha256: str | None = None
    code: str | None = None
    code_sha256: str | None = None
    module: str | None = None
    builder: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Package:
    """A model package.

    Parameters
    ----------
    files : PackageFiles
    name : str
    inputs, outputs : tuple of PackageTensor
    weights : mapping of str to Weights
        By the name of the form, such as "onnx".
    card : mapping of str to str
        Licence, authors, citation and so on, for people.
    own : mapping
        What :func:`bigunet.export` wrote for bigunet itself; empty for other packages.
    """

    files: PackageFiles
    name: str
    inputs: tuple[PackageTensor, ...]
    outputs: tuple[PackageTensor, ...]
    weights: Mapping[str, Weights]
    card: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
