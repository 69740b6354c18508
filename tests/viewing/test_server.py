"""The server: no byte without the token, and each byte with it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bigunet.errors import ImageError, OptionError
from bigunet.viewing.server import ViewerServer

BODY = b"0123456789"


class Keys:
    """One key, and one that cannot be read."""

    def get(self, key: str) -> bytes | None:
        if key == "broken":
            raise ImageError("the disk is gone; mount it")
        return {"a/b": BODY, "empty": b""}.get(key)


@pytest.fixture(scope="module")
def server() -> Iterator[ViewerServer]:
    with ViewerServer() as server:
        server.serve("keys", Keys())
        yield server


def ask(
    server: ViewerServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def path_of(server: ViewerServer, key: str, name: str = "keys") -> str:
    return urlsplit(server.serve("keys", Keys()) + "/" + key).path.replace("/keys/", f"/{name}/")


def test_a_key_has_its_bytes_and_another_key_is_404(server: ViewerServer) -> None:
    assert ask(server, path_of(server, "a/b"))[:2] == (200, BODY)
    assert ask(server, path_of(server, "empty"))[:2] == (200, b"")
    assert ask(server, path_of(server, "a/c"))[0] == 404
    assert ask(server, path_of(server, "a/b", name="others"))[0] == 404


def test_a_number_behind_the_name_changes_the_address_only(server: ViewerServer) -> None:
    assert ask(server, path_of(server, "a/b", name="keys@17"))[:2] == (200, BODY)


def test_ranges_and_heads_are_answered(server: ViewerServer) -> None:
    status, content, headers = ask(server, path_of(server, "a/b"), Range="bytes=2-4")
    assert (status, content, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    status, content, headers = ask(server, path_of(server, "a/b"), Range="bytes=10-")
    assert (status, content, headers["Content-Range"]) == (416, b"", "bytes */10")
    status, content, headers = ask(server, path_of(server, "a/b"), "HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", "10")
    assert ask(server, path_of(server, "a/c"), "HEAD")[0] == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/data", "/data/", "/data/keys/a/b", "/data/wrong/keys/a/b", "/data/ü/keys/a/b"]
)
def test_nothing_is_served_without_the_token(server: ViewerServer, path: str, method: str) -> None:
    path = path.replace("ü", "%C3%BC")
    status, content, _ = ask(server, path, method)
    assert status == 403 or (method in ("POST", "OPTIONS") and status == 405)
    assert BODY not in content


@pytest.mark.parametrize(
    "key", ["../../../../etc/passwd", "..%2f..%2f..%2fetc/passwd", "%2Fetc%2Fpasswd", "a/b/../b"]
)
def test_no_key_leaves_the_object(server: ViewerServer, key: str) -> None:
    status, content, _ = ask(server, path_of(server, "") + key)
    assert (status, content) in ((404, b""), (403, b""))


def test_no_other_page_of_the_browser_may_read(server: ViewerServer) -> None:
    _, _, headers = ask(server, path_of(server, "a/b"), Origin="http://elsewhere.org")
    assert not any(name.lower().startswith("access-control") for name in headers)


def test_a_failure_is_one_line(server: ViewerServer) -> None:
    assert ask(server, path_of(server, "broken"))[:2] == (500, b"the disk is gone; mount it")


def test_the_page_needs_its_token_and_is_of_this_machine(server: ViewerServer) -> None:
    page = urlsplit(server.url).path
    status, content, _ = ask(server, page)
    assert (status, b"neuroglancer" in content) == (200, True)
    assert ask(server, page[:-2] + "x/")[0] == 404
    assert ask(server, "/")[0] == 404
    assert ask(server, "/favicon.ico")[:2] == (204, b"")
    assert server.url.startswith("http://127.0.0.1:")


def test_each_server_has_another_token() -> None:
    with ViewerServer() as one, ViewerServer() as other:
        assert urlsplit(one.url).path != urlsplit(other.url).path


def test_the_state_changes_in_one_step() -> None:
    with ViewerServer() as server:
        server.show({"number": 0})
        threads = [threading.Thread(target=_count, args=(server,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.state == {"number": 40}


def _count(server: ViewerServer) -> None:
    for _ in range(10):
        server.change(lambda state: state | {"number": state["number"] + 1})


def test_a_port_that_is_taken_or_none_is_refused(server: ViewerServer) -> None:
    with pytest.raises(OptionError, match=f"port {server.port}: .*; give another --port"):
        ViewerServer(port=server.port)
    with pytest.raises(OptionError, match="port 70000: give a number from 1 to 65535"):
        ViewerServer(port=70000)
