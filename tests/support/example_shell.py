"""Runs the scripts of examples and recipes with a stand-in for bigunet, and keeps its calls."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
EXAMPLES = _ROOT / "examples"
RECIPES = _ROOT / "benchmarks" / "training"
# It records its words on one line, and fails if they contain $FAILS.
BIGUNET = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) exit 1 ;; esac
case "$*" in *--json*) echo '{}' ;; esac
"""
NOTHING = "no such word"


class ExampleShell:
    """Runs scripts in a folder.

    Parameters
    ----------
    folder : Path
        The working folder, which holds the stand-in and its record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "bin" / "bigunet"
        command.parent.mkdir()
        command.write_text(BIGUNET)
        command.chmod(0o755)

    def run(self, script: str, *arguments: str, fails: str = NOTHING, **variables: str) -> int:
        """The exit code of a script of one of the two; ``variables`` go into its environment."""
        path = next(folder / script for folder in (EXAMPLES, RECIPES) if (folder / script).exists())
        shell = path.read_text().partition("\n")[0].removeprefix("#!")
        env = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder),
            "CALLS": str(self.folder / "calls"), "FAILS": fails, **variables,
        }  # fmt: skip
        (self.folder / "calls").write_text("")
        return subprocess.run(
            [shell, path, *arguments], env=env, stdout=subprocess.DEVNULL, cwd=self.folder
        ).returncode

    @property
    def calls(self) -> list[str]:
        """The words of each call of bigunet in the last run."""
        return (self.folder / "calls").read_text().splitlines()
