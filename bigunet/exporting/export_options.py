"""The options of an export: what a package says that a model file need not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from bigunet.options.composed_kinds import Each
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import ImagePath, Text

PACKAGE = "Package"


@documented
@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a package says for people.

    Raises
    ------
    OptionError
        If an option is invalid.
    """

    image: str = option(
        "",
        ImagePath(),
        "Image for the test tensors and the cover, such as one that the model is made for; a "
        "drawing of spots by default.",
        section=PACKAGE,
    )
    licence: str = option(
        "",
        Text(),
        "Licence of the package as SPDX writes it, such as CC-BY-4.0; that of the model's card by "
        "default.",
        section=PACKAGE,
        metavar="SPDX",
    )
    authors: tuple[str, ...] = option(
        (),
        Each(Text(), example="('Ada Lovelace',)"),
        "Name of an author of the model.",
        section=PACKAGE,
        flag="--author",
        metavar="NAME",
    )
    tags: tuple[str, ...] = option(
        (),
        Each(Text(), example="('nuclei',)"),
        "Word by which people find the package, besides those of bigunet.",
        section=PACKAGE,
        flag="--tag",
        metavar="WORD",
    )

    def __post_init__(self) -> None:
        check_fields(self)


class ExportKeywords(TypedDict, total=False):
    """Fields of ExportOptions as keywords."""

    image: str
    licence: str
    authors: tuple[str, ...]
    tags: tuple[str, ...]
