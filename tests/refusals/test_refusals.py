"""Every refusal is one line that says what to do, and the page quotes the same line."""

from __future__ import annotations

import re

import pytest
from refusals.case import Case, outcome_of
from refusals.page import GROUPS, PAGE, page

CASES = [case for cases in GROUPS.values() for case in cases]
_LONGEST = 300


@pytest.mark.parametrize("case", CASES, ids=[case.brings for case in CASES])
def test_every_refusal_is_one_short_line(case: Case) -> None:
    outcome = outcome_of(case)
    assert outcome.code == case.code, outcome.lines
    (line,) = outcome.lines
    assert line.startswith("Warning: ") == (case.code == 0)
    assert re.search(case.says, line), line
    assert len(line) <= _LONGEST
    assert "Traceback" not in line


def test_the_page_quotes_what_bigunet_prints() -> None:
    assert PAGE.read_text() == page(), "write it anew: python tests/refusals/page.py"


def test_no_two_cases_have_one_name() -> None:
    names = [case.brings for case in CASES]
    assert len(set(names)) == len(names)
