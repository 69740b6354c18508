"""Options of ``quantise``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from bigunet.errors import OptionError
from bigunet.options.composed_kinds import Each
from bigunet.options.image_kinds import Channel
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Whole

IMAGES = "Images"


@documented
@dataclass(frozen=True, slots=True)
class QuantiseOptions:
    """What of the images calibrates the numbers.

    Raises
    ------
    OptionError
        If an option is invalid.
    """

    patches: int = option(
        64, Whole(1), "Number of patches that calibrate the numbers.", section=IMAGES
    )
    level: int = option(
        0, Whole(), "Level of the images; 0 is the largest.", section=IMAGES, metavar="K"
    )
    channels: tuple[int | str, ...] = option(
        (),
        Each(Channel(), "indices or names, such as ('DAPI',)"),
        "Channel that the network reads, by index or name; index:1 or name:1 where a number is "
        "the name of another channel.",
        section=IMAGES,
        flag="--channel",
        usual="all channels",
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.patches < 1:
            raise OptionError(f"patches is {self.patches}; give 1 or more")


class QuantiseKeywords(TypedDict, total=False):
    """Fields of QuantiseOptions as keywords."""

    patches: int
    level: int
    channels: tuple[int | str, ...]
