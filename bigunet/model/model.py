"""A network with all that segmentation must know of it, from a file or from a caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

from torch import nn

from bigunet.errors import ModelError
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.digest import module_digest
from bigunet.model.foreign import by_value
from bigunet.model.given import module_from
from bigunet.model.int8.numbers import Int8Numbers
from bigunet.model.measured import Measured
from bigunet.model.normalisation import Normalisation
from bigunet.model.probing.scores import module_name
from bigunet.options.choices import ScoreKind
from bigunet.options.short_repr import line_repr, shown_shape
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True)
class Model:
    """A module, its description, and its receptive field.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channel, *space) to scores (n, class, *space), floats; in evaluation mode.
    description : ModelDescription
    digest : str
        SHA-256 that identifies the weights.
    receptive_field : ReceptiveField
        Computed from the layers of bigunet's networks, and measured for any other module.
    path : str
        The file that it was read from; empty for a caller's module.
    scores : {"logits", "probabilities"}
        What the module's scores are. Probabilities do not go through a softmax again. A single
        probability is that of the foreground, which begins above 0.5.
    exact : bool
        Whether tiles can equal the whole image. If not, the network is blended, and the receptive
        field has its border alone.
    tile_shape : tuple of int
        A spatial shape that the network takes, if it is not exact.
    assumed : tuple of str
        What nobody stated, and bigunet has a default for: "normalisation", "classes".
    keeps_probabilities : bool
        Whether the probabilities of the scores are those of the network. They are not if the scores
        were shifted, so that labels begin at a threshold that a package states.
    int8 : Int8Numbers or None
        What the network computes with in int8, if it was quantised.
    """

    module: nn.Module
    description: ModelDescription
    digest: str
    receptive_field: ReceptiveField
    path: str = ""
    scores: ScoreKind = "logits"
    exact: bool = True
    tile_shape: tuple[int, ...] = ()
    assumed: tuple[str, ...] = ()
    keeps_probabilities: bool = True
    int8: Int8Numbers | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle the code of modules along with the model, if workers cannot import them."""
        if not by_value.is_needed():
            return super().__reduce_ex__(protocol)
        return by_value.unpacked, (type(self), by_value.packed(self.__dict__))

    def __repr__(self) -> str:
        halo = f"halo {shown_shape(self.receptive_field.halo)}" if self.exact else "not exact"
        return line_repr(self, *self.description.shown, f"{self.ndim}D", halo)

    @property
    def ndim(self) -> int:
        return self.receptive_field.ndim

    @property
    def in_channels(self) -> int:
        return len(self.description.channels)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """A spatial shape that the module takes."""
        field = self.receptive_field
        return self.tile_shape or field.input_shape(field.stride)

    @property
    def zero_padded(self) -> bool:
        """Whether scores near the border of a plain pass depend on padding."""
        return self.receptive_field.border != self.receptive_field.halo

    @classmethod
    def of_module(
        cls,
        module: nn.Module,
        *,
        ndim: int,
        channels: Sequence[str] = ("0",),
        classes: Sequence[str] | None = None,
        normalisation: Normalisation | None = None,
        name: str | None = None,
        voxel_size_um: Sequence[float] | None = None,
        scores: ScoreKind | None = None,
        halo: Sequence[int] = (),
        blend: bool = False,
        tile_shape: Sequence[int] = (),
    ) -> Model:
        """Make a model of any module with outputs that depend on a bounded neighbourhood.

        A module with one score per voxel has two classes, background and foreground: the
        foreground is where a logit is above 0, or a probability above 0.5.

        The module is copied to the CPU, in evaluation mode and in float32. ``DataParallel`` and
        ``torch.compile`` are removed; TorchScript is run as it is.

        Parameters
        ----------
        module : torch.nn.Module
            Maps (n, len(channels), *space) to (n, classes, *space) on the same voxel grid, with
            zero-padded or valid convolutions.
        ndim : int
            Number of spatial axes, 2 or 3.
        classes : sequence of str, optional
            Class names, background first.
        voxel_size_um : sequence of float, optional
            Voxel size in micrometres that the network was trained at, z y x or y x.
        scores : {"logits", "probabilities"}, optional
            What the module's scores are. They are probabilities if the module ends in a sigmoid
            (of one score) or in a softmax. By default this is measured.
        halo : sequence of int, optional
            Voxels of context that an output depends on, one number or one for each axis, where it
            cannot be measured. It is checked on noise.
        blend : bool
            Whether to take a module that cannot be run exactly, too: it is run by
            ``segment(..., blend=True, tile_shape=...)`` alone.
        tile_shape : sequence of int, optional
            With ``blend``, the one spatial shape that the module takes.

        Raises
        ------
        ModelError
            If the module cannot be run exactly block by block. The message names the layer or
            call, and says what to do.
        """
        channels = _names(channels, "channels")
        classes = None if classes is None else _names(classes, "classes")
        # A copy, because the caller may continue to train the module.
        module = module_from(module)
        measured = Measured.of(
            module,
            in_channels=len(channels),
            ndim=ndim,
            scores=scores,
            halo=halo,
            tile_shape=tuple(tile_shape) if blend else None,
        )
        return cls.of_measured(
            module,
            measured,
            channels=channels,
            classes=classes,
            normalisation=normalisation,
            name=name,
            voxel_size_um=voxel_size_um,
        )

    @classmethod
    def of_measured(
        cls,
        module: nn.Module,
        measured: Measured,
        *,
        channels: Sequence[str],
        classes: Sequence[str] | None = None,
        normalisation: Normalisation | None = None,
        name: str | None = None,
        voxel_size_um: Sequence[float] | None = None,
    ) -> Model:
        """Make a model of a module that was measured already; see :meth:`of_module`.

        Parameters
        ----------
        module : torch.nn.Module
            As ``bigunet.model.given.module_from`` returns it.
        measured : Measured
        """
        described = default_classes(max(measured.num_scores, 2))
        if classes is not None:
            if len(classes) != len(described):
                raise ModelError(f"{len(classes)} class names for {len(described)} classes")
            described = tuple(replace(c, name=n) for c, n in zip(described, classes))
        description = ModelDescription(
            name=name or module_name(module),
            architecture={"name": "module", "class": module_name(module)},
            classes=described,
            channels=tuple(channels),
            normalisation=normalisation or Normalisation(),
            voxel_size_um=None if voxel_size_um is None else tuple(voxel_size_um),
        )
        return cls(
            module,
            description,
            module_digest(
                module,
                measured.field,
                in_channels=len(channels),
                scores=measured.scores,
                shape=measured.shape,
            ),
            measured.field,
            scores=measured.scores,
            exact=measured.exact,
            tile_shape=() if measured.exact else measured.shape,
        )


def _names(given: Sequence[str], what: str) -> tuple[str, ...]:
    names = tuple(given) if isinstance(given, Sequence) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{what} is {given!r:.60}; give a sequence of names: ('one', 'two')")
    return names
