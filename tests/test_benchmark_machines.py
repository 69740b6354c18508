"""Which precisions a processor has, and where its results lie."""

from __future__ import annotations

import json
import time
from pathlib import Path

import contenders
import peak
import processor
import pytest
import table
from hypothesis import given
from hypothesis import strategies as st
from loads import LOADS
from result_files import KINDS, machines
from side_by_side import side_by_side

_FLAGS = st.sets(st.sampled_from((*processor.FLAGS, "amx_fp16"))).map(tuple)


def test_a_processor_with_avx2_alone_multiplies_neither_in_bf16_nor_in_fp16() -> None:
    assert processor.precisions("cpu", ("avx2",)) == ("fp32", "int8")
    assert processor.peak_precision("bf16", "cpu", ("avx2",)) == "fp32"


@given(_FLAGS)
def test_each_precision_needs_an_instruction_set_except_for_fp32(flags: tuple[str, ...]) -> None:
    native = processor.precisions("cpu", flags)
    assert native[0] == "fp32"
    assert ("bf16" in native) == any(flag.endswith("bf16") for flag in flags)
    assert ("fp16" in native) == any(flag.endswith("fp16") for flag in flags)
    assert all(processor.peak_precision(name, "cpu", flags) == name for name in native)


@given(_FLAGS, st.text("AMDIntelXeon(R)- 0123456789", min_size=1).filter(str.strip))
def test_the_folder_of_a_processor_tells_its_kind_and_is_a_plain_name(
    flags: tuple[str, ...], model: str
) -> None:
    name = f"{model.replace(' (', '-')} ({', '.join(flags)})"
    kind, folder = processor.kind_of(name), processor.folder_name(name)
    assert kind in KINDS
    assert folder.endswith(kind.lower())
    assert Path(folder).name == folder.lower() == folder
    assert all(letter.isalnum() or letter == "-" for letter in folder)


def test_the_instruction_sets_come_from_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: A CPU\nflags\t\t: fpu avx2 avx512f avx512_bf16 sse\n")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert processor.cpu_model(path) == "A CPU (avx2, avx512f, avx512_bf16)"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert processor.cpu_flags(path) == ("avx2",)
    monkeypatch.setattr(processor, "native_precision", lambda device: "bf16")
    assert processor.usual_precision("cpu") == "fp32"
    held = processor.cpu_model(path)
    assert held == "A CPU (avx2; torch held to AVX2)"
    assert processor.folder_name(held) == "a-cpu-avx2-held"
    assert processor.cpu_flags(tmp_path / "missing") == ()


class _Slow:
    """A product that takes a time that grows with the cube of its side."""

    def __init__(self) -> None:
        self.sides: list[int] = []

    def __call__(self, side: int):
        self.sides.append(side)
        return lambda: time.sleep(0.01 * (side / 256) ** 3)


def test_a_device_that_imitates_a_precision_is_not_asked_for_large_products() -> None:
    slow = _Slow()
    begun = time.thread_time()
    rate = peak._grow(slow, 0.5, None, "cpu")
    assert slow.sides in ([256], [256, 512])
    assert 0 < rate <= 2 * 256**3 / 0.01
    assert time.thread_time() - begun < 0.5


def test_bigunet_itself_is_compared_in_each_precision_that_the_processor_and_bigunet_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contenders, "precisions", lambda device: ("fp32", "bf16", "tf32"))
    monkeypatch.setattr(contenders, "find_spec", lambda name: object())
    expected = ["bigunet:fp32:auto", "bigunet:bf16:auto"]
    assert contenders.own_variants("cpu") == [*expected, "bigunet:fp32:winograd"]
    assert contenders.own_variants("cuda") == expected
    load = LOADS["tiny"]
    parsed = [contenders.Contender.parse(text, load).name for text in expected]
    assert parsed == expected
    assert contenders.Contender.parse("window", load).name == "window:fp32:512"
    assert contenders.Contender.parse("torch-em", load).name == "torch-em:bf16:1024"


def test_results_stand_side_by_side_with_one_column_for_each_processor(tmp_path: Path) -> None:
    names = ["NVIDIA H200", "A (avx2, avx512f, avx512_bf16)", "B (avx2)"]
    for number, name in enumerate(names, start=1):
        folder = tmp_path / processor.folder_name(name)
        folder.mkdir()
        one = {"load": "paper", "device": name, "precision": "fp32", "backend": "torch"}
        figures = [one | {"microseconds_per_voxel": {"1": 9.0, "2": float(number)}}]
        figures.append({"device": name, "threads": 2, "flops": {"fp32": 1e12}, "copy_bytes": 1e9})
        figures.append({"device": name, "threads": 3, "flops": {"fp32": 9e11}, "copy_bytes": None})
        (folder / "any.json").write_text(json.dumps(figures))
    (tmp_path / "other").mkdir()
    head, rows = side_by_side(machines(tmp_path))
    assert head[2:] == ("B, AVX2", "A, AVX512-BF16", "NVIDIA H200, GPU")
    assert ("paper", "forward pass, torch fp32", "3", "2", "1") in rows
    table.write_table(tmp_path)
    assert "| NVIDIA H200 | 2 | 1 |" in (tmp_path / "table.md").read_text()
