"""Representations for notebooks: a title and a small table, in HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path


def html_repr(title: str, rows: Mapping[str, str], *, page: str = "") -> str:
    """A title, the rows that have a value, and the path of a page with more.

    Parameters
    ----------
    title : str
    rows : mapping of str to str
        Values by name; a row without a value is left out.
    page : str
        Absolute path of a page; empty if there is none.

    Examples
    --------
    >>> html_repr("a & b", {"size": "3", "none": ""})
    '<b>a &amp; b</b><table><tr><th>size</th><td>3</td></tr></table>'
    """
    cells = [
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
        if value
    ]
    link = f'<a href="{escape(Path(page).as_uri())}">report</a>' if page else ""
    return f"<b>{escape(title)}</b><table>{''.join(cells)}</table>{link}"
