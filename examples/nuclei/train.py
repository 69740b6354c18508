"""Train the bundled model ``nuclei`` on the fluorescence images of the Data Science Bowl 2018."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from bigunet.geometry import Box
from bigunet.metrics import Matches, match_objects
from bigunet.model.description import ModelDescription, Normalisation, SegmentationClass
from bigunet.model.file import load_model, save_model
from bigunet.model.forward import GreyRange, Precision, Predictor, labels_of
from bigunet.model.model import Model
from bigunet.model.unet import UNet, UNetConfig
from bigunet.training.loop import TrainingConfig, TrainingReport, train
from bigunet.training.patches import Sample, mirrored
from bigunet.training.targets import OBJECT

NORMALISATION = Normalisation("percentile", 1.0, 99.8)
CLASSES = (
    SegmentationClass("background", "#000000"),
    SegmentationClass("nucleus", "#e6a019"),
    SegmentationClass("border", "#2a7fd4"),
)
SMALLEST_NUCLEUS = 12
"""Voxels; smaller objects are not counted as found."""
SAME_LABELS = 0.999
"""Share of voxels on which bf16 must agree with fp32 to be allowed by the model."""

CARD = {
    "data": "BBBC038v1 / Data Science Bowl 2018, stage 1, fluorescence images",
    "licence": "CC0-1.0",
    "source": "https://bbbc.broadinstitute.org/BBBC038",
    "citation": "Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7",
    "intended_use": "Nuclei in 2D fluorescence images (DAPI, Hoechst and the like), about 6 to 60 "
    "voxels across: connected voxels of the class nucleus are one nucleus.",
    "limits": "Not for brightfield or stained tissue. Nuclei that overlap are split where they "
    "meet. Nuclei over 90 voxels across exceed what the network sees: segment a lower level.",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One image of the data set with its true nuclei."""

    name: str
    grey: np.ndarray
    nuclei: np.ndarray

    @property
    def grey_range(self) -> GreyRange:
        """The image's own percentiles, as the segment command measures them."""
        quantiles = (NORMALISATION.low, NORMALISATION.high)
        low, high = np.percentile(self.grey, quantiles, method="inverted_cdf")
        return GreyRange((float(low),), (float(max(high, low + 1)),))

    @property
    def for_validation(self) -> bool:
        """Whether the hash of its name is among one tenth of all."""
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 10 == 0

    @property
    def count(self) -> int:
        """Number of true nuclei."""
        return len(np.unique(self.nuclei[self.nuclei > 0]))

    def sample(self, weight: float) -> Sample:
        """Normalised as the segment command does."""
        (low,), (high,) = self.grey_range.low, self.grey_range.high
        image = (self.grey.astype(np.float32) - low) / (high - low)
        return Sample(image[None].astype(np.float32), self.nuclei, weight)


def samples_of(fields: Sequence[Field]) -> list[Sample]:
    """Training samples, weighted so that rare kinds are seen.

    Fields of one shape come from one laboratory and look alike. A kind is drawn by the square
    root of its nuclei, and so is a field within its kind.
    """
    roots = [max(1, field.count) ** 0.5 for field in fields]
    nuclei: Counter[tuple[int, ...]] = Counter()
    drawn: Counter[tuple[int, ...]] = Counter()
    for field, root in zip(fields, roots):
        nuclei[field.grey.shape] += field.count
        drawn[field.grey.shape] += root
    return [
        field.sample(root * max(1, nuclei[field.grey.shape]) ** 0.5 / drawn[field.grey.shape])
        for field, root in zip(fields, roots)
    ]


def read_fields(folder: Path) -> list[Field]:
    """The images of ``folder/images`` with the nuclei of ``folder/labels``."""
    fields = []
    for path in sorted((folder / "images").glob("*.png")):
        nuclei = np.asarray(Image.open(folder / "labels" / path.name)).astype(np.int32)
        fields.append(Field(path.name, np.asarray(Image.open(path).convert("L")), nuclei))
    if not fields:
        sys.exit(f"no images/*.png in {folder}; give the folder that holds images/ and labels/")
    return fields


def classes_found(model: Model, field: Field, precision: Precision = "fp32") -> np.ndarray:
    """The class of each voxel of a whole field, in one pass."""
    reach = model.receptive_field
    shape = reach.input_shape(field.grey.shape)
    start = tuple(-halo for halo in reach.halo)
    box = Box(start, tuple(a + n for a, n in zip(start, shape)))
    predictor = Predictor(model, field.grey_range, precision=precision)
    scores = predictor.scores(mirrored(field.grey, box)[None])
    return labels_of(scores).numpy()[tuple(slice(n) for n in field.grey.shape)]


