"""Options, images and networks: labels equal those of one pass in memory, or one line says why."""

from __future__ import annotations

import os
import threading
import uuid
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from distributed import Client
from hypothesis import event, given, note
from hypothesis import strategies as st
from support import fuzz_images, fuzz_modules, fuzz_reference
from support.fuzz_law import law

from bigunet import (
    BigUNetError,
    Model,
    SegmentOptions,
    SegmentReport,
    info,
    plan,
    segment,
    verify,
)

LONGEST = 400


CHANNELS = (0, 1, 2, 3, 9, -1, "0", "1", "DAPI", "dapi", "GFP", "index:1", "name:0", "no", " ")
SILLY: dict[str, st.SearchStrategy[Any]] = {
    "level": st.sampled_from([1, 2, 7, -1, "auto"]),
    "channels": st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3).map(tuple),
    "axes": st.sampled_from(["yx", "zyx", "qq", "yxc", "tczyx", "xy"]),
    "roi": st.dictionaries(
        st.sampled_from("tzyxcq"), st.tuples(st.integers(0, 20), st.integers(1, 41)), max_size=2
    ),
    "block_shape": st.lists(st.integers(1, 48), min_size=1, max_size=5).map(tuple),
    "tile_shape": st.lists(st.integers(1, 48), min_size=1, max_size=5).map(tuple),
    "grey_range_of": st.sampled_from(["nowhere", "mask"]),
    "memory_limit": st.sampled_from([1, 10**6, 2**62]),
    "mask": st.sampled_from(["nowhere", "channels", "itself"]),
    "grey_range": st.just(((0, 1), (0, 1), (5, 9), (4, 5))),
}
GREY = [(0, 100), (100, 0), (0.5, 0.7), (-1e300, 1e300), (0, 2**63), (3, 4), (-1e-300, 1e-300)]


@st.composite
def option_specs(draw: Any, spec: dict[str, Any], network: Model) -> dict[str, Any]:
    """Options that fit the image and the network, and sometimes one that does not."""
    sizes = dict(zip(spec["axes"], spec["shape"]))
    options: dict[str, Any] = {}

    def sometimes(name: str, values: Any, *, one_in: int = 4) -> None:
        if draw(st.integers(1, one_in)) == 1:
            options[name] = draw(values)

    def within(n: int) -> Any:
        return st.integers(0, n - 1).flatmap(
            lambda start: st.tuples(st.just(start), st.integers(start + 1, n))
        )

    count = sizes.get("c", 1)
    if draw(st.integers(1, 6)) > 1:
        index = st.integers(0, count - 1)
        options["channels"] = tuple(draw(index) for _ in range(network.in_channels))
    if spec["version"].startswith("bare") and draw(st.integers(1, 6)) > 1:
        options["axes"] = spec["axes"]
    parts = {a: within(sizes[a]) for a in "tzyx" if a in sizes}
    sides = st.tuples(*(st.integers(1, 48) for _ in range(network.ndim)))
    sometimes("level", st.integers(0, max(0, spec["num_levels"] - 1)), one_in=3)
    if not options.get("level"):
        sometimes("roi", st.fixed_dictionaries({}, optional=parts), one_in=3)
    sometimes("block_shape", sides)
    sometimes("tile_shape", sides)
    sometimes("outputs", st.sampled_from([("classes", "probabilities"), ("probabilities",)]))
    sometimes("tta", st.just(True), one_in=6)
    sometimes("skip_empty", st.just(True))
    sometimes("nonfinite", st.just("background"), one_in=2)
    how = draw(st.integers(0, 7))
    if how == 0:
        number = draw(st.sampled_from([1, network.in_channels]))
        options["grey_range"] = tuple(draw(st.sampled_from(GREY)) for _ in range(number))
    if how == 1:
        options["percentiles"] = draw(st.sampled_from([(0, 100), (10, 90), (49, 51), (0, 0.001)]))
    if how == 2:
        options["grey_range_of"] = draw(st.sampled_from(["itself", "output"]))
    sometimes("memory_limit", st.just(4 * 10**9), one_in=8)
    sometimes("ome_version", st.sampled_from(["0.4", "0.5", "0.6"]))
    sometimes("mask", st.sampled_from(["finer", "coarser", "empty"]))
    if draw(st.integers(1, 4)) == 1:
        name = draw(st.sampled_from(sorted(SILLY)))
        options[name] = draw(SILLY[name])
    return options


