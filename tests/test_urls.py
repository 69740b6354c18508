"""Addresses: what is a path, what a URL, and that no secret of one is shown."""

from __future__ import annotations

import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet import errors
from bigunet.urls import has_bare_secret, is_url, join_url, local_path, shown_url, without_secrets

WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
SECRETS = st.text(min_size=1, max_size=12).map(
    lambda text: "Zq9" + quote(text, safe="'!$&*") + "Xv7"
)
SCHEMES = st.sampled_from(["http", "https", "s3", "gs", "abfs", "simplecache::https"])
ERRORS = [
    e for e in vars(errors).values() if isinstance(e, type) and e.__module__ == errors.__name__
]


@given(SCHEMES, SECRETS, SECRETS, st.lists(WORDS, min_size=1, max_size=3), SECRETS)
def test_no_part_of_a_secret_is_shown_and_what_is_shown_shows_the_same(
    scheme: str, user: str, password: str, names: list[str], token: str
) -> None:
    place = f"host/{'/'.join(names)}"
    for secret in (f"{user}:{password}@", f"{user}@"):
        for query in ("", f"?token={token}", f"?v=1&X-Amz-Signature={token}#{token}"):
            url = f"{scheme}://{secret}{place}{query}"
            shown = shown_url(url)
            assert shown == f"{scheme}://{place}" == shown_url(shown)
            for text in (url, f"cannot read '{url}': 403", f"({url}, and more)"):
                assert "Zq9" not in without_secrets(text)
                assert without_secrets(text) == text.replace(url, shown)


@pytest.mark.parametrize("secret", ["a/b", "a?b", "a#b", "a b"])
def test_a_password_that_is_not_escaped_is_neither_shown_nor_taken(secret: str) -> None:
    url = f"s3://me:{secret}@bucket/i.zarr"
    assert has_bare_secret(url)
    assert shown_url(url) == "s3://bucket/i.zarr"


@given(st.sampled_from(["/data/", "data/", ""]), st.text(max_size=12))
def test_a_local_path_is_shown_as_it_is(folder: str, name: str) -> None:
    path = folder + name
    if not is_url(path):
        assert shown_url(path) == path
        assert join_url(f"/x{path}", "0") == f"/x{path.rstrip('/')}/0"


@pytest.mark.parametrize(
    "name", ["a::b.zarr", "a#b", "a?token=1", "a%20b", "a b", "é~", "c:d", "a@b", "zip::a"]
)
def test_no_character_makes_an_absolute_path_a_url(name: str) -> None:
    assert not is_url(f"/data/{name}")
    assert local_path(f"/data/{name}") == f"/data/{name}"
    assert without_secrets(f"cannot read /data/{name}") == f"cannot read /data/{name}"


def test_a_query_goes_behind_what_is_below_an_address() -> None:
    assert join_url("https://h/a.zarr?t=1", "0/c") == "https://h/a.zarr/0/c?t=1"
    assert join_url("s3://b/a?t=1", "0") == "s3://b/a?t=1/0"


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_errors_show_no_secret_and_travel_between_processes(kind: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(kind("no https://me:pw@host/a?token=1: 403")))
    assert type(error) is kind
    assert str(error) == "no https://host/a: 403"
    assert "pw" not in repr(error)
