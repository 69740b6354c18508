"""The options of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from bigunet.io.images.axes import checked_letters
from bigunet.options.choices import OmeVersionChoice
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Flag, Text
from bigunet.segmentation.segment_options import IMAGE, OUTPUT


@documented
@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """How an image is written as OME-Zarr.

    Raises
    ------
    OptionError
        If an option is invalid.
    """

    axes: str = option(
        "",
        Text(),
        "Axes of an image that does not name them: letters of t, c, z, y, x in the order of "
        "storage, such as zyx.",
        section=IMAGE,
        metavar="LETTERS",
    )
    labels: bool = option(
        False,
        Flag(),
        "Voxels are numbers of classes or objects: smaller levels take the most frequent number, "
        "not the mean.",
        section=IMAGE,
    )
    ome_version: OmeVersionChoice = option(
        "auto",
        Choice(OmeVersionChoice, "OME-Zarr version"),
        "OME-Zarr version of the output. auto takes 0.5; a folder of 0.5 or 0.6 that is packed "
        "into OUT.ozx keeps its own.",
        section=OUTPUT,
    )

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "axes", checked_letters(self.axes))


class ConvertKeywords(TypedDict, total=False):
    """Fields of ConvertOptions as keywords."""

    axes: str
    labels: bool
    ome_version: OmeVersionChoice