class Bench:
    """A folder with an image, masks beside it, and runs on it."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        self.folder = folder / uuid.uuid4().hex[:12]
        self.folder.mkdir()
        self.image = fuzz_images.write(spec, self.folder)
        self.masks: dict[str, np.ndarray] = {}
        random = np.random.default_rng(1)
        for name, shape in {"finer": (53, 61), "coarser": (5, 3), "channels": (3, 8, 8)}.items():
            self.masks[name] = (random.random(shape) > 0.4).astype(np.uint8)
        self.masks["empty"] = np.zeros((8, 8), np.uint8)

    def options(self, drawn: dict[str, Any]) -> SegmentOptions:
        """The drawn options, with paths instead of words."""
        given_ = dict(drawn)
        if "mask" in drawn:
            path = self.folder / f"{drawn['mask']}.zarr"
            if drawn["mask"] in self.masks and not path.exists():
                mask = self.masks[drawn["mask"]]
                axes = ["c", "y", "x"][-mask.ndim :]
                zarr.create_array(str(path), data=mask, dimension_names=axes, zarr_format=3)
            given_["mask"] = str(self.image.path if drawn["mask"] == "itself" else path)
        if "grey_range_of" in drawn:
            where = {"itself": self.image.path, "output": self.folder / "out.zarr"}
            where["mask"] = self.folder / "finer.zarr"
            given_["grey_range_of"] = str(where.get(drawn["grey_range_of"], self.folder / "no"))
        return SegmentOptions(backend="torch", precision="fp32", **given_)

    def mask(self, drawn: dict[str, Any]) -> np.ndarray | None:
        return self.masks.get(drawn.get("mask", ""))


def check_message(error: BigUNetError) -> None:
    message = str(error)
    assert message.strip(), "an error without a message"
    assert "\n" not in message, f"several lines: {message!r}"
    assert len(message) <= LONGEST + _paths_in(message), f"{len(message)} characters: {message}"


def _paths_in(message: str) -> int:
    """Number of characters of the paths in a message, which are long in tests."""
    return sum(len(word) for word in message.split() if word.startswith(("/", "'/")))


def labels_in(target: Path, report: SegmentReport) -> dict[str, np.ndarray]:
    """The written arrays, with axes in the order c, t, z, y, x."""
    root = zarr.open_group(str(target), mode="r")
    arrays = {}
    for output, path in (("classes", "labels/classes"), ("probabilities", "probabilities")):
        if output in report.plan.options.outputs:
            attributes = root[path].attrs.asdict()
            multiscale = attributes.get("ome", attributes)["multiscales"][0]
            axes = [a["name"] for a in multiscale["axes"]]
            order = [axes.index(a) for a in "ctzyx" if a in axes]
            first = multiscale["datasets"][0]["path"]
            arrays[output] = np.asarray(root[f"{path}/{first}"]).transpose(order)
    return arrays


def quiet(what: Any, *arguments: Any, **named: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return what(*arguments, **named)


def attempt(what: Any, *arguments: Any, **named: Any) -> Any:
    """The result of a call, or the error that it raises."""
    try:
        return quiet(what, *arguments, **named)
    except BigUNetError as error:
        check_message(error)
        return error


@pytest.mark.slow
@law(15)
@given(data=st.data())
def test_labels_equal_those_of_one_pass_or_a_line_says_why_not(
    tmp_path: Path, client: Client, data: st.DataObject
) -> None:
    spec = data.draw(fuzz_images.specs(), label="image")
    fitting = [k for k in fuzz_modules.KINDS if k[0] == 2 or "z" in spec["axes"]]
    network = fuzz_modules.model(data.draw(st.sampled_from(fitting), label="network"))
    drawn = data.draw(option_specs(spec, network), label="options")
    bench = Bench(tmp_path, spec)
    threads, files = torch.get_num_threads(), set(os.listdir(bench.folder))
    described = attempt(info, bench.image.path)
    options = attempt(bench.options, drawn)
    if isinstance(options, BigUNetError):
        return
    if drawn.get("grey_range_of") == "output":
        first = attempt(run, bench, "out", network, SegmentOptions(nonfinite="background"), client)
        note(f"first run: {first}")
    target = bench.folder / "made.zarr"
    planned = attempt(plan, bench.image.path, model=network, options=options)
    report = attempt(run, bench, "made", network, options, client)
    event(f"plan {_kind(planned)}, run {_kind(report)}")
    if isinstance(report, BigUNetError) and os.environ.get("BIGUNET_FUZZ_LOG"):
        with open(os.environ["BIGUNET_FUZZ_LOG"], "a") as log:
            log.write(f"{type(report).__name__} {report}\n")
    note(f"plan: {planned!r:.500}\nrun: {report!r:.500}")
    if isinstance(planned, BigUNetError):
        assert type(planned) is type(report), f"plan says {planned}, segment {report!r}"
    if isinstance(described, BigUNetError) and "axes" not in drawn:
        assert isinstance(report, BigUNetError)
    if isinstance(report, SegmentReport):
        if spec["version"].startswith("bare") and not spec["name_axes"] and "axes" not in drawn:
            # Without names, the axes are the usual ones, whatever the image was written with.
            axes = "".join(axis.name for axis in report.plan.image.axes)
            assert axes == {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}[len(axes)]
            bench.image = replace(bench.image, axes=axes)
        check_output(bench, report, drawn, target)
        check_other_blocks(bench, report, network, options, client, data)
        if "classes" in options.outputs:
            checked = quiet(verify, bench.image.path, target, model=network, windows=3)
            assert checked.passed, checked
    assert torch.get_num_threads() == threads
    files |= {"made.zarr", "other.zarr", "out.zarr"}
    assert {f for f in os.listdir(bench.folder) if not f.endswith(".zarr")} <= files
    assert threading.active_count() < 60


def _kind(outcome: Any) -> str:
    """The kind of a call's outcome, for statistics."""
    if not isinstance(outcome, BigUNetError):
        return "well"
    return f"{type(outcome).__name__}"


