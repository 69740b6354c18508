"""The words of options mean the same options again, for every command and every option."""

from __future__ import annotations

from typing import Any

import click
import pytest
from bigunet_cli.declared_options import described
from bigunet_cli.evaluate import evaluate
from bigunet_cli.jobs import slurm
from bigunet_cli.main import cli
from bigunet_cli.segment import segment
from bigunet_cli.train import train
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from bigunet import Augmentation, EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError
from bigunet.jobs.job_request import Duration, JobRequest
from bigunet.options.composed_kinds import Commas, Each, Optional, TwoNumbers
from bigunet.options.image_kinds import Channel, ClassName, LevelNumber, Size
from bigunet.options.lengths import Length, Micrometres
from bigunet.options.object_sizes import ObjectSizeKind
from bigunet.options.option_fields import OptionField, option_fields, option_words
from bigunet.options.option_kinds import Choice, Flag, Kind, Number, Path, Share, Text, Whole
from bigunet.options.regions import Region
from bigunet.training.augmentation import Changes

COMMANDS: list[tuple[type, click.Command, list[str]]] = [
    (SegmentOptions, segment, ["in.zarr"]),
    (ClusterSpec, segment, ["in.zarr"]),
    (JobSpec, segment, ["in.zarr"]),
    (TrainOptions, train, ["images", "labels", "--out=m.safetensors"]),
    (Recipe, train, ["images", "labels", "--out=m.safetensors"]),
    (EvaluateOptions, evaluate, ["found.zarr", "truth.zarr"]),
    (JobRequest, slurm, ["in.zarr"]),
]
FINITE = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
# Values that texts of any letters would hardly ever be.
FITTING = {
    "axes": st.sampled_from(["yx", "zyx", "yxc"]),
    "dashboard_address": st.sampled_from([":0", "127.0.0.1:8787"]),
    "directives": st.lists(st.sampled_from(["--qos=a b", "-n1"]), max_size=2).map(tuple),
    "logs": st.sampled_from(["/logs", "~/é"]),
    "mask": st.sampled_from(["/a mask.zarr", "s3://bucket/key=1"]),
    "grey_range_of": st.sampled_from(["/out.zarr"]),
    "name": st.sampled_from(["a", "7-b.c"]),
    "object_threshold": st.floats(0, 1, exclude_min=True, exclude_max=True),
    "split_radius": st.integers(0, 200),
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind."""
    if isinstance(kind, Optional):
        return values(kind.kind)
    if isinstance(kind, (Each, Commas)):
        at_least = isinstance(kind, Commas)
        return st.lists(values(kind.kind), min_size=at_least, max_size=3).map(tuple)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words)
    if isinstance(kind, Whole):
        return st.integers(kind.least or 0, 2**70)
    known: dict[type, st.SearchStrategy[Any]] = {
        Flag: st.booleans(),
        Text: st.text(),
        Path: st.text(),
        Share: st.floats(0, 1, exclude_min=True) | st.just(1),
        Micrometres: st.floats(0, 1) | st.floats(1, 1e300),
        Number: st.floats(0, 1) | st.floats(1, 1e300),
        TwoNumbers: st.tuples(FINITE, FINITE),
        LevelNumber: st.integers(0, 9) | st.just("auto"),
        Channel: st.text(),
        ClassName: st.integers(0, 2**70) | st.sampled_from(["cell", "-1", "²", " 1"]),
        Region: st.dictionaries(
            st.sampled_from("tzyx"), st.just((2, 5)) | st.just((Length(0.5), Length(10)))
        ),
        Size: st.integers(0, 2**70) | st.integers(0, 99).map(lambda n: n * 10**9),
        Duration: st.integers(1, 2**40),
        ObjectSizeKind: st.integers(0, 2**60) | st.sampled_from(["30um2", "1e3 µm³", "7"]),
        Changes: st.builds(
            Augmentation,
            flips=st.booleans(),
            scale=st.sampled_from([(0.5, 2.0), (0.8, 1.25)]),
            noise=st.floats(0, 1),
            elastic_points=st.integers(2, 9),
        ),
    }
    return known[type(kind)]


def field_values(one: OptionField) -> st.SearchStrategy[Any]:
    return FITTING[one.name] if one.name in FITTING else values(one.kind)


@pytest.mark.parametrize(
    ("kind", "command", "arguments"), COMMANDS, ids=[kind.__name__ for kind, *_ in COMMANDS]
)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_command_reads_from_the_words_what_was_described(
    kind: type, command: click.Command, arguments: list[str], data: st.DataObject
) -> None:
    declared = {one.name: one for one in option_fields(kind)}
    names = data.draw(st.lists(st.sampled_from(list(declared)), min_size=1, max_size=3))
    others = {"kind": "slurm"} if kind is ClusterSpec else {}
    try:
        made = kind(**others | {name: data.draw(field_values(declared[name])) for name in names})
    except BigUNetError:
        reject()
    # With the settings of the group, as when the command runs.
    context = command.make_context("it", [*arguments, *option_words(made)], **cli.context_settings)
    assert described(kind, context.params) == made
    assert kind(**{name: getattr(made, name) for name in declared}) == made


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("8 gb", 8 * 10**9),
        ("8g", 8 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("512Ki", 2**19),
        ("1e3MB", 10**9),
        (".5kB", 500),
        ("12B", 12),
        ("8000000000", 8 * 10**9),
    ],
)
def test_a_size_is_read_as_dask_reads_it(text: str, size: int) -> None:
    from dask.utils import parse_bytes

    assert Size().parse(text) == size == parse_bytes(text)


@given(size=st.integers(0, 10**20))
def test_a_size_that_is_printed_is_read_as_the_same_number(size: int) -> None:
    assert Size().parse(Size().show(size)) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1XB", "1e999", "1 2", "8GBB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size, like 8GB or 500MB"):
        Size().parse(text)
