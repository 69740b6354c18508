"""The content of an output, to compare two runs byte by byte."""

from __future__ import annotations

from pathlib import Path


def contents(store: Path) -> dict[str, bytes]:
    """Every file of an output except the record of the run."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.suffix != ".jsonl" and path.stem not in ("report", "run")
    }
