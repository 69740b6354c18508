"""Compare the labels of a trained network in a lower precision with those in fp32.

    python benchmarks/precision.py IMAGE MODEL FOLDER [--backends torch openvino] [--truth LABELS]

The script segments the image in fp32 with torch, then in bf16 with each backend, and writes into
FOLDER. It prints JSON: the share of equal labels and, with ``--truth``, the scores of
``bigunet evaluate`` for each output. Options after ``--`` go to ``bigunet evaluate``.
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
    """Segment the image in one precision with one backend, and return the output."""
    subprocess.run(
        [
            *_COMMAND, "segment", str(image), str(target), "--model", model, "--precision",
            precision, "--backend", backend, "--device", "cpu", "--quiet", "--overwrite",
        ],
        check=True,
    )  # fmt: skip
    return target


def evaluate(output: Path, truth: Path, options: list[str]) -> dict[str, Any]:
    """The scores of an output."""
    done = subprocess.run(
        [*_COMMAND, "evaluate", str(output), str(truth), "--json", *options],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    scores: dict[str, Any] = json.loads(done.stdout)
    return scores


def measure(
    image: Path,
    model: str,
    folder: Path,
    *,
    backends: list[str],
    truth: Path | None = None,
    options: list[str],
) -> dict[str, Any]:
    """The share of labels that are equal to those in fp32, and scores, for each backend."""
    exact = segment(image, model, folder / "fp32.zarr", "fp32", "torch")
    figures: dict[str, Any] = {"image": image.name, "model": model}
    if truth is not None:
        figures["fp32 torch"] = {"scores": evaluate(exact, truth, options)}
    for backend in backends:
        output = segment(image, model, folder / f"bf16-{backend}.zarr", "bf16", backend)
        figures[f"bf16 {backend}"] = {"equal": 1 - differing(exact / LABELS, output / LABELS)}
        if truth is not None:
            figures[f"bf16 {backend}"]["scores"] = evaluate(output, truth, options)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backends", nargs="+", default=["torch", "openvino"])
    parser.add_argument("--truth", type=Path)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:end])
    figures = measure(
        arguments.image,
        arguments.model,
        arguments.folder,
        backends=arguments.backends,
        truth=arguments.truth,
        options=sys.argv[end + 1 :],
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
