"""Passwords and tokens of addresses open images, and are neither kept nor printed."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from bigunet_cli.words import print_json, shown
from distributed import Client
from support.web import served

from bigunet.events import Notice
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.plates import Plate

SECRETS = ("hunter2pw", "T0kenT0ken", "m4skt0ken")


class Closed:
    """A server that opens its image to one password or token alone, and its mask to another."""

    def __init__(self, folder: Path, url: str) -> None:
        host = url.removeprefix("http://")
        self.folder, self.plain = folder, f"http://{host}/in.zarr"
        self.image = f"http://ada:hunter2pw@{host}/in.zarr"
        self.signed = f"{self.plain}?X-Amz-Signature=T0kenT0ken&x=1"
        self.mask = f"http://{host}/mask.zarr?token=m4skt0ken"
        self.fails: list[str] = []


@pytest.fixture
def closed(tmp_path: Path, write_image: Any) -> Iterator[Closed]:
    write_image(tmp_path / "www/in.zarr", shape=(70, 60), chunks=(32, 32))
    zarr.create_array(tmp_path / "www/mask.zarr", data=np.ones((70, 60), "u1"), chunks=(70, 60))
    basic = "Basic " + base64.b64encode(b"ada:hunter2pw").decode()
    place: Closed

    def fault(path: str, headers: Any) -> tuple[int, dict[str, str], bytes] | None:
        opened = headers.get("Authorization") == basic or "T0kenT0ken" in path
        if path.startswith("/mask"):
            opened = "m4skt0ken" in path
        if not opened:
            return 401, {}, b""
        bad = any(path.startswith(f"/in.zarr/{name}") for name in place.fails)
        return (503, {}, b"") if bad else None

    with served(tmp_path / "www", fault) as url:
        place = Closed(tmp_path, url)
        yield place


def assert_no_secret(folder: Path, *printed: str) -> None:
    for text in printed:
        assert not any(secret in text for secret in SECRETS), text
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(secret.encode() in content for secret in SECRETS), path


@pytest.mark.parametrize("way", ["image", "signed"])
def test_a_run_keeps_and_prints_no_secret_and_goes_on_and_is_verified_with_another(
    closed: Closed, tiny_model: Path, bigunet: Any, client: Client, way: str
) -> None:
    out, report = closed.folder / "out", closed.folder / "page.html"
    given = ["--model", tiny_model, "--scheduler", client.scheduler.address]
    given += ["--block-shape", "32,32", "--mask", closed.mask]
    source = getattr(closed, way)
    closed.fails = ["0/1/1"]
    failed = bigunet("segment", source, out, *given)
    assert failed.code == 1
    assert len(failed.messages) == 1
    assert f"{closed.plain}/0/1/1: the server says 503" in failed.messages[0]
    assert "RuntimeError" not in failed.err
    debugged = bigunet("--debug", "segment", source, out, *given, "--resume")
    assert debugged.code == 1
    assert "Traceback" in debugged.err
    closed.fails = []
    # Signatures end, and other ones go on.
    other = closed.signed if way == "image" else closed.image
    done = bigunet("segment", other, out, *given, "--resume", "--json",
                   "--performance-report", report)  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["image"] == closed.plain
    assert done.json["mask"] == closed.mask.partition("?")[0]
    refused = bigunet("verify", source, out)
    assert refused.code == 1
    checked = bigunet("verify", source, out, "--mask", closed.mask, "--windows", 2, "--json")
    assert checked.code == 0, checked.err
    described = bigunet("info", source, "--json"), bigunet("plan", source, *given[:2], "--json")
    assert [one.json.get("path") or one.json["image"] for one in described] == [closed.plain] * 2
    runs = (failed, debugged, done, refused, checked, *described)
    assert_no_secret(out, report.read_text(), *(one.out + one.err for one in runs))


def test_notes_of_how_an_image_was_read_hold_no_secret(closed: Closed, bigunet: Any) -> None:
    group = zarr.open_group(closed.folder / "www/in.zarr")
    ome = group.attrs.asdict().get("ome", group.attrs.asdict())
    (entry,) = ome["multiscales"]
    both = {"multiscales": [entry, entry]}
    group.attrs.update({"ome": ome | both} if "ome" in group.attrs else both)
    (note,) = open_multiscale(closed.image).notes
    assert note.startswith(f"{closed.plain} has 2 multiscales")
    assert Plate(closed.signed, (), ("A/1",)).notes == (
        f"{closed.plain} lists 1 well that is not stored: A/1",
    )
    described = [bigunet("info", closed.signed, *more) for more in ((), ("--json",))]
    assert described[1].json["warnings"] == [note]
    assert_no_secret(closed.folder / "out", *(one.out + one.err for one in described))


def test_events_and_printed_data_are_stripped_of_secrets(capsys: Any) -> None:
    line = "Warning: http://me:hunter2pw@host/two.zarr?token=T0kenT0ken has 2 multiscales"
    plain = "Warning: http://host/two.zarr has 2 multiscales"
    assert Notice(line).text == plain
    assert shown({"a": [line, 3, {"b": (line, None)}]}) == {"a": [plain, 3, {"b": [plain, None]}]}
    print_json({"warnings": [line]})
    assert json.loads(capsys.readouterr().out) == {"warnings": [plain]}


def test_a_job_script_with_a_secret_is_refused(
    closed: Closed, tiny_model: Path, bigunet: Any
) -> None:
    for source, more in ((closed.signed, []), ("in.zarr", ["--mask", closed.mask])):
        outcome = bigunet("jobs", "slurm", source, closed.folder / "out", "--model", tiny_model,
                        *more)  # fmt: skip
        assert outcome.code == 1
        assert "script would hold the password or token" in outcome.err
        assert_no_secret(closed.folder / "out", outcome.out, outcome.err)


def test_a_zipped_image_is_segmented_like_its_folder_and_takes_no_labels(
    tmp_path: Path, tiny_model: Path, write_image: Any, bigunet: Any, client: Client
) -> None:
    write_image(tmp_path / "in.zarr", shape=(70, 60), chunks=(32, 32))
    with zipfile.ZipFile(tmp_path / "in.zarr.zip", "w") as archive:
        for path in (tmp_path / "in.zarr").rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    mask = tmp_path / "mask.zip"
    zarr.save_array(zarr.storage.ZipStore(mask, mode="w"), np.eye(70, 60, 9, "u1") + 1)
    labels = []
    for name in ("in.zarr", "in.zarr.zip"):
        given = ["--model", tiny_model, "--scheduler", client.scheduler.address, "--mask", mask]
        out = tmp_path / f"{name}-out"
        assert bigunet("segment", tmp_path / name, out, *given).code == 0
        assert bigunet("verify", tmp_path / name, out, "--windows", 2).code == 0
        labels.append(np.asarray(zarr.open_group(out, mode="r")["labels/classes/0"]))
    assert labels[0].any()
    np.testing.assert_array_equal(*labels)
    refused = bigunet("segment", tmp_path / "in.zarr.zip", "--model", tiny_model)
    assert (refused.code, len(refused.messages)) == (1, 1)
    assert "give an OUT" in refused.err
    assert json.loads(bigunet("info", tmp_path / "in.zarr.zip", "--json").out)["kind"] == "image"
