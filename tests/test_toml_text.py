"""Laws of options as TOML: what is written is read back as the same options, without secrets."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from support.option_values import field_values

from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.conversion.convert_options import ConvertOptions
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError
from bigunet.options.option_fields import option_fields
from bigunet.options.toml_text import NOT_IN_FILES, toml_text, toml_values

DECLARED = (
    SegmentOptions, TrainOptions, Recipe, EvaluateOptions, ConvertOptions, ClusterSpec, JobSpec,
)  # fmt: skip
SECRETS = ["s3cret", "t0ken"]


def drawn(kind: type, data: st.DataObject) -> Any:
    """Options with a few values; those that do not go together are drawn again."""
    declared = {one.name: one for one in option_fields(kind) if one.name not in NOT_IN_FILES}
    names = data.draw(st.lists(st.sampled_from(list(declared)), min_size=1, max_size=4))
    try:
        return kind(**{name: data.draw(field_values(declared[name])) for name in names})
    except BigUNetError:
        reject()


@pytest.mark.parametrize("kind", DECLARED)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_options_come_back_from_their_toml(kind: type, data: st.DataObject) -> None:
    made = drawn(kind, data)
    values = toml_values(made)
    read = tomllib.loads(toml_text(values, about="A law.\nIt holds."))
    assert read == values
    assert kind(**read) == made
    always = [
        one.name
        for one in option_fields(kind)
        if getattr(made, one.name) is not None and one.name not in NOT_IN_FILES
    ]
    assert kind(**toml_values(made, always=always)) == made
    assert list(toml_values(made, always=always)) == always


def test_passwords_and_tokens_are_left_out() -> None:
    made = SegmentOptions(
        mask="https://me:s3cret@host/mask.zarr?token=t0ken", grey_range_of="s3://k:s3cret@b/o.zarr"
    )
    text = toml_text(toml_values(made), about="")
    assert tomllib.loads(text) == {
        "mask": "https://host/mask.zarr",
        "grey_range_of": "s3://b/o.zarr",
    }
    assert not any(secret in text for secret in SECRETS)


def test_trust_is_never_written() -> None:
    assert toml_values(SegmentOptions(trust=True), always=["trust"]) == {}


def test_what_is_none_is_left_out_and_paths_are_kept_as_given() -> None:
    made = TrainOptions(begin_from="../a model.safetensors")
    values = {"card": None, **toml_values(made)}
    text = toml_text(values, about="One line.")
    assert text == '# One line.\n\nbegin_from = "../a model.safetensors"\n'