def nuclei_of(classes: np.ndarray) -> np.ndarray:
    """Connected voxels of the class nucleus, but for the smallest."""
    found, _ = ndimage.label(classes == OBJECT)
    small = np.bincount(found.ravel()) < SMALLEST_NUCLEUS
    found[small[found]] = 0
    return np.asarray(found)


def score(model: Model, fields: Sequence[Field]) -> Matches:
    """Nuclei found and not found in all fields together."""
    matches = Matches()
    for field in fields:
        matches += match_objects(field.nuclei, nuclei_of(classes_found(model, field)))
    return matches


def equal_share(model: Model, fields: Sequence[Field], precision: Precision) -> float:
    """Share of voxels whose class is that of fp32."""
    equal = total = 0
    for field in fields:
        same = classes_found(model, field) == classes_found(model, field, precision)
        equal, total = equal + int(same.sum()), total + same.size
    return equal / total


def description(module: UNet, training: dict[str, Any]) -> ModelDescription:
    return ModelDescription(
        name="nuclei",
        architecture={"name": "unet", "config": module.config.to_dict()},
        classes=CLASSES,
        channels=("DNA",),
        normalisation=NORMALISATION,
        training=training,
        card={**CARD, "scores": {"average precision at IoU 0.5": training["validation_score"]}},
    )


def model_of(module: UNet) -> Model:
    """The network as the file will hold it: rounded to fp16, computed in fp32."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    known = description(module, {"validation_score": None})
    return Model(module, known, "in training", module.config.receptive_field())


def record(
    report: TrainingReport, config: TrainingConfig, matches: Matches, images: int
) -> dict[str, Any]:
    """What the model file tells about this training."""
    numbers = asdict(config)
    # The clock ended this run, not the number of steps.
    del numbers["steps"]
    return {
        "seconds": round(report.seconds),
        "steps": report.step,
        "patches": report.step * config.batch,
        "images": images,
        "seed": config.seed,
        "validation_score": round(matches.average_precision, 4),
        "validation_nuclei": matches.matched + matches.missed,
        "config": numbers,
        "torch": torch.__version__,
        "weights": sum(p.numel() for p in report.module.parameters()),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds images/*.png and labels/*.png")
    parser.add_argument("--out", type=Path, required=True, help="the model, .safetensors")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report-every", type=int, default=800, help="steps")
    return parser.parse_args()


def reports(
    options: argparse.Namespace, config: TrainingConfig, samples: Sequence[Sample]
) -> Iterator[TrainingReport]:
    """The training run, which ends by the clock: how many steps fit is not known beforehand."""
    numbers = UNetConfig(classes=3, width=options.width, depth=3, batch_norm=True, dropout=0.1)
    torch.manual_seed(options.seed)
    module = UNet(numbers).initialise()
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    began, allowed = time.monotonic(), 60 * options.minutes
    return train(
        module, samples, config, progress=lambda step: (time.monotonic() - began) / allowed
    )


def check_bf16(path: Path, validation: Sequence[Field]) -> None:
    """Write into the model file whether bf16 gives the same labels."""
    model = load_model(path)
    known = model.description
    equal = equal_share(model, validation, "bf16")
    precisions = ("fp32", "bf16") if equal >= SAME_LABELS else ("fp32",)
    training = {**known.training, "bf16_equal_labels": round(equal, 6)}
    save_model(
        path, model.module, replace(known, precisions=precisions, training=training), half=True
    )


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    fields = read_fields(options.folder)
    validation = [field for field in fields if field.for_validation]
    samples = samples_of([field for field in fields if not field.for_validation])
    config = TrainingConfig(bf16=True, seed=options.seed, report_every=options.report_every)
    best = -1.0
    for report in reports(options, config, samples):
        matches = score(model_of(report.module), validation)
        found = matches.average_precision
        line = f"step {report.step}  {report.progress:.0%}  loss {report.loss:.4f}"
        print(f"{line}  AP@0.5 {found:.4f}  {report.seconds:.0f} s", file=sys.stderr, flush=True)
        if found > best:
            best = found
            training = record(report, config, matches, len(samples))
            save_model(options.out, report.module, description(report.module, training), half=True)
    check_bf16(options.out, validation)


if __name__ == "__main__":
    main()
