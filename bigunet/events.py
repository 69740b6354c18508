"""Events: what a caller hears while a verb runs. Each is a frozen dataclass.

`segment`, `segment_images`, `segment_fields`, `predict` and `convert` pass on each `Event`, and
`train` each `TrainEvent`. They come one at a time, but from several threads if several images are
at work. What a function that receives them raises ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bigunet.options.short_repr import counted, line_repr, shown_shape
from bigunet.urls import without_secrets


@dataclass(frozen=True, slots=True, repr=False)
class BlockDone:
    """Event: a block was finished and recorded.

    Parameters
    ----------
    stage : str
    index : tuple of int
    result : dict
        What the work of the block returned.
    num_done, num_blocks : int
        Blocks of the stage.
    run : str
        Name of the run among several that are at work at once; empty for a single run.
    """

    stage: str
    index: tuple[int, ...]
    result: dict[str, Any]
    num_done: int
    num_blocks: int
    run: str = ""

    def __repr__(self) -> str:
        done = f"{self.num_done} of {counted(self.num_blocks, 'block')}"
        return line_repr(self, self.run, self.stage, done)


@dataclass(frozen=True, slots=True)
class StageBegun:
    """Event: a stage begins.

    Parameters
    ----------
    stage : str
    num_done : int
        Number of its blocks that an earlier run has done.
    num_blocks : int
    panel : str
        Address of bigunet's panel on the dashboard; empty without one.
    run : str
        Name of the run, as in BlockDone.
    dashboard : str
        Address of Dask's dashboard; empty without one.
    """

    stage: str
    num_done: int
    num_blocks: int
    panel: str = ""
    run: str = ""
    dashboard: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Event: a line for people, without passwords and tokens.

    Parameters
    ----------
    text : str
    run : str
        Name of the run that it is about, as in BlockDone.
    """

    text: str
    run: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", without_secrets(self.text))


@dataclass(frozen=True, slots=True)
class RunsDone:
    """Event: a run of several has ended, well or not; the first of these events counts none.

    Parameters
    ----------
    num_done, num_runs : int
    run : str
        Name of the run that has ended; empty in the first event.
    """

    num_done: int
    num_runs: int
    run: str = ""


Event = BlockDone | Notice | RunsDone | StageBegun
"""What a segmentation and a conversion pass on."""
OnEvent = Callable[[Event], None]
"""A function that is called with each event of a segmentation or a conversion."""


@dataclass(frozen=True, slots=True, repr=False)
class TrainBegun:
    """The event before the first step.

    Parameters
    ----------
    images, validation_images : int
        Number of images to learn from, and number of images to validate on.
    patch_shape : tuple of int
        Shape of the network's input.
    weights : int
        Number of weights that the network learns.
    steps_done : int
        Steps that the continued run has already done.
    score_name : str
    channels : int
        Number of image channels that the network reads.
    one_cut : bool
        Whether there is a single image, cut in two: one part to learn from and the other part to
        validate on.
    shared_images : int
        Number of images that are learned from and also given for validation. Their score says
        nothing about other images.
    equal_channels : str
        The first image, if all its channels are equal; else empty.
    kept_model : str
        Path of another run's model, which stays until the first validation; else empty.
    class_shares : mapping of str to float
        Share of each class among the annotated voxels. A class is named by its label value for
        the target "classes", and by its name otherwise.
    annotated_share : float
        Share of the voxels to learn from that somebody annotated.
    doubts : tuple of str
        What may be a mistake of the user, one line each.
    """

    images: int
    validation_images: int
    patch_shape: tuple[int, ...]
    weights: int
    steps_done: int
    score_name: str
    channels: int = 1
    one_cut: bool = False
    shared_images: int = 0
    equal_channels: str = ""
    kept_model: str = ""
    class_shares: Mapping[str, float] = field(default_factory=dict)
    annotated_share: float = 1.0
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return line_repr(
            self,
            f"{counted(self.images, 'image')}, {self.validation_images} to validate on",
            f"patches of {shown_shape(self.patch_shape)}",
            counted(self.weights, "weight"),
            counted(len(self.doubts), "doubt") if self.doubts else "",
        )


@dataclass(frozen=True, slots=True)
class StepDone:
    """The event after each step.

    Parameters
    ----------
    step : int
        Number of steps done.
    share : float
        Share of the run that is done, 0 to 1.
    loss : float
        Mean loss of the latest steps.
    """

    step: int
    share: float
    loss: float


@dataclass(frozen=True, slots=True)
class Validated:
    """The event after each validation.

    Parameters
    ----------
    step : int
        Number of steps done.
    score : float
        Validation score; NaN without images to validate on.
    kept : bool
        Whether this network is the best so far, and is now in the model file.
    looked_at : float
        Share of the validation voxels that was scored, 0 to 1. It is below 1 where a run by the
        clock has no time for all.
    """

    step: int
    score: float
    kept: bool
    looked_at: float = 1.0


@dataclass(frozen=True, slots=True)
class AtWork:
    """The event of work other than steps: before the steps, between them, and after the last.

    Parameters
    ----------
    stage : str
        Name of the stage, such as "validation".
    share : float
        Share of the stage that is done, 0 to 1.
    """

    stage: str
    share: float


TrainEvent = AtWork | StepDone | TrainBegun | Validated
"""What a training passes on."""
OnTrainEvent = Callable[[TrainEvent], None]
"""A function that is called with each event of a training."""
