"""Templates: no value of a script can become a command, and none can be forgotten."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader, TemplateNotFound, UndefinedError

from bigunet.jobs.templating import script_templates

TEMPLATES = script_templates()
# What an argument of a process can hold.
ARGUMENTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(max_examples=25, deadline=None)
@given(ARGUMENTS)
def test_bash_reads_each_value_as_the_one_word_that_it_was(value: str) -> None:
    script = TEMPLATES.from_string("printf '%s|' {{ value }} end").render(value=value)
    printed = subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout
    assert printed.decode() == f"{value}|end|"


def test_text_that_is_marked_as_bash_stays_as_it_is() -> None:
    line = "export A='b c'; cd $HOME"
    assert TEMPLATES.from_string("{{ line | bash }}\n").render(line=line) == f"{line}\n"


def test_a_comment_stays_on_its_line() -> None:
    script = TEMPLATES.from_string("# {{ title | comment }}\n").render(title="a\nrm -r b\r\nc")
    assert script == "# a rm -r b c\n"


def test_a_tag_on_a_line_of_its_own_leaves_no_line() -> None:
    template = "{% for x in xs %}\n    a {{ x }} \\\n{% endfor %}\n    b\n"
    assert TEMPLATES.from_string(template).render(xs=[1, 2]) == "    a 1 \\\n    a 2 \\\n    b\n"


@pytest.mark.parametrize("template", ["{{ jobs }}", "{{ 'x'.jobs }}", "{% if jobs %}{% endif %}"])
def test_a_value_that_is_missing_is_an_error(template: str) -> None:
    with pytest.raises(UndefinedError, match="jobs"):
        TEMPLATES.from_string(template).render()


def test_a_template_of_an_example_can_include_those_of_bigunet() -> None:
    more = script_templates(DictLoader({"own.sh.in": '{% include "wait.sh.in" %}\nexit\n'}))
    script = more.get_template("own.sh.in").render()
    assert 'wait "$pid"' in script
    assert script.endswith("done\nexit\n")
    with pytest.raises(TemplateNotFound):
        more.get_template("none.sh.in")
