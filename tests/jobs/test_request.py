"""What a user may ask of a batch system."""

from __future__ import annotations

from typing import Any

import pytest

from bigunet.errors import OptionError
from bigunet.jobs.request import JobRequest


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"way": "pigeon"}, "way 'pigeon'"),
        ({"jobs": -1}, "--jobs -1"),
        ({"jobs": 2, "within_seconds": 2}, "give one of them"),
        ({"workers": 2, "gpus": 2}, "one worker per GPU"),
        ({"interface": "ib0"}, "--way dask"),
        ({"name": "two words"}, "--name"),
        ({"name": "x\n#SBATCH --mem=1"}, "--name"),
        ({"partition": "a b"}, "--partition"),
        ({"account": "$(id)"}, "--account"),
        ({"directives": ("--qos=a\nrm",)}, "--sbatch"),
        ({"directives": ("qos=a",)}, "--sbatch"),
        ({"environment": ("one\ntwo",)}, "on its own"),
    ],
)
def test_a_request_that_contradicts_itself_or_ends_a_line_is_refused(
    fields: Any, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        JobRequest(**fields)
