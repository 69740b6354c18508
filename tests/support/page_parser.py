"""Reads a page back: its elements, its text, and the pictures in it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

_ENDLESS = {"img", "meta", "br", "hr"}


@dataclass
class ParsedPage(HTMLParser):
    """A page whose elements are properly nested; others are an error."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, page: str | Path) -> ParsedPage:
        parsed = cls()
        parsed.feed(page if isinstance(page, str) else page.read_text("utf-8"))
        parsed.close()
        assert parsed.open == []
        return parsed

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _ENDLESS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, *tags: str) -> str:
        """The text of the page, or of elements of some names."""
        return "".join(text for tag, text in self.texts if not tags or tag in tags)

    def pictures(self) -> dict[str, np.ndarray]:
        """The pictures (y, x, 3), by what is said of each."""
        return {one["alt"]: decoded(one["src"]) for one in self.named("img")}


def decoded(source: str) -> np.ndarray:
    """The pixels (y, x, 3) of a data URI."""
    head, _, text = source.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text, validate=True))).convert("RGB"))
