"""``--tta`` reaches segment and plan, and verify knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed import Client


def test_tta_is_an_option_of_segment_and_plan_and_verify_needs_none(
    bigunet: Any, tiny_model: Path, write_image: Any, client: Client, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_image(source)
    workers = ("--scheduler", client.scheduler.address)
    done = bigunet(
        "segment", source, target, "--model", tiny_model, "--tta", "--json", "--quiet", *workers
    )
    assert (done.code, done.json["turns"]) == (0, 8)
    info = bigunet("info", target, "--json").json
    assert (info["made"]["options"]["tta"], info["made"]["turns"]) == (True, 8)
    planned = bigunet("plan", source, "--model", tiny_model, "--tta", "--json").json
    once = bigunet("plan", source, "--model", tiny_model, "--json").json
    assert (planned["turns"], once["turns"]) == (8, 1)
    assert planned["flops"] == 8 * once["flops"]
    assert bigunet("verify", source, target, "--windows", 2, "--json").json["passed"]


def test_help_says_what_tta_costs(bigunet: Any) -> None:
    for command in ("segment", "plan"):
        assert "8 times the work" in " ".join(bigunet(command, "--help").out.split())
