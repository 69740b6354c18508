"""Programs to compare with bigunet: peers, and bigunet itself in another precision or backend."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from loads import Load
from ours import output_of, segment
from processor import precisions

from bigunet.options.choices import Precision

RUN = Path(__file__).parent / "peers" / "run.py"
OWN = "bigunet"
# Voxels per axis that a tile keeps; windows have the size that is usual for them.
_TILE, _WINDOW = {2: 1024, 3: 128}, {2: 512, 3: 128}
_FP32 = ("naive", "window", "monai-window")
# Ways of the convolutions, which stand in the place of a backend.
_CONVOLUTIONS = ("direct", "winograd")


@dataclass(frozen=True)
class Contender:
    """A program with its settings.

    A peer is written as ``torch-em:bf16:1024`` with the size of its tiles, and bigunet itself as
    ``bigunet:fp32:torch`` with its backend, or ``bigunet:fp32:winograd`` with its convolutions.
    """

    peer: str
    precision: str
    setting: str
    device: str = "cpu"

    @classmethod
    def parse(cls, text: str, load: Load, device: str = "cpu") -> Contender:
        peer, *rest = text.split(":")
        lower = "fp32" if peer in _FP32 else "bf16"
        precision = rest[0] if rest else lower
        if peer == "naive" and precision not in ("fp32", "tf32"):
            raise SystemExit("naive runs only in fp32, or in tf32 on a GPU")
        sizes = _WINDOW if "window" in peer else _TILE
        usual = "auto" if peer == OWN else str(sizes[load.config.ndim])
        return cls(peer, precision, rest[1] if rest[1:] else usual, device)

    @property
    def name(self) -> str:
        return f"{self.peer}:{self.precision}:{self.setting}"

    def run(self, load: Load, folder: Path, python: str) -> dict[str, Any]:
        """The result of one run; ``python`` is that of an environment with the peers.

        Raises
        ------
        RuntimeError
            With the last line that the peer printed, if it failed.
        """
        if self.peer == OWN:
            return self._run_own(load, folder)
        command = [
            python, str(RUN), self.peer, str(folder), load.name, "--precision", self.precision,
            "--tile", self.setting, "--device", self.device,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        sys.stderr.write(done.stderr)
        if done.returncode:
            raise RuntimeError(f"{self.peer}: {done.stderr.strip().rpartition(chr(10))[2]}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def _run_own(self, load: Load, folder: Path) -> dict[str, Any]:
        suffix = f"-{self.precision}-{self.setting}"
        kind = "--convolution" if self.setting in _CONVOLUTIONS else "--backend"
        options = ["--precision", self.precision, kind, self.setting]
        report = segment(load, folder, [*options, "--device", self.device], suffix=suffix)
        labels = output_of(load, folder, suffix) / "labels" / "classes" / "0"
        per_voxel = 1e6 * report["seconds"] / load.voxels
        return report | {"output": str(labels), "microseconds_per_voxel": per_voxel}


def own_variants(device: str) -> list[str]:
    """Bigunet in each precision that the device has and bigunet knows, and with Winograd's method.

    What this version of bigunet does not have, or what needs a package that is missing, is left
    out.
    """
    native = [p for p in precisions(device) if p in get_args(Precision)]
    fewer = ["winograd"] if device == "cpu" and find_spec("numba") else []
    return [f"{OWN}:{p}:auto" for p in native] + [f"{OWN}:fp32:{way}" for way in fewer]
