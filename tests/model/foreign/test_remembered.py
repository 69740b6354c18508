"""A network in a file is measured once; what is remembered holds only for what was measured."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bigunet import load_model
from bigunet.errors import BigUNetError
from bigunet.model import measured as measuring
from bigunet.model import remembered


@pytest.fixture
def probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The measurements that were made, with a cache folder that is empty."""
    made: list[Any] = []
    probe = measuring.probe

    def counted(*args: Any, **asked: Any) -> Any:
        made.append(asked)
        return probe(*args, **asked)

    monkeypatch.setenv("BIGUNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "probe", counted)
    return made


def saved(path: Path, kernel: int = 3, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(nn.Conv2d(1, 2, kernel), torch.zeros(1, 1, 32, 32)).save(str(path))
    return path


def test_a_file_is_measured_once(tmp_path: Path, probes: list[Any]) -> None:
    path = saved(tmp_path / "a.pt")
    first = load_model(path, trust=True)
    again = load_model(path, trust=True)
    assert len(probes) == 1
    assert (again.receptive_field, again.digest) == (first.receptive_field, first.digest)
    assert again.description == first.description
    assert (again.scores, again.exact) == (first.scores, first.exact)


def test_another_file_or_another_question_is_measured(
    tmp_path: Path, probes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.pt")
    assert load_model(path, trust=True).receptive_field.halo == (1, 1)
    assert load_model(path, trust=True, halo=(4,)).receptive_field.halo == (4, 4)
    assert load_model(saved(path, kernel=5), trust=True).receptive_field.halo == (2, 2)
    assert len(probes) == 3
    monkeypatch.setattr(remembered, "_code_digest", lambda: "other code")
    load_model(path, trust=True)
    assert len(probes) == 4


@pytest.mark.parametrize("kernels", [(3, 5), (5, 3)], ids=["it fails", "it runs"])
def test_what_does_not_fit_the_network_is_measured_again(
    kernels: tuple[int, int], tmp_path: Path, probes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same key for both files, as for weights that lie beside a file.
    monkeypatch.setattr("bigunet.model.foreign.opening.file_key", lambda *_, **asked: "a1")
    for kernel in kernels:
        model = load_model(saved(tmp_path / f"{kernel}.pt", kernel=kernel), trust=True)
        assert model.receptive_field.halo == (kernel // 2,) * 2
    assert len(probes) == 2


def test_a_file_still_needs_trust(tmp_path: Path, probes: list[Any]) -> None:
    path = saved(tmp_path / "a.pt")
    load_model(path, trust=True)
    with pytest.raises(BigUNetError, match="trust"):
        load_model(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"field": {"stride": 3}}', '{"field": 1}'])
def test_what_makes_no_sense_is_absent(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "recall", lambda *_: text)
    assert remembered.recall_measured("a1") is None
