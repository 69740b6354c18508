"""Segment every OME-Zarr of a folder with a tiny random network, and check the outputs.

    python benchmarks/checks/conformance.py FOLDER

The script reports which images of other projects can be segmented. Cases named ``INVALID_*`` must
be refused; ``SPEC_*`` and ``META_*`` have no pixels and are skipped.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import ome_zarr_models
import torch
import zarr
from distributed import Client
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from zarr.errors import ZarrUserWarning

from bigunet import (
    BigUNetError,
    ModelDescription,
    SegmentOptions,
    SegmentReport,
    UNet,
    UNetConfig,
    info,
    save_model,
    segment,
)
from bigunet.model.description import default_classes

SKIPPED = ("SPEC_", "META_")
REFUSED_ONLY = "INVALID_"
# Larger images are segmented at the first level below.
MOST_VOXELS = 20_000_000


@dataclass(frozen=True)
class Row:
    """The result of one case."""

    case: str
    verdict: str
    words: str
    seconds: float

    @property
    def good(self) -> bool:
        must_refuse = self.case.startswith(REFUSED_ONLY)
        return self.verdict == "refused" if must_refuse else self.verdict in ("good", "refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with one OME-Zarr for each case")
    parser.add_argument("--channel", default="0", help="the channel that the network reads")
    arguments = parser.parse_args()
    logging.getLogger("ome_zarr").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", ZarrUserWarning)
    with tempfile.TemporaryDirectory() as scratch, local_client() as client:
        model = tiny_model(Path(scratch))
        rows = []
        for number, (name, path) in enumerate(cases(arguments.folder)):
            target = Path(scratch, f"{number}.zarr")
            rows.append(
                judge(name, path, target, model=model, channel=arguments.channel, client=client)
            )
            print(line(rows[-1]), flush=True)
    bad = [row for row in rows if not row.good]
    count = {v: sum(row.verdict == v for row in rows) for v in ("good", "refused")}
    print(f"{count['good']} good, {count['refused']} refused in one line, {len(bad)} bad")
    return 1 if bad else 0


def local_client() -> Client:
    return Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0"
    )


def tiny_model(folder: Path) -> Path:
    config = UNetConfig(width=4, depth=2, classes=3, batch_norm=True)
    torch.manual_seed(0)
    description = ModelDescription(
        name="tiny",
        architecture={"name": "unet", "config": config.to_dict()},
        classes=default_classes(config.classes),
        channels=("any",),
    )
    save_model(folder / "tiny.safetensors", UNet(config).initialise(), description)
    return folder / "tiny.safetensors"


def cases(folder: Path) -> Iterator[tuple[str, Path]]:
    """The name and path of each case; after a plate comes its first field."""
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        if path.name.startswith(SKIPPED):
            continue
        yield path.name, path
        try:
            fields = info(path).get("fields", [])
        except BigUNetError:
            continue
        if fields:
            yield f"{path.name}/{fields[0]}", path / fields[0]


def judge(name: str, path: Path, target: Path, *, model: Path, channel: str, client: Client) -> Row:
    begun = time.perf_counter()
    try:
        options = SegmentOptions(channels=(channel,), level=level_of(path))
        report = segment(path, target, model=model, options=options, client=client)
        wrong = differences(report, target)
        verdict, words = ("wrong", "; ".join(wrong)) if wrong else ("good", describe(report))
    except BigUNetError as error:
        verdict, words = "refused", str(error)
    except Exception:
        verdict, words = "traceback", traceback.format_exc()
    return Row(name, verdict, words, time.perf_counter() - begun)


def level_of(path: Path) -> int:
    levels = info(path).get("levels", [])
    small = [k for k, level in enumerate(levels) if np.prod(level["shape"]) <= MOST_VOXELS]
    return small[0] if small else 0


def describe(report: SegmentReport) -> str:
    plan = report.plan
    axes = "".join(plan.image.volume_axes)
    level = f", level {plan.options.level}" if plan.options.level else ""
    return f"{axes} {'×'.join(map(str, plan.region.shape))}{level}"


def differences(report: SegmentReport, target: Path) -> list[str]:
    """The errors in an output, as readers of other projects see them."""
    wrong = []
    root = zarr.open_group(target, mode="r")
    stored = np.asarray(root["labels/classes/0"])
    for kind, place in (("Image", root), ("Image", root["labels/classes"])):
        try:
            group = type(ome_zarr_models.open_ome_zarr(place)).__name__
        except Exception as error:
            group = repr(error)
        if group not in (kind, "ImageLabel"):
            wrong.append(f"ome-zarr-models of {place.path or 'the root'}: {group}")
    node = next(iter(Reader(parse_url(str(target)))()))
    if not np.array_equal(node.data[0].compute(scheduler="threads"), stored):
        wrong.append("ome-zarr-py reads other voxels")
    opened = ngff_zarr.from_ngff_zarr(str(target)).images[0]
    if not np.array_equal(opened.data.compute(scheduler="threads"), stored):
        wrong.append("ngff-zarr reads other voxels")
    for axis, (size, scale, translation) in geometry(report).items():
        at = opened.dims.index(axis)
        output = (stored.shape[at], opened.scale[axis], opened.translation[axis])
        if not np.allclose(output, (size, scale, translation), rtol=1e-9, atol=0):
            wrong.append(f"{axis}: {output} is not {(size, scale, translation)}")
    return wrong


def geometry(report: SegmentReport) -> dict[str, tuple[int, float, float]]:
    """Size, scale and translation of each axis of the input, read from its JSON and its array."""
    place = Path(report.plan.image.url)
    content = attributes_of(place)
    multiscale = content.get("ome", content)["multiscales"][0]
    dataset = multiscale["datasets"][report.plan.options.level]
    array: Any = zarr.open_array(place / str(dataset["path"]), mode="r")
    axes = multiscale.get("axes") or list("tczyx")
    names = [(a["name"] if isinstance(a, dict) else a).lower() for a in axes]
    scale, translation = np.ones(len(names)), np.zeros(len(names))
    for stage in (dataset, multiscale):
        for transformation in stage.get("coordinateTransformations") or []:
            if transformation["type"] == "scale":
                scale = scale * transformation["scale"]
                translation = translation * transformation["scale"]
            elif transformation["type"] == "translation":
                translation = translation + transformation["translation"]
    rows = zip(names, array.shape, scale, translation)
    return {n: (int(size), float(s), float(t)) for n, size, s, t in rows if n != "c"}


def attributes_of(place: Path) -> dict[str, Any]:
    if (place / "zarr.json").is_file():
        return dict(json.loads((place / "zarr.json").read_text())["attributes"])
    return dict(json.loads((place / ".zattrs").read_text()))


def line(row: Row) -> str:
    sign = " " if row.good else "!"
    words = row.words if row.verdict == "traceback" else " ".join(row.words.split())[:150]
    return f"{sign} {row.case:<58} {row.verdict:<9} {row.seconds:6.1f} s  {words}"


if __name__ == "__main__":
    sys.exit(main())
