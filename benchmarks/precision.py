"""How much a lower precision changes of a trained network's labels on a real image.

    python benchmarks/precision.py IMAGE MODEL FOLDER [--backends torch openvino] [--truth LABELS]

Segments the image in fp32 with torch, then in bf16 with each backend, into FOLDER. Prints JSON: the
share of equal labels and, with ``--truth``, the scores of ``bigunet evaluate`` for each; what
follows ``--`` goes to it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from compare import differing

LABELS = Path("labels/classes/0")
_COMMAND = (sys.executable, "-m", "bigunet_cli.main")


def segment(image: Path, model: str, target: Path, precision: str, backend: str) -> Path:
    """What one way to compute gives."""
    subprocess.run(
        [
            *_COMMAND, "segment", str(image), str(target), "--model", model, "--precision",
            precision, "--backend", backend, "--device", "cpu", "--quiet", "--overwrite",
        ],
        check=True,
    )  # fmt: skip
    return target


def evaluate(output: Path, truth: Path, options: list[str]) -> dict[str, Any]:
    """What ``bigunet evaluate`` prints of them."""
    done = subprocess.run(
        [*_COMMAND, "evaluate", str(output), str(truth), "--json", *options],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def measure(
    image: Path,
    model: str,
    folder: Path,
    *,
    backends: list[str],
    truth: Path | None = None,
    options: list[str],
) -> dict[str, Any]:
    """Each way against fp32."""
    exact = segment(image, model, folder / "fp32.zarr", "fp32", "torch")
    found: dict[str, Any] = {"image": image.name, "model": model}
    if truth is not None:
        found["fp32 torch"] = {"scores": evaluate(exact, truth, options)}
    for backend in backends:
        output = segment(image, model, folder / f"bf16-{backend}.zarr", "bf16", backend)
        found[f"bf16 {backend}"] = {"equal": 1 - differing(exact / LABELS, output / LABELS)}
        if truth is not None:
            found[f"bf16 {backend}"]["scores"] = evaluate(output, truth, options)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backends", nargs="+", default=["torch", "openvino"])
    parser.add_argument("--truth", type=Path)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:end])
    found = measure(
        given.image,
        given.model,
        given.folder,
        backends=given.backends,
        truth=given.truth,
        options=sys.argv[end + 1 :],
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
