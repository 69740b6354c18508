"""Laws of the user's cache folder: what is lost or damaged is absent, and it does not grow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigunet.machine import user_cache
from bigunet.machine.user_cache import cache_folder, keep, recall

keys = st.text("0123456789abcdef", min_size=1, max_size=64)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIGUNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@same_folder
@given(key=keys, other=keys, text=st.text(max_size=100))
def test_a_text_is_found_under_its_key_alone(folder: Path, key: str, other: str, text: str) -> None:
    keep("texts", key, text)
    assert recall("texts", key) == text
    assert recall("others", key) is None
    if other != key:
        (folder / "texts" / other).write_bytes((folder / "texts" / key).read_bytes())
        assert recall("texts", other) is None


@same_folder
@given(text=st.text(min_size=1, max_size=100), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_damaged_text_is_absent(folder: Path, text: str, place: int, bit: int) -> None:
    keep("texts", "a1", text)
    path = folder / "texts" / "a1"
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert recall("texts", "a1") is None
    path.write_bytes(content[: place % len(content)])
    assert recall("texts", "a1") is None


def test_the_oldest_texts_leave(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_cache, "_MOST_TEXTS", 3)
    for number in range(5):
        keep("texts", str(number), "a text")
        os.utime(folder / "texts" / str(number), (number, number))
    assert [recall("texts", str(n)) for n in range(5)] == [None, None, *["a text"] * 3]
    keep("texts", "long", "x" * 20_000)
    assert recall("texts", "long") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_folder_that_others_write_is_not_used(folder: Path) -> None:
    keep("texts", "a1", "a text")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert recall("texts", "a1") is None


def test_an_empty_variable_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BIGUNET_CACHE", "")
    keep("texts", "a1", "a text")
    assert recall("texts", "a1") is None
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("BIGUNET_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = cache_folder()
    assert found is not None
    assert tmp_path in found.parents
