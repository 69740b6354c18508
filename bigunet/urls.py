"""Addresses as text: which ones are URLs, how to join them, and which part may be shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

# A scheme, or several of them that fsspec chains: ``simplecache::s3://``.
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?:::[A-Za-z][\w+.-]*)*://")
_DRIVE = re.compile(r"/(?=[A-Za-z]:(?:/|$))")
_FILE = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
# A query with a value may hold a secret. A question mark without one may be part of a key in an
# object store.
_QUERY = re.compile(r"[?#].*?[\w\]%.-]+=.*", re.DOTALL)
# A quote ends an address, unless it goes on behind it.
_IN_TEXT = re.compile(
    r"""[A-Za-z][\w+.-]*://(?:[^\s/?#]*@)?(?:[^\s'"<>`|\\^{}]|['"](?=[\w%&=]))+"""
)
# Characters that end a sentence or a bracket around an address.
_AFTER = re.compile(r"[)\],.;:]+$")
# A password that holds a slash or the like: no port number stands before it, and an @ after it.
_BARE = re.compile(r"(?<=://)(?:[^/?#@\s]*:(?!\d*(?:[/?#]|$))[^/?#@\]]*[/?#].*|[^/?#]*\s[^/?#]*)@")


def is_url(text: str) -> bool:
    """Whether this is a URL and not a local path.

    >>> is_url("https://host/a.zarr"), is_url("/data/a::b.zarr"), is_url("a://b/c")
    (True, False, True)
    """
    return _SCHEME.match(text) is not None


def local_path(url: str) -> str | None:
    """The path that a ``file:`` URL or a plain path names; None for other URLs.

    ``%20`` in a ``file:`` URL is a space, and ``~`` is the home folder, unless a file has exactly
    that name.
    """
    named = _FILE.match(url)
    if named is not None:
        # On Windows, file:///C:/a is C:/a.
        plain = (
            _DRIVE.sub("", url[named.end() :], count=1) if os.name == "nt" else url[named.end() :]
        )
        return plain if os.path.lexists(plain) else unquote(plain)
    if is_url(url):
        return None
    return os.path.expanduser(url) if url.startswith("~") and not os.path.lexists(url) else url


def with_slashes(path: str) -> str:
    """A local path with slashes between its folders, which Windows takes as well as backslashes."""
    return path.replace(os.sep, "/")


def has_bare_secret(url: str) -> bool:
    """Whether the user or password of a URL holds characters that must be escaped.

    >>> has_bare_secret("https://me:a/b@host/x"), has_bare_secret("https://host:80/x@y")
    (True, False)
    """
    return is_url(url) and _BARE.search(url) is not None


def lacks_host(url: str) -> bool:
    """Whether a URL of a server or an object store names no host and no bucket.

    >>> [lacks_host(url) for url in ("http://", "s3:///a.zarr", "https://host", "memory://a")]
    [True, True, False, False]
    """
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[0].lower().endswith(("memory://", "file://")):
        return False
    host = _USER.sub("", url)[scheme.end() :]
    return not host or host[0] in "/?#"


def split_query(url: str) -> tuple[str, str]:
    """The address, and its query with the question mark; URLs other than HTTP have no query.

    >>> split_query("https://host/a.zarr?token=1")
    ('https://host/a.zarr', '?token=1')
    """
    if not _WEB.match(url):
        return url, ""
    base, mark, query = url.partition("#")[0].partition("?")
    return base, mark + query


def join_url(url: str, path: str) -> str:
    """Return the address of ``path`` below ``url``.

    >>> join_url("https://host/a.zarr?token=1", "labels/0")
    'https://host/a.zarr/labels/0?token=1'
    """
    if not path:
        return url
    base, query = split_query(url)
    return f"{base.rstrip('/')}/{path}{query}"


def shown_url(url: str | Path) -> str:
    """Return an address that may be kept and printed: without user, password, query, fragment.

    A query without a value stays for object stores, whose keys may have a ``?``. Local paths stay
    as they are.

    >>> shown_url("https://me:secret@host/a.zarr?X-Amz-Signature=4f&token=1")
    'https://host/a.zarr'
    >>> shown_url("/data/50%?=1/a@b.zarr")
    '/data/50%?=1/a@b.zarr'
    """
    text = os.fspath(url)
    if not is_url(text):
        return text
    text = _USER.sub("", _BARE.sub("", text))
    if _WEB.search(text):
        return re.split(r"[?#]", text, maxsplit=1)[0]
    return _QUERY.sub("", text)


def without_secrets(text: str) -> str:
    """Return text with each URL in it replaced by its :func:`shown_url`.

    >>> without_secrets("cannot read https://me:secret@host/a.zarr?token=1: 403")
    'cannot read https://host/a.zarr: 403'
    """
    return _IN_TEXT.sub(_shown_in_text, text) if "://" in text else text


def _shown_in_text(match: re.Match[str]) -> str:
    url = match[0]
    after = _AFTER.search(url)
    end = len(url) if after is None else after.start()
    return shown_url(url[:end]) + url[end:]
