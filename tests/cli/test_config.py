"""``--config``: a file of options means the same as their words, and the words win."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from bigunet_cli.convert import convert
from bigunet_cli.declared_options import described
from bigunet_cli.evaluate import evaluate
from bigunet_cli.jobs import slurm
from bigunet_cli.main import cli
from bigunet_cli.segment import segment
from bigunet_cli.train import train
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from support.option_values import field_values
from support.stored import contents

import bigunet as library
from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.conversion.convert_options import ConvertOptions
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError, OptionError
from bigunet.options.lengths import Length
from bigunet.options.option_fields import option_fields, option_words
from bigunet.options.toml_text import NOT_IN_FILES, toml_text, toml_values
from bigunet.segmentation.run_file import write_run_file

TRAINING = ["images", "labels", "--out=m.safetensors"]
COMMANDS: list[tuple[type, click.Command, list[str], tuple[str, ...]]] = [
    (SegmentOptions, segment, ["in.zarr"], ()),
    (SegmentOptions, slurm, ["in.zarr"], ()),
    (ClusterSpec, segment, ["in.zarr"], ("client",)),
    (JobSpec, segment, ["in.zarr"], ("client", "job")),
    (ConvertOptions, convert, ["in.tif", "out.zarr"], ()),
    (TrainOptions, train, TRAINING, ()),
    (Recipe, train, TRAINING, ()),
    (EvaluateOptions, evaluate, ["found.zarr", "truth.zarr"], ()),
]


def parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    return command.make_context("it", [*words], **cli.context_settings).params


def drawn(kind: type, data: st.DataObject) -> Any:
    declared = {one.name: one for one in option_fields(kind) if one.name not in NOT_IN_FILES}
    names = data.draw(st.lists(st.sampled_from(list(declared)), min_size=1, max_size=3))
    others = {"kind": "slurm"} if kind is ClusterSpec else {}
    try:
        return kind(**others | {name: data.draw(field_values(declared[name])) for name in names})
    except BigUNetError:
        reject()


def write(path: Path, values: dict[str, Any], tables: tuple[str, ...] = ()) -> str:
    for name in reversed(tables):
        values = {name: values}
    path.write_text(toml_text(values, about=""), encoding="utf-8")
    return f"--config={path}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize(("kind", "command", "paths", "tables"), COMMANDS)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=15)
@given(data=st.data())
def test_a_file_means_the_options_that_were_written_and_words_win(
    folder: Path,
    kind: type,
    command: click.Command,
    paths: list[str],
    tables: tuple[str, ...],
    data: st.DataObject,
) -> None:
    filed, typed = drawn(kind, data), drawn(kind, data)
    given_file = write(folder / "run.toml", toml_values(filed), tables)
    assert described(kind, parsed(command, [*paths, given_file])) == filed
    both = {**toml_values(filed), **toml_values(typed)}
    try:
        together = kind(**both)
    except BigUNetError:
        reject()
    words = [*paths, *option_words(typed), given_file]
    assert described(kind, parsed(command, words)) == together
    assert described(kind, parsed(command, [words[0], given_file, *words[1:-1]])) == together


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blok_shape = [5]", "run.toml: unknown key 'blok_shape'; did you mean block_shape?"),
        ("block-shape = [5]", "unknown key 'block-shape'; did you mean block_shape?"),
        ("kind = 'threads'", "unknown key 'kind'; did you mean client.kind?"),
        ("[client]\nqueue = 'gpu'", "unknown key 'client.queue'; did you mean client.job.queue?"),
        ("qqq = 1", "unknown key 'qqq'; known: source, target, model, object_class"),
        ("block_shape = 512", "run.toml: block_shape is 512: give a tuple of whole numbers"),
        ("trust = true", "run.toml: trust is taken from the command line alone"),
        ("level = 1.5", "run.toml: level is 1.5: give a whole number"),
        ("tta = 1", "run.toml: tta is 1: give True or False"),
        ("precision = 'fp8'", "run.toml: unknown precision 'fp8'; known: auto, fp32"),
        ("memory_limit = '8'", "run.toml: memory_limit: '8' has no unit"),
        ("model = 5", "run.toml: model is 5; give a text"),
        ("roi = {x = [0, 'z']}", "run.toml: roi x is 'z': give voxels or a length"),
        ("target = 'out.zarr'", "run.toml has a target without a source; give both"),
        ("level", "run.toml is no TOML: Expected '='"),
        ("mask = 'a'\nmask = 'b'", "run.toml is no TOML: Cannot overwrite a value"),
    ],
)
def test_what_a_file_must_not_say_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(text)
    with pytest.raises(OptionError) as refused:
        parsed(segment, ["in.zarr", "--config", "run.toml"])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(OptionError, match=f"^cannot read {path}: "):
            parsed(segment, ["in.zarr", f"--config={path}"])
    binary = tmp_path / "in.png"
    binary.write_bytes(b"\x89PNG")
    with pytest.raises(OptionError, match=r"in.png is no TOML: 'utf-8' codec"):
        parsed(segment, ["in.zarr", f"--config={binary}"])


def test_paths_come_from_one_place(bigunet: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "run.toml", {"source": "in.zarr", "target": "out.zarr"})
    assert parsed(segment, [file])["sources"] == ("in.zarr", "out.zarr")
    assert parsed(segment, ["a.zarr", "b.zarr", file])["sources"] == ("a.zarr", "b.zarr")
    refused = bigunet("segment", "a.zarr", file)
    assert "Error: IN is on the command line, and OUT in " in refused.err
    assert (
        "--into is for images of the command line"
        in bigunet("segment", "--into", tmp_path / "results", file).err
    )
    assert "IN is on the command line, and OUT in" in bigunet("convert", "a.tif", file).err


def test_a_run_leaves_a_file_that_repeats_it(
    bigunet: Any,
    tmp_path: Path,
    tiny_model: Path,
    write_image: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "in.zarr", metadata={"scale": [0.5, 0.5]})
    words = ["--model", tiny_model, "--roi", "x=4um:24um", "--block-shape", "32,32", "--no-report"]
    words += ["--output", "instances", "--object-class", "1", "--table", "cells.csv"]
    assert bigunet("segment", "in.zarr", "out.zarr", *words).code == 0
    file = Path("out.zarr/bigunet/run.toml")
    asked = tomllib.loads(file.read_text())
    assert asked == {
        "source": "in.zarr",
        "target": "out.zarr",
        "model": str(tiny_model),
        "roi": {"x": ["4um", "24um"]},
        "block_shape": [32, 32],
        "no_report": True,
        "outputs": ["instances"],
        "object_class": "1",
        "table": "cells.csv",
    }
    before, table = contents(tmp_path / "out.zarr"), Path("cells.csv").read_bytes()
    Path("cells.csv").unlink()
    assert bigunet("segment", "--config", file, "--overwrite").code == 0
    assert contents(tmp_path / "out.zarr") == before
    assert tomllib.loads(file.read_text()) == asked
    assert Path("cells.csv").read_bytes() == table
    assert "already finished" in bigunet("segment", "--config", file, "--resume").err
    library.segment(**asked | {"target": "again.zarr"})
    assert contents(tmp_path / "again.zarr") == before
    assert "3 blocks" in bigunet("plan", "--config", file, "--no-measure", "--roi", "y=0:32").out


def test_no_file_stands_for_a_model_that_was_made_in_python(
    tmp_path: Path, tiny_model: Path
) -> None:
    loaded = library.load_model(tiny_model)
    made = replace(loaded, path="")
    (tmp_path / "bigunet").mkdir()
    for model, known in ((made, False), (loaded, True), ("nuclei", True)):
        write_run_file(tmp_path, "a.zarr", None, model=model, options=SegmentOptions())
        assert (tmp_path / "bigunet/run.toml").exists() == known
    assert tomllib.loads((tmp_path / "bigunet/run.toml").read_text()) == {"source": "a.zarr"}


def test_a_file_that_cannot_be_written_fails_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given: dict[str, Any] = {"model": "nuclei", "options": SegmentOptions()}
    write_run_file(tmp_path / "none", "a.zarr", None, **given)
    (tmp_path / "bigunet").mkdir()
    write_run_file(tmp_path, "\udce9.zarr", None, **given)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert not list((tmp_path / "bigunet").iterdir())


def test_the_file_in_the_docs_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/using.md").read_text()
    (tmp_path / "mine.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    params = parsed(segment, ["a.zarr", f"--config={tmp_path / 'mine.toml'}"])
    assert described(SegmentOptions, params).roi["x"] == (Length(10), Length(250))
    assert described(ClusterSpec, params, job=described(JobSpec, params)).workers == 2