@law(5)
@given(data=st.data())
def test_labels_inside_an_image_equal_those_of_one_pass_and_it_stays_an_image(
    tmp_path: Path, data: st.DataObject
) -> None:
    drawn = {"version": "0.4" if data.draw(st.booleans(), label="zarr 2") else "0.5", "zip": False}
    spec = data.draw(fuzz_images.specs(only=drawn), label="image")
    bench = Bench(tmp_path, spec)
    before = attempt(info, bench.image.path)
    network = fuzz_modules.model((2, 1, 3, "", 1, 1))
    count = dict(zip(spec["axes"], spec["shape"])).get("c", 1)
    channel = data.draw(st.integers(0, count - 1), label="channel")
    options = SegmentOptions(
        backend="torch", precision="fp32", channels=(channel,), nonfinite="background",
        ome_version=data.draw(st.sampled_from(["auto", "auto", "0.4", "0.6"]), label="version"),
    )  # fmt: skip
    count_of_threads = threading.active_count()
    # Without a client, so that it starts its own workers, in threads.
    report = attempt(segment, bench.image.path, model=network, options=options, on_event=_ignore)
    event(_kind(report))
    note(f"run: {report!r:.500}")
    assert threading.active_count() <= count_of_threads + 2
    after = attempt(info, bench.image.path)
    if isinstance(report, BigUNetError):
        assert isinstance(before, BigUNetError) or "segmentation" not in after
        return
    assert {k: v for k, v in after.items() if k != "segmentation"} == before
    root = zarr.open_group(str(bench.image.path), mode="r")
    attributes = root["labels/classes"].attrs.asdict()
    datasets = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
    reference = fuzz_reference.expected(bench.image, report, None, {"nonfinite": "background"})
    labels = labels_in(bench.image.path, report)["classes"]
    assert not ((labels != reference.labels) & reference.firm).any()
    assert len(datasets) == len(report.plan.image.levels)
    assert quiet(verify, bench.image.path, model=network, windows=3).passed


def _ignore(event_: Any) -> None:
    """Ignore an event."""


def run(
    bench: Bench, name: str, network: Model, options: SegmentOptions, client: Client
) -> SegmentReport:
    return segment(
        bench.image.path, bench.folder / f"{name}.zarr", model=network, options=options,
        client=client, on_event=_ignore,
    )  # fmt: skip


def check_output(bench: Bench, report: SegmentReport, drawn: dict[str, Any], target: Path) -> None:
    reference = fuzz_reference.expected(bench.image, report, bench.mask(drawn), drawn)
    arrays = labels_in(target, report)
    if "classes" in arrays:
        labels = arrays["classes"]
        wrong = (labels != reference.labels) & reference.firm
        assert not wrong.any(), f"{int(wrong.sum())} of {wrong.size} labels are wrong"
        shares = [float((labels == k).mean()) for k in range(len(report.class_shares))]
        assert list(report.class_shares.values()) == pytest.approx(shares)
    if "probabilities" in arrays:
        apart = np.abs(arrays["probabilities"] - 255 * reference.probabilities)
        assert apart.max() <= 1, f"probabilities are {apart.max()} of 255 apart"


def check_other_blocks(
    bench: Bench,
    report: SegmentReport,
    network: Model,
    options: SegmentOptions,
    client: Client,
    data: st.DataObject,
) -> None:
    sides = tuple(data.draw(st.integers(8, 40)) for _ in range(network.ndim))
    other = SegmentOptions(**{**_fields(options), "block_shape": sides, "tile_shape": ()})
    again = attempt(run, bench, "other", network, other, client)
    assert isinstance(again, SegmentReport), f"refused with blocks of {sides}: {again}"
    first = labels_in(bench.folder / "made.zarr", report)
    second = labels_in(bench.folder / "other.zarr", again)
    for name, values in first.items():
        differ = np.abs(values.astype(int) - second[name].astype(int))
        if name == "probabilities":
            assert differ.max() <= 1
        else:
            reference = fuzz_reference.expected(bench.image, report, None, {})
            assert not (differ * reference.firm).any()


def _fields(options: SegmentOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


@pytest.mark.parametrize("kind", fuzz_modules.REFUSED)
def test_a_module_that_cannot_be_run_is_refused_in_one_line(kind: str) -> None:
    made = fuzz_modules.REFUSED[kind]()
    error = attempt(Model.of_module, made, ndim=2)
    assert isinstance(error, BigUNetError), f"{kind} is accepted"
