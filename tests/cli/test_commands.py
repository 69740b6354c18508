"""What each command prints and leaves with when all goes well, and what `verify` finds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from distributed import Client

import bigunet as library

KEYS = {
    "shape",
    "blocks",
    "halo",
    "stride",
    "tile",
    "recompute",
    "seconds",
    "megapixels_per_second",
    "peak_memory_bytes",
    "device",
    "precision",
    "backend",
    "model",
    "normalisation",
    "dashboard",
}
COMMANDS = [
    "segment",
    "plan",
    "verify",
    "train",
    "evaluate",
    "info",
    "models",
    "jobs",
    "demo",
    "measure",
]


class Finished:
    """An image and its output, to be copied before it is changed."""

    def __init__(self, folder: Path) -> None:
        self.image, self.output = folder / "in.zarr", folder / "out.zarr"


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, write_image: Any, client: Client
) -> Finished:
    place = Finished(tmp_path_factory.mktemp("finished"))
    write_image(place.image, "tyx", shape=(2, 200, 140), chunks=(1, 64, 64))
    options = library.SegmentOptions(block_shape=(64, 64))
    library.segment(place.image, place.output, model=tiny_model, options=options, client=client)
    return place


def test_json_is_one_object_and_nothing_else_and_no_process_is_left(
    bigunet_process: Any, tmp_path: Path, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    before = {p.pid for p in psutil.process_iter()}
    outcome = bigunet_process(
        *["segment", tmp_path / "in.zarr", tmp_path / "out.zarr", "--model", tiny_model, "--json"],
        *["--cluster", "local"],
    )
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report.keys() >= KEYS
    assert report["shape"] == [90, 70]
    assert report["device"] == "cpu"
    assert report["dashboard"].startswith("http://127.0.0.1:")
    assert report["peak_memory_bytes"] > 50_000_000
    panel = report["dashboard"].replace("/status", "/bigunet")
    assert f"dashboard: {report['dashboard']}, map: {panel}" in outcome.err.splitlines()
    left = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    assert not [p for p in left if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


def test_quiet_says_nothing_and_leaves_the_same_voxels(
    bigunet: Any, tmp_path: Path, tiny_model: Path, finished: Finished, client: Client
) -> None:
    given = ["--model", tiny_model, "--scheduler", client.scheduler.address, "--quiet"]
    outcome = bigunet("segment", finished.image, tmp_path / "out.zarr", *given)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    labels, expected = (
        np.asarray(zarr.open_group(path, mode="r")["labels/classes/0"])
        for path in (tmp_path / "out.zarr", finished.output)
    )
    np.testing.assert_array_equal(labels, expected)


def test_resuming_a_finished_output_does_nothing(
    bigunet: Any, finished: Finished, tiny_model: Path, client: Client
) -> None:
    given = ["--model", tiny_model, "--scheduler", client.scheduler.address]
    given += ["--block-shape", "64,64", "--resume", "--json"]
    outcome = bigunet("segment", finished.image, finished.output, *given)
    assert outcome.code == 0
    assert outcome.json["blocks_done"] == 0
    assert outcome.json["blocks"] == 24
    assert sum(outcome.json["class_shares"].values()) == pytest.approx(1)


def test_people_get_a_summary_on_stderr(
    bigunet: Any, finished: Finished, tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    given = ["--model", tiny_model, "--scheduler", client.scheduler.address]
    outcome = bigunet("segment", finished.image, tmp_path / "out.zarr", *given)
    assert outcome.out == ""
    assert "2 × 200 × 140 voxels (t, y, x)" in outcome.err
    assert str(tmp_path / "out.zarr") in outcome.err


def test_a_plan_says_what_the_run_will_report(
    bigunet: Any, finished: Finished, tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    given = ["--model", tiny_model, "--json", "--roi", "y=10:150", "--block-shape", "64,64"]
    planned = bigunet("plan", finished.image, *given, "--no-measure")
    assert planned.code == 0
    target = [finished.image, tmp_path / "out.zarr"]
    run = bigunet("segment", *target, *given, "--scheduler", client.scheduler.address)
    assert {name: run.json[name] for name in planned.json} == planned.json
    assert planned.json["shape"] == [2, 140, 140]
    assert planned.json["recompute"] > 1


def test_a_plan_reads_no_voxel(bigunet: Any, tmp_path: Path, tiny_model: Path) -> None:
    huge = zarr.create_array(
        tmp_path / "huge.zarr", shape=(900_000, 900_000), chunks=(1024, 1024), dtype="uint16"
    )
    assert huge.size == 810_000_000_000
    planned = bigunet("plan", tmp_path / "huge.zarr", "--model", tiny_model, "--json").json
    assert planned["blocks"] == 220**2
    words = bigunet("plan", tmp_path / "huge.zarr", "--model", tiny_model).out
    assert "TB" in words


def test_info_tells_an_image(bigunet: Any, tmp_path: Path, write_image: Any) -> None:
    metadata = {"channels": ["DAPI", "GFP"], "scale": [1.0, 0.5, 0.25]}
    write_image(tmp_path / "in.zarr", "cyx", version="0.5", metadata=metadata)
    info = bigunet("info", tmp_path / "in.zarr", "--json").json
    assert info["kind"] == "image"
    assert info["ome_version"] == "0.5"
    assert info["channels"] == ["DAPI", "GFP"]
    assert info["levels"][0]["scale"] == [1.0, 0.5, 0.25]
    words = bigunet("info", tmp_path / "in.zarr").out
    assert "channels: DAPI, GFP" in words
    assert "2 × 90 × 70" in words


def test_info_tells_a_model(bigunet: Any, tiny_model: Path) -> None:
    info = bigunet("info", tiny_model, "--json").json
    assert (info["kind"], info["name"]) == ("model", "tiny")
    assert (info["halo"], info["stride"], info["border"]) == ([20, 20], [4, 4], "valid")
    assert "stain 0" in bigunet("info", tiny_model).out


def test_info_tells_extents_ranges_and_lists_apart(bigunet: Any) -> None:
    text = bigunet("info", "nuclei", "--full").out
    assert "halo: 44 × 44" in text
    assert "gamma: 0.7 to 1.4" in text
    assert "scale: 0.8 to 1.25" in text
    assert re.search(r"class_weights: [0-9.]+, [0-9.]+, [0-9.]+\n", text)


def test_info_tells_the_card_of_a_model_first_and_its_history_on_request(bigunet: Any) -> None:
    short, full = (bigunet("info", "nuclei", *words).out for words in ((), ("--full",)))
    assert short.splitlines()[:3] == ["kind: model", "name: nuclei", "card:"]
    assert len(short.splitlines()) < 60
    assert re.search(r"\ntraining: 6000 steps on 389 images in 75 minutes; .*--full prints", short)
    assert full.splitlines()[:3] == short.splitlines()[:3]
    assert "\n  begun_from:\n" in full
    assert set(short.splitlines()) - set(full.splitlines()) == {short.splitlines()[-1]}


def test_info_leaves_out_options_of_an_output_that_were_not_given(
    bigunet: Any, finished: Finished
) -> None:
    short, full = (bigunet("info", finished.output, *words).out for words in ((), ("--full",)))
    assert "    block_shape: 1 × 64 × 64\n" in short
    assert ("    smallest: none\n" in full, "smallest" in short) == (True, False)
    assert ("    level: 0\n" in full, "    level: 0\n" in short) == (True, False)
    assert "none" not in short.partition("\nmade:\n")[2]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nuclei", "connected nucleus of 12 or more voxels, grown by 1 voxel into border"),
        ("em-boundaries", "none; --object-class names the class that is numbered"),
    ],
)
def test_info_says_in_one_line_what_the_objects_of_a_model_are(
    bigunet: Any, name: str, line: str
) -> None:
    assert f"\nobjects: {line}\n" in bigunet("info", name).out
    described = library.load_model(name).description.to_dict()
    assert bigunet("info", name, "--json").json.get("objects") == described.get("objects")


def test_a_summary_counts_one_block(
    bigunet: Any, tmp_path: Path, tiny_model: Path, write_image: Any, client: Client
) -> None:
    write_image(tmp_path / "in.zarr")
    given = ["--model", tiny_model, "--scheduler", client.scheduler.address]
    text = bigunet("segment", tmp_path / "in.zarr", tmp_path / "out.zarr", *given).err
    assert " in 1 block: " in text


def test_info_tells_a_finished_output_from_an_unfinished_one(
    bigunet: Any, finished: Finished, tmp_path: Path
) -> None:
    info = bigunet("info", finished.output, "--json").json
    assert info["kind"] == "output"
    assert info["made"]["model"]["name"] == "tiny"
    assert info["report"]["blocks"] == 24
    begun = tmp_path / "begun.zarr/bigunet"
    begun.mkdir(parents=True)
    whole = (finished.output / "bigunet/ledger.jsonl").read_bytes().splitlines(keepends=True)
    (begun / "ledger.jsonl").write_bytes(b"".join(whole[:8]) + whole[8][:5])
    unfinished = bigunet("info", begun.parent, "--json").json
    assert unfinished["kind"] == "unfinished output"
    assert unfinished["blocks_done"] == {"segment": 7}


def test_info_tells_a_plate_and_its_fields(
    bigunet: Any, tmp_path: Path, write_image: Any, tiny_model: Path
) -> None:
    path = tmp_path / "plate.zarr"
    plate = zarr.open_group(path, mode="w", zarr_format=2)
    plate.attrs["plate"] = {
        "version": "0.4",
        "rows": [{"name": "A"}],
        "columns": [{"name": "1"}],
        "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
    }
    plate.create_group("A").create_group("1").attrs["well"] = {"images": [{"path": "0"}]}
    write_image(path / "A/1/0")
    info = bigunet("info", path, "--json").json
    assert (info["kind"], info["fields"]) == ("plate", ["A/1/0"])
    refused = bigunet("segment", path, tmp_path / "out.zarr", "--model", tiny_model)
    assert refused.code == 1
    assert "A/1/0" in refused.messages[0]
    assert bigunet("info", path / "A/1/0", "--json").json["kind"] == "image"


def test_verify_passes_what_segment_wrote(bigunet: Any, finished: Finished) -> None:
    outcome = bigunet("verify", finished.image, finished.output, "--json", "--windows", 4)
    assert outcome.code == 0
    assert outcome.json["passed"] is True
    assert (outcome.json["windows"], outcome.json["labels_wrong"]) == (4, 0)
    assert outcome.json["max_difference"] <= outcome.json["tolerance"] == 1e-4
    assert "0 beyond rounding" in bigunet("verify", finished.image, finished.output).out


def test_verify_finds_a_stored_block_of_other_labels(
    bigunet: Any, finished: Finished, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    shutil.copytree(finished.output, output)
    labels = zarr.open_array(output / "labels/classes/0", mode="r+")
    labels[:, 64:128, 64:128] = (np.asarray(labels[:, 64:128, 64:128]) + 1) % 3
    outcome = bigunet("verify", finished.image, output, "--json", "--windows", 8)
    assert outcome.code == 1
    assert outcome.json["passed"] is False
    assert outcome.json["labels_wrong"] > 0
    assert outcome.messages == [line for line in outcome.messages if line.startswith("Error: ")]
    assert len(outcome.messages) == 1


def test_verify_refuses_another_image_or_model(
    bigunet: Any, finished: Finished, tmp_path: Path, write_image: Any, write_model: Any
) -> None:
    write_image(tmp_path / "other.zarr", "tyx", shape=(2, 100, 100))
    other = bigunet("verify", tmp_path / "other.zarr", finished.output)
    assert (other.code, len(other.messages)) == (1, 1)
    assert "another image" in other.messages[0]
    model = write_model(tmp_path / "wide.safetensors", width=5)
    wrong = bigunet("verify", finished.image, finished.output, "--model", model)
    assert wrong.code == 1
    assert "another version of model" in wrong.messages[0]


def test_models_lists_what_is_bundled(bigunet: Any) -> None:
    listed = bigunet("models", "--json").json
    assert listed.keys() == set(library_models())
    words = bigunet("models")
    assert words.code == 0
    assert all(name in words.out for name in listed)


def library_models() -> list[str]:
    folder = Path(library.__file__).parent / "bundled"
    return [path.stem for path in folder.glob("*.safetensors")]


def test_every_command_explains_itself(bigunet: Any) -> None:
    listed = bigunet("--help")
    assert listed.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in listed.out
        explained = bigunet(command, "--help")
        assert explained.code == 0
        assert f"Usage: bigunet {command}" in explained.out
        assert bigunet(command, "-h") == explained
    version = bigunet("--version")
    assert (version.code, library.__version__ in version.out) == (0, True)
