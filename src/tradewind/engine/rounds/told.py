"""What a cluster's people were told already, where it goes wrong the same way at each round."""

from __future__ import annotations

MOST_TOLD = 1000
"""Beyond them the oldest may be told once more."""


class Told:
    """Remembers words, by cluster; an engine that begins anew tells them anew."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], None] = {}

    def is_news(self, cluster_id: str, words: str) -> bool:
        """Whether a cluster's people weren't told this yet; from now on they were."""
        is_news = (cluster_id, words) not in self._told
        self._told[cluster_id, words] = None
        if len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        return is_news
