"""Test-time augmentation: a model averaged over rotations and mirrors of the plane, still exact.

Turns act about the origin, between voxels -1 and 0, so the network's poolings fall on the same
voxels of the image in every turn, and blocks that start at multiples of the stride stay so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bigunet.choices import ScoreKind
from bigunet.errors import ModelError
from bigunet.model.model import Model
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True, slots=True)
class Turn:
    """A rotation or mirror of the plane, the last two axes of a tensor.

    Parameters
    ----------
    mirrored : (bool, bool)
        Whether y, and x, are reversed: voxel v becomes -1 - v.
    swapped : bool
        Whether y and x are swapped afterwards.
    """

    mirrored: tuple[bool, bool]
    swapped: bool

    def of(self, image: Tensor) -> Tensor:
        """The image, turned."""
        image = self._mirror(image)
        return image.transpose(-2, -1) if self.swapped else image

    def undone(self, image: Tensor) -> Tensor:
        """The image that was turned, as it was."""
        return self._mirror(image.transpose(-2, -1) if self.swapped else image)

    def _mirror(self, image: Tensor) -> Tensor:
        axes = [axis for axis, mirrored in zip((-2, -1), self.mirrored) if mirrored]
        return image.flip(axes) if axes else image


TURNS = tuple(Turn((y, x), swapped) for swapped, y, x in itertools.product((False, True), repeat=3))
"""All eight, the image as it is first."""
MIRRORS = tuple(turn for turn in TURNS if not turn.swapped)
"""The four that keep y and x apart."""


class Turning(nn.Module):
    """A module averaged over turns of its input.

    For the image f, a field of voxels without end in which the border is mirrored, the
    probabilities of the classes are the mean over turns g of ``g⁻¹(softmax(module(g(f))))``. What
    it gives are their logarithms, less the mean of these over the classes: scores whose softmax
    is that mean of turns, and whose best is the label.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channel, *space) to scores (n, class, *inner); one score is a foreground's logit.
    field : ReceptiveField
        Of the module.
    turns : sequence of Turn
    scores : {"logits", "probabilities"}
        What the module gives. Of probabilities the mean is given as it is, a single one of a
        single one.

    Notes
    -----
    The mean is one of probabilities, not of scores: what a turn drawn at random would say of a
    voxel, with a cross entropy no larger than the mean of the turns' own (Jensen). Scores have no
    common zero, and one turn's excess of them would outvote all others.

    Valid tiles may be longer than their halos and outputs, by up to a stride: the network's last
    voxels, which are dropped. Mirrored, they lie on the other side. So a tile here has them on
    both sides of y and x, and each turn reads those of one::

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
        """Scores of the mean, (n, class, *inner) in fp32, two classes for a single score.

        ``image`` (n, channel, *space) has a valid size of :func:`turned_field`.
        """
        if self.scores == "probabilities":
            total = torch.stack([found.double() for found in self._turned(image)]).sum(dim=0)
            return (total / len(self.turns)).float()
        mean: Tensor | None = None
        for scores in self._turned(image):
            found = _log_probabilities(scores)
            mean = found if mean is None else torch.logaddexp(mean, found)
        assert mean is not None
        # The number of turns, a factor, is gone with the mean. Before that, an uncertain network's
        # logarithms are nearly equal: fp32 would round them as coarsely as the promise allows.
        return (mean - mean.mean(dim=1, keepdim=True)).float()

    def _turned(self, image: Tensor) -> Iterator[Tensor]:
        """What the module gives for each turn, turned back."""
        for turn in self.turns:
            y, x = turn.mirrored
            part = self._without_rest(image, (y, x))
            # The module may write over what it reads, and some turns are views.
            scores = turn.undone(self.module(turn.of(part).clone()))
            yield self._without_rest(scores, (not y, not x))

    def input_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """What the module reads in each pass over a tile of this shape."""
        rest = (0,) * (len(shape) - 2) + self.rest
        return tuple(n - r for n, r in zip(shape, rest))

    def _without_rest(self, tensor: Tensor, at_end: tuple[bool, bool]) -> Tensor:
        """The tensor less the rest of y and x: each at its end or, if not so, its start."""
        y, x = (
            slice(0, -rest or None) if end else slice(rest, None)
            for rest, end in zip(self.rest, at_end)
        )
        return tensor[..., y, x]


def turned(model: Model, *, square: bool = True) -> Model:
    """A model averaged over turns: the same description and digest, another module and field.

    Parameters
    ----------
    model : Model
    square : bool
        Whether voxels are as high as wide. If so, and if the network treats y and x alike, all
        eight rotations and mirrors are averaged, otherwise the four mirrors. z is never turned.
    """
    turns = TURNS if square and _is_square(model.receptive_field) else MIRRORS
    module = Turning(model.module, model.receptive_field, turns, scores=model.scores).eval()
    return replace(model, module=module, receptive_field=turned_field(model.receptive_field))


def turned_field(field: ReceptiveField) -> ReceptiveField:
    """Of a :class:`Turning` module: the rest of a valid tile lies on both sides of y and x.

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
    """How many turns a module averages; 1 for one that turns nothing."""
    return len(module.turns) if isinstance(module, Turning) else 1


def _rest(field: ReceptiveField) -> tuple[int, ...]:
    """Voxels of y and x by which valid tiles exceed halos and whole strides."""
    axes = zip(field.remainder[-2:], field.halo[-2:], field.stride[-2:])
    return tuple((remainder - 2 * halo) % stride for remainder, halo, stride in axes)


def _is_square(field: ReceptiveField) -> bool:
    numbers = (field.stride, field.border, field.halo, field.remainder)
    return all(values[-2] == values[-1] for values in numbers)


def _log_probabilities(scores: Tensor) -> Tensor:
    """Logarithms of the softmax, in fp64."""
    scores = scores.double()
    if scores.shape[1] == 1:
        scores = torch.cat((torch.zeros_like(scores), scores), dim=1)
    # One turn's overflow must not hide behind the others.
    return scores.masked_fill(scores.isinf(), torch.nan).log_softmax(dim=1)
