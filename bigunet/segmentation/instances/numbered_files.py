"""A folder with a file for each block, named by the number of the block."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from bigunet.errors import OutputError
from bigunet.io.output.block_files import Files
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing

T = TypeVar("T")
_FOLDER_SIZE = 1000
"""Files of blocks in one folder."""


@dataclass(frozen=True, slots=True)
class NumberedFiles:
    """Files such as ``0/17.npz`` for block 17.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    def path(self, number: int) -> Path:
        """The file of a block."""
        return self.folder / str(number // _FOLDER_SIZE) / f"{number}.npz"

    def write(self, number: int, content: bytes) -> Files:
        """Write the file of a block; number and size of the files.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        path = self.path(number)
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(content)
        return Files(1, len(content))

    def read(self, number: int, parse: Callable[[bytes], T]) -> T:
        """Read the file of a block.

        Raises
        ------
        OutputError
            If the file is missing or damaged.
        """
        path = self.path(number)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror}; run with --resume") from error
        try:
            return parse(content)
        except OutputError as error:
            raise OutputError(f"{path} is damaged: delete it, then run with --resume") from error

    def stored(self, num_blocks: int) -> np.ndarray:
        """Number (0 or 1) and size of the file of each block; int64 (blocks, 2)."""
        stored = np.zeros((num_blocks, 2), np.int64)
        for start in range(0, num_blocks, _FOLDER_SIZE):
            folder = self.path(start).parent
            if not folder.is_dir():
                continue
            with writing(str(folder)), os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name.removesuffix(".npz")
                    if name.isdecimal() and int(name) < num_blocks and entry.is_file():
                        stored[int(name)] = 1, entry.stat().st_size
        return stored
