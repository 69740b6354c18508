"""Hooks of the website: links from docs/ to other files of the repository work there, too.

Pages are written so that their links work in the repository, such as ``../examples/hpc/README.md``.
The website has a copy of every file that a page links to, at the same path below its root; files of
docs/ lie at the root itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).resolve().parents[1]
_DOCS = _ROOT / "docs"
# ](target) or ](target#anchor), for targets that are neither addresses nor anchors alone.
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
_FOLDER_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+/)\)")
_HOME = {_ROOT / "README.md": _DOCS / "index.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ that pages link to, and those that these link to."""
    waiting = list(_DOCS.rglob("*.md"))
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        for target, _ in _LINK.findall(page.read_text()):
            linked = _linked(page, target)
            if linked in seen or not linked.is_file() or linked.is_relative_to(_DOCS):
                continue
            seen.add(linked)
            files.append(File.generated(config, _place(linked), abs_src_path=str(linked)))
            if linked.suffix == ".md":
                waiting.append(linked)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links of a page lead to where the website has their targets."""
    source = Path(page.file.abs_src_path)

    def moved(link: re.Match[str]) -> str:
        linked = _linked(source, link[1])
        if not linked.is_file():
            return link[0]
        here = os.path.dirname(page.file.src_uri)
        return os.path.relpath(_place(linked), here or ".") + (link[2] or "")

    # A folder of the repository has no page on the website.
    return _LINK.sub(moved, _FOLDER_LINK.sub(r"\1", markdown))


def _linked(page: Path, target: str) -> Path:
    linked = Path(os.path.normpath(page.parent / target))
    return _HOME.get(linked, linked)


def _place(path: Path) -> str:
    """Where the website has a file, from its root."""
    base = _DOCS if path.is_relative_to(_DOCS) else _ROOT
    return path.relative_to(base).as_posix()
