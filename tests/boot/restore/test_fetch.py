"""What a machine puts into a store."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from tests.client.servers import Replies, serving
from tradewind.boot.restore import fetch

DONE = (200, {}, b"")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the path of something that took long to make."""
    monkeypatch.setattr(fetch, "FIRST_REST_S", 0.01)
    path = tmp_path / "archive"
    path.write_bytes(b"everything" * 1000)
    return str(path)


def test_an_archive_is_not_lost_because_a_store_stumbles(archive: str) -> None:
    replies = Replies((503, {}, b""), lambda: None, DONE)

    with serving(replies) as store:
        fetch.put(archive, f"{store}/there")

    assert replies.asked[-1][3] == b"everything" * 1000, "from its start"
    assert replies.asked[-1][2]["x-ms-blob-type"] == "BlockBlob"


@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, fetch.TRIES)])
def test_a_store_that_refuses_is_not_asked_again_and_one_that_fails_not_for_ever(
    archive: str, status: int, times: int
) -> None:
    replies = Replies((status, {}, b""))

    with serving(replies) as store, pytest.raises(urllib.error.HTTPError, match=str(status)):
        fetch.put(archive, f"{store}/there")

    assert len(replies.asked) == times
