"""What bash makes of a job script, from its start to the end of its job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.job_scripts import LEDGERS, NASTY, array_script, dask_script
from support.job_shell import JobShell


@pytest.fixture
def shell(tmp_path: Path) -> JobShell:
    return JobShell(tmp_path)


def test_every_word_reaches_the_command_as_it_is(shell: JobShell) -> None:
    assert shell.run(array_script(*NASTY)) == 0
    assert shell.words == ["segment", *NASTY, "--part=2/3"]
    assert shell.requeued == []
    assert not (shell.folder / "x").exists()


def test_lines_for_the_environment_run_before_the_command(shell: JobShell) -> None:
    lines = ("export SAID='as given'", "set -eu")
    assert shell.run(array_script("IN", environment=lines)) == 0
    assert (shell.folder / "said").read_text() == "as given\n"


@pytest.mark.parametrize("code", [0, 1, 2, 137, 143])
def test_the_job_ends_with_the_exit_code_of_the_command(shell: JobShell, code: int) -> None:
    assert shell.run(array_script("IN"), CODE=str(code)) == code
    assert shell.requeued == []


@pytest.mark.parametrize("code", [75, 138])
def test_a_job_that_was_asked_to_end_is_queued_again(shell: JobShell, code: int) -> None:
    assert shell.run(array_script("IN"), CODE=str(code)) == 0
    assert shell.requeued == ["requeue 7_2"]


def test_a_job_that_cannot_be_queued_again_says_so(shell: JobShell) -> None:
    with shell.start(array_script("IN"), CODE="75", REFUSED="1") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "submit the script again" in errors


STRICT = {"environment": ("set -euo pipefail",)}


@pytest.mark.parametrize("strict", [{}, STRICT])
def test_the_script_passes_the_signal_on_and_waits_for_the_command(
    shell: JobShell, strict: Any
) -> None:
    assert shell.signalled(array_script("IN", **strict), times=2) == 0
    assert (shell.folder / "ended").exists()
    assert shell.requeued == ["requeue 7_2"]


def test_strict_lines_of_the_environment_do_not_change_how_a_job_ends(shell: JobShell) -> None:
    assert shell.run(array_script("IN", **STRICT), CODE="75") == 0
    assert shell.requeued == ["requeue 7_2"]
    assert shell.run(array_script("IN", **STRICT), CODE="75", REFUSED="1") == 75
    failing = ("set -e", "false")
    (shell.folder / "words").unlink()
    assert shell.run(array_script("IN", environment=failing)) == 1
    assert not (shell.folder / "words").exists()


def test_a_job_that_was_queued_again_and_finished_no_block_is_not_queued_once_more(
    shell: JobShell,
) -> None:
    def queued(code: int, **variables: str) -> bool:
        before = len(shell.requeued)
        assert shell.run(array_script("IN", **request), CODE="75", **variables) == code
        return len(shell.requeued) > before

    request: Any = {}
    again = {"SLURM_RESTART_COUNT": "1"}
    # In the first run there is no ledger yet.
    assert queued(0)
    assert not queued(75, **again)
    assert queued(0, ADDS=LEDGERS, **again)
    assert not queued(75, **again)
    assert queued(0, ADDS=LEDGERS, **again)
    with shell.start(array_script("IN"), CODE="138", **again) as process:
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.count("\n")) == (138, 1)
    assert "finished no block; give more --walltime" in errors
    # The script, outside of a container, may not see the ledgers inside.
    request = {"prefix": "env"}
    assert not queued(75, **again)
    (shell.folder / LEDGERS).rename(shell.folder / "elsewhere")
    assert queued(0, **again)


def test_a_dask_job_that_was_queued_again_goes_on(shell: JobShell) -> None:
    assert (shell.run(dask_script("IN")), shell.words[3:]) == (0, [])
    again = {"SLURM_RESTART_COUNT": "1", "CODE": "75"}
    assert (shell.run(dask_script("IN"), **again), shell.words[3:]) == (75, ["--resume"])
    assert (shell.run(dask_script("IN", resume=True)), shell.words[3:]) == (0, ["--resume"])


@pytest.mark.slow
@pytest.mark.parametrize("strict", [{}, STRICT])
def test_the_folder_with_the_key_is_removed_after_every_end_of_a_dask_job(
    shell: JobShell, strict: Any
) -> None:
    def left() -> bool:
        return any(shell.folder.glob(".bigunet-*"))

    script = dask_script("IN", **strict)
    assert (shell.run(script), left()) == (0, False)
    # The scheduler is gone before the script ends it.
    assert (shell.run(script, CODE="3", TAKES="1", LOST="scheduler"), left()) == (3, False)
    (shell.folder / "words").unlink()
    assert (shell.signalled(script), left()) == (0, False)
    assert shell.requeued == ["requeue 9"]


def test_a_command_that_loses_all_its_workers_ends_with_an_error(shell: JobShell) -> None:
    with shell.start(dask_script("IN"), WAITS="1", LOST="worker") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "workers have all ended, see " in errors
    assert shell.requeued == []
    assert not any(shell.folder.glob(".bigunet-*"))
