"""Reads the classes from which objects are made: those of the run, or by a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.io.output.writer import OutputWriter
from bigunet.objects.holes import filled_block
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.instances.fragment_ids import FragmentIds

ReadBox = Callable[[Box], np.ndarray]
"""Reads a box of the output, (*box)."""


@dataclass(frozen=True)
class Thresholded:
    """Classes in which a voxel is of the object class if its probability is above a threshold.

    Voxels of the object class that are not above it get the class of the border, so that they
    return to the nearest object.

    Parameters
    ----------
    classes, probabilities : callable
        Read the classes, and the probabilities of the object class, both uint8.
    rule : ObjectRule
        With a border.
    threshold : float
        Above 0, below 1. Probabilities are stored times 255, and rounded.
    """

    classes: ReadBox
    probabilities: ReadBox
    rule: ObjectRule
    threshold: float

    def __call__(self, box: Box) -> np.ndarray:
        """Read a box: uint8, (*box)."""
        classes = self.classes(box).copy()
        is_sure = self.probabilities(box) >= math.floor(self.threshold * 255) + 1
        classes[classes == self.rule.object_class] = self.rule.border
        classes[is_sure] = self.rule.object_class
        return classes


@dataclass(frozen=True)
class WithoutHoles:
    """Classes in which the voxels of holes that are filled are of the object class.

    Parameters
    ----------
    classes : callable
    holes : FragmentIds
        Says of each voxel whether it lies in such a hole.
    rule : ObjectRule
    """

    classes: ReadBox
    holes: FragmentIds
    rule: ObjectRule

    def __call__(self, box: Box) -> np.ndarray:
        """Read a box: uint8, (*box)."""
        return filled_block(self.classes(box), self.holes.read(box), self.rule)


@dataclass(frozen=True)
class StoredChannel:
    """Reads a channel of an output that the run writes.

    Parameters
    ----------
    output : OutputWriter
    channel : int, optional
        None if the output has no channels.
    """

    output: OutputWriter
    channel: int | None = None

    def __call__(self, box: Box) -> np.ndarray:
        """Read a box of level 0."""
        return self.output.read_box(0, box, channel=self.channel)
