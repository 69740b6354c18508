"""Writes HTML and SVG as text; every name and every value is escaped."""

from __future__ import annotations

import html
import re

_EMPTY = frozenset({"img", "meta", "br", "hr"})
# Neither HTML nor SVG may hold these, nor halves of a letter that a path may hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Markup(str):
    """Text that is markup already, so that it is not escaped again."""


def escaped(text: object) -> Markup:
    """The text as markup shows it; markup stays as it is.

    >>> escaped("<script>")
    '&lt;script&gt;'
    """
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(text))))


def joined(*parts: object) -> Markup:
    """Several pieces of markup or text, one after the other."""
    return Markup("".join(map(escaped, parts)))


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element with its children and its attributes.

    An underscore in the name of an attribute is a hyphen, and one at its end is dropped.

    >>> element("p", "a < b", class_="small")
    '<p class="small">a &lt; b</p>'
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{joined(*children)}</{name}>")


def listed(rows: list[tuple[object, object]]) -> Markup:
    """Names and values, one pair a line."""
    pairs = [joined(element("dt", name), element("dd", value)) for name, value in rows]
    return element("dl", *pairs)


def section(title: str, *children: object) -> Markup:
    """A part of a page with its heading."""
    return element("section", element("h2", title), *children)


def figure(picture: object, caption: object, *, class_: str = "") -> Markup:
    """A picture with its caption."""
    words = {"class_": class_} if class_ else {}
    return element("figure", picture, element("figcaption", caption), **words)
