"""How a page is opened in the browser of this machine."""

import re
import webbrowser
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from bigunet_cli.page_options import show_page

URL = "http://127.0.0.1:5000/v/secret-token/?a=1&b=2"


def test_the_token_is_in_a_file_of_this_user_and_not_in_the_arguments_of_the_browser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setenv("BROWSER", "a-browser")
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))
    show_page(URL, no_browser=False)
    (address,) = opened
    assert "secret" not in address
    page = Path(url2pathname(urlparse(address).path))
    assert page.parent.stat().st_mode & 0o077 == 0
    assert "url=http://127.0.0.1:5000/v/secret-token/?a=1&amp;b=2" in page.read_text()
    assert capsys.readouterr().out == f"{URL}\n"


def test_without_a_browser_the_address_is_printed_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("opened"))
    show_page(URL, no_browser=True)
    assert re.fullmatch(r"http\S+\n", capsys.readouterr().out)
