"""The words of options mean the same options again, for every command and every option."""

from __future__ import annotations

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
from support.option_values import field_values

from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError
from bigunet.jobs.job_request import JobRequest
from bigunet.options.image_kinds import Size
from bigunet.options.option_fields import option_fields, option_words

COMMANDS: list[tuple[type, click.Command, list[str]]] = [
    (SegmentOptions, segment, ["in.zarr"]),
    (ClusterSpec, segment, ["in.zarr"]),
    (JobSpec, segment, ["in.zarr"]),
    (TrainOptions, train, ["images", "labels", "--out=m.safetensors"]),
    (Recipe, train, ["images", "labels", "--out=m.safetensors"]),
    (EvaluateOptions, evaluate, ["found.zarr", "truth.zarr"]),
    (JobRequest, slurm, ["in.zarr"]),
]


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
