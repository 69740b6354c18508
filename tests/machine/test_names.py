"""Laws of names: what a system takes, and what it takes for the same."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PureWindowsPath

from hypothesis import example, given
from hypothesis import strategies as st

from bigunet.machine.names import name_as_seen, usable_name

names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1).filter(
    lambda name: "/" not in name and "\0" not in name
)
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in "0123456789")}


@given(names)
@example("slide: a.zarr")
@example("Aux.zarr")
@example("com1")
@example("a. ")
def test_windows_takes_each_usable_name(name: str) -> None:
    usable = usable_name(name, system="win32")
    assert not REFUSED.search(usable)
    assert usable[-1] not in ". "
    assert usable.split(".")[0].lower() not in DEVICES
    assert PureWindowsPath("folder", usable).parts == ("folder", usable)
    assert usable_name(usable, system="win32") == usable


@given(names)
def test_a_usable_name_of_windows_and_all_names_elsewhere_stay(name: str) -> None:
    assert usable_name(name, system="linux") == name_as_seen(name, system="linux") == name
    assert usable_name(name, system="darwin") == name
    if re.fullmatch(r"[\w-]+", name) and name.lower() not in DEVICES:
        assert usable_name(name, system="win32").endswith(name)


@given(names)
@example("\u03b1\u0345\u0301")
def test_macos_sees_one_name_however_its_accents_and_capitals_are_written(name: str) -> None:
    seen = name_as_seen(name, system="darwin")
    for form in ("NFC", "NFD"):
        assert name_as_seen(unicodedata.normalize(form, name), system="darwin") == seen
    assert name_as_seen(name.upper(), system="darwin") == name_as_seen(
        name.upper().lower(), system="darwin"
    )
