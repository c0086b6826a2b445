"""What may be asked of a cluster that runs."""

from __future__ import annotations

import pytest

from tradewind.errors import BadRequest
from tradewind.planning.wishes import check_compiled


@pytest.mark.parametrize("name", ["", "c0ffee", "a" * 64])
def test_compiled_code_is_named_by_a_hash(name: str) -> None:
    check_compiled(name)


@pytest.mark.parametrize("name", ["a" * 65, "C0FFEE", "c0ffee\n", "x" * 25_000])
def test_what_is_no_hash_is_written_down_nowhere(name: str) -> None:
    with pytest.raises(BadRequest, match="at most 64 hex digits") as told:
        check_compiled(name)
    assert len(str(told.value)) < 200
