"""Laws of the kinds of output."""

from __future__ import annotations

from typing import get_args

from bigunet.options.choices import Output
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.run.record_files import is_output_name


def test_each_output_has_a_kind_with_a_folder_of_its_own_that_a_run_may_write() -> None:
    assert set(OUTPUT_KINDS) == set(get_args(Output))
    groups = [kind.group for kind in OUTPUT_KINDS.values()]
    assert len(set(groups)) == len(groups)
    assert all(is_output_name(group.split("/")[0]) for group in groups)
