"""Test-time augmentation: a model averaged over rotations and mirrors of the plane, still exact.

Turns act about the origin, which lies between voxels -1 and 0. Therefore the network's poolings
meet the same voxels of the image in every turn, and blocks that start at multiples of the stride
still do so after a turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.model import Model
from bigunet.options.choices import ScoreKind
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True, slots=True)
class Turn:
    """A rotation or a mirror of the plane of a tensor's last two axes.

    Parameters
    ----------
    mirrored : (bool, bool)
        Whether y and x are reversed: voxel v becomes -1 - v.
    swapped : bool
        Whether y and x are swapped afterwards.
    """

    mirrored: tuple[bool, bool]
    swapped: bool

    def of(self, image: Tensor) -> Tensor:
        """Turn an image."""
        image = self._mirror(image)
        return image.transpose(-2, -1) if self.swapped else image

    def undone(self, image: Tensor) -> Tensor:
        """Turn a turned image back."""
        return self._mirror(image.transpose(-2, -1) if self.swapped else image)

    def _mirror(self, image: Tensor) -> Tensor:
        axes = [axis for axis, mirrored in zip((-2, -1), self.mirrored) if mirrored]
        return image.flip(axes) if axes else image


TURNS = tuple(Turn((y, x), swapped) for swapped, y, x in itertools.product((False, True), repeat=3))
"""All eight turns; the first leaves the image as it is."""
MIRRORS = tuple(turn for turn in TURNS if not turn.swapped)
"""The four turns that do not swap y and x."""


class Turning(nn.Module):
    """A module averaged over turns of its input.

    Let f be the image, mirrored at its border and so continued without end. The probabilities of
    the classes are the mean over the turns g of ``g⁻¹(softmax(module(g(f))))``. The scores of this
    module are the logarithms of that mean, minus their own mean over the classes. The softmax of
    these scores is the mean of the turns, and the highest score is the label.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channel, *space) to scores (n, class, *inner). A single score is the logit of the
        foreground.
    field : ReceptiveField
        The receptive field of the module.
    turns : sequence of Turn
    scores : {"logits", "probabilities"}
        What the module's scores are. If they are probabilities, this module gives their mean; a
        single probability stays single.

    Notes
    -----
    The mean is taken over probabilities, not over scores. By Jensen's inequality, its cross entropy
    is not larger than the mean of the turns' cross entropies. Scores have no common zero, so one
    turn with large scores would outweigh all others.

    A valid tile may exceed its halos and its output by up to a stride. This rest lies at the end
    of the tile, and the network drops it. In a mirrored tile, it lies at the start. Therefore a
    tile here has the rest on both sides of y and x, and each turn reads one of the two::

        |<-rest->|<-halo->|<-- output -->|<-halo->|<-rest->|
                 |<---------- read as it is -------------->|
        |<------------ read mirrored ------------>|
    """

    def __init__(
        self,
        module: nn.Module,
        field: ReceptiveField,
        turns: Sequence[Turn] = TURNS,
        *,
        scores: ScoreKind = "logits",
    ) -> None:
        super().__init__()
        if not turns:
            raise ModelError("no turns to average; give one at least")
        if any(turn.swapped for turn in turns) and not _is_square(field):
            raise ModelError(f"the network treats y and x differently ({field}): mirror it only")
        self.module = module
        self.turns = tuple(turns)
        self.rest = _rest(field)
        self.scores = scores

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the mean, (n, class, *inner), fp32; two classes for a single score.

        ``image`` (n, channel, *space) has a valid size of :func:`turned_field`.
        """
        if self.scores == "probabilities":
            total = torch.stack([_in_fp64(scores) for scores in self._turned(image)]).sum(dim=0)
            return (total / len(self.turns)).float().to(image.device)
        logarithms: Tensor | None = None
        for scores in self._turned(image):
            one = _log_probabilities(scores)
            logarithms = one if logarithms is None else torch.logaddexp(logarithms, one)
        assert logarithms is not None
        # The sum is not divided by the number of turns: subtracting the mean removes this factor.
        # It is subtracted in fp64, because the logarithms of an uncertain network are nearly equal,
        # and fp32 would round their differences too coarsely.
        return (logarithms - logarithms.mean(dim=1, keepdim=True)).float().to(image.device)

    def _turned(self, image: Tensor) -> Iterator[Tensor]:
        """The module's scores for each turn, turned back."""
        for turn in self.turns:
            y, x = turn.mirrored
            part = self._without_rest(image, (y, x))
            # A clone, because the module may overwrite its input, and some turns are views.
            scores = turn.undone(self.module(turn.of(part).clone()))
            yield self._without_rest(scores, (not y, not x))

    def input_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that the module reads in each pass over a tile of ``shape``."""
        rest = (0,) * (len(shape) - 2) + self.rest
        return tuple(n - r for n, r in zip(shape, rest))

    def _without_rest(self, tensor: Tensor, at_end: tuple[bool, bool]) -> Tensor:
        """The tensor without the rest of y and x, which lies at its end or at its start."""
        y, x = (
            slice(0, -rest or None) if end else slice(rest, None)
            for rest, end in zip(self.rest, at_end)
        )
        return tensor[..., y, x]


def turned(model: Model, *, square: bool = True) -> Model:
    """A model averaged over turns, with the same description and digest.

    Parameters
    ----------
    model : Model
    square : bool
        Whether voxels are as high as wide. If they are, and the network treats y and x alike, all
        eight rotations and mirrors are averaged; otherwise only the four mirrors. The axis z is
        never turned.
    """
    turns = TURNS if square and _is_square(model.receptive_field) else MIRRORS
    module = Turning(model.module, model.receptive_field, turns, scores=model.scores).eval()
    return replace(model, module=module, receptive_field=turned_field(model.receptive_field))


def turned_field(field: ReceptiveField) -> ReceptiveField:
    """The receptive field of a :class:`Turning` module, with the rest on both sides of y and x.

    >>> field = ReceptiveField(stride=(16, 16), border=(92, 92), halo=(92, 92), remainder=(12, 12))
    >>> turned_field(field)
    ReceptiveField(stride=(16, 16), border=(96, 96), halo=(96, 96), remainder=(0, 0))
    """
    rest = (0,) * (field.ndim - 2) + _rest(field)
    halo = tuple(h + r for h, r in zip(field.halo, rest))
    return replace(
        field,
        border=tuple(b + r for b, r in zip(field.border, rest)),
        halo=halo,
        remainder=tuple((n + r) % s for n, r, s in zip(field.remainder, rest, field.stride)),
    )


def num_turns(module: nn.Module) -> int:
    """Number of turns that a module averages; 1 for other modules."""
    return len(module.turns) if isinstance(module, Turning) else 1


def _rest(field: ReceptiveField) -> tuple[int, ...]:
    """Number of voxels of y and x by which valid tiles exceed halos and whole strides."""
    axes = zip(field.remainder[-2:], field.halo[-2:], field.stride[-2:])
    return tuple((remainder - 2 * halo) % stride for remainder, halo, stride in axes)


def _is_square(field: ReceptiveField) -> bool:
    numbers = (field.stride, field.border, field.halo, field.remainder)
    return all(values[-2] == values[-1] for values in numbers)


def _in_fp64(scores: Tensor) -> Tensor:
    """The scores in fp64; on the CPU if their device has no such numbers, as Apple's GPUs."""
    return (scores.cpu() if scores.device.type == "mps" else scores).double()


def _log_probabilities(scores: Tensor) -> Tensor:
    """Logarithms of the softmax of scores, in fp64."""
    scores = _in_fp64(scores)
    if scores.shape[1] == 1:
        scores = torch.cat((torch.zeros_like(scores), scores), dim=1)
    # An overflow in one turn must stay visible in the mean over all turns.
    return scores.masked_fill(scores.isinf(), torch.nan).log_softmax(dim=1)
