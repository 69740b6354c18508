"""Looks at a page in a real browser without a window: Debian's chromium, over its DevTools."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_SECONDS = 60
# The processor draws what a graphics card would.
_WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@dataclass(frozen=True)
class Look:
    """How a page is looked at: width in pixels, light or dark, on a screen or in print."""

    width: int
    scheme: str = "light"
    media: str = "screen"


@dataclass
class Seen:
    """What the browser shows.

    Parameters
    ----------
    scroll_width : int
        Width of the content, in pixels; more than that of the window if something sticks out.
    picture : ndarray of uint8, (y, x, 3)
        The whole page.
    broken : int
        Pictures that could not be decoded.
    paper : str
        Colour behind the text.
    """

    scroll_width: int
    picture: np.ndarray
    broken: int
    paper: str


_ASK = """JSON.stringify([document.documentElement.scrollWidth,
document.documentElement.scrollHeight, [...document.images].filter(i => !i.naturalWidth).length,
getComputedStyle(document.body).backgroundColor])"""


@dataclass
class _Tab:
    socket: aiohttp.ClientWebSocketResponse
    messages: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=itertools.count)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self.socket.receive(timeout=_SECONDS)).data)
            if answer.get("id") == number:
                return dict(answer["result"])
            self._note(answer)

    async def wait_for(self, event: str) -> None:
        while True:
            answer = json.loads((await self.socket.receive(timeout=_SECONDS)).data)
            self._note(answer)
            if answer.get("method") == event:
                return

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") in (
            "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled",
        ):  # fmt: skip
            self.messages.append(json.dumps(event["params"]))


def look_at(page: Path, looks: list[Look], folder: Path) -> tuple[list[Seen], list[str]]:
    """What a browser shows of a page, and all that it wrote to its console.

    Parameters
    ----------
    page : Path
    looks : list of Look
    folder : Path
        Where the browser keeps its files.
    """
    return asyncio.run(_look_at(page, looks, folder))


async def _look_at(page: Path, looks: list[Look], folder: Path) -> tuple[list[Seen], list[str]]:
    async with _tab(folder) as tab:
        for domain in ("Page", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        await tab.call("Page.navigate", url=page.as_uri())
        await tab.wait_for("Page.loadEventFired")
        return [await _seen(tab, look) for look in looks], tab.messages


async def _seen(tab: _Tab, look: Look) -> Seen:
    scheme = [{"name": "prefers-color-scheme", "value": look.scheme}]
    size = {"width": look.width, "height": 800, "deviceScaleFactor": 1, "mobile": look.width < 600}
    await tab.call("Emulation.setDeviceMetricsOverride", **size)
    await tab.call("Emulation.setEmulatedMedia", media=look.media, features=scheme)
    answer = await tab.call("Runtime.evaluate", expression=_ASK)
    scroll_width, height, broken, paper = json.loads(answer["result"]["value"])
    clip = {"x": 0, "y": 0, "width": look.width, "height": height, "scale": 1}
    shot = await tab.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    return Seen(scroll_width, _picture(shot["data"]), broken, paper)


def look_at_canvas(
    url: str,
    folder: Path,
    *,
    ready: str,
    size: tuple[int, int] = (1000, 700),
    then: Sequence[str] = (),
) -> tuple[list[np.ndarray], list[str]]:
    """What a browser shows of a page that draws with WebGL, and what it wrote to its console.

    Parameters
    ----------
    url : str
    folder : Path
        Where the browser keeps its files.
    ready : str
        An expression of JavaScript that is true when the page is drawn.
    size : (int, int)
        Width and height of the window, in pixels.
    then : sequence of str
        Expressions, which may be promises, to evaluate one by one. A picture follows each, and one
        precedes them.
    """
    return asyncio.run(_look_at_canvas(url, folder, ready, size, then))


async def _look_at_canvas(
    url: str, folder: Path, ready: str, size: tuple[int, int], then: Sequence[str]
) -> tuple[list[np.ndarray], list[str]]:
    async with _tab(folder, _WEBGL) as tab:
        for domain in ("Page", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await tab.call("Emulation.setDeviceMetricsOverride", **metrics)
        await tab.call("Page.navigate", url=url)
        await tab.wait_for("Page.loadEventFired")
        pictures = []
        for expression in ("0", *then):
            waiting = {"expression": expression, "awaitPromise": True}
            await tab.call("Runtime.evaluate", **waiting)
            await _until(tab, ready)
            shot = await tab.call("Page.captureScreenshot")
            pictures.append(_picture(shot["data"]))
        return pictures, tab.messages


async def _until(tab: _Tab, ready: str) -> None:
    for _ in range(_SECONDS * 5):
        answer = await tab.call("Runtime.evaluate", expression=f"Boolean({ready})")
        if answer["result"].get("value") is True:
            return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"the page is not ready: {ready}; {tab.messages}")


def _picture(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))


@contextlib.asynccontextmanager
async def _tab(folder: Path, flags: Sequence[str] = ("--disable-gpu",)) -> AsyncIterator[_Tab]:
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless=new", *flags, "--hide-scrollbars", "--no-first-run"]
    words += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    # Chromium does not run as root in its sandbox.
    words += ["--no-sandbox"] if os.geteuid() == 0 else []
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as browser:
        try:
            assert browser.stderr is not None
            host = next(
                found[1]
                for line in browser.stderr
                if (found := re.search(r"listening on ws://([^/]+)/", line))
            )
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://{host}/json") as answer:
                    tabs = [one for one in await answer.json() if one["type"] == "page"]
                address = tabs[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    yield _Tab(socket)
        finally:
            browser.terminate()
