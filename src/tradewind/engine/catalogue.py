"""What could be launched, asked of providers and remembered for a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.engine.clock import Clock
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.instance import Role
from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import Need
from tradewind.planning.choose import Choice, choose
from tradewind.providers.base import Provider

FRESH = timedelta(minutes=1)
"""How long an answer may be used again; prices and room move slower than rounds."""
MOST_KNOWN = 1000
"""Questions whose answers are remembered; then those that aren't fresh any more are forgotten."""


class Catalogue:
    """Offers for a cluster's roles, best first."""

    def __init__(self, provider_of: Callable[[str], Provider], clock: Clock) -> None:
        self._provider_of = provider_of
        self._clock = clock
        self._known: dict[tuple[str, Need, bool, str | None], tuple[datetime, Sequence[Offer]]] = {}

    async def choices(self, spec: ClusterSpec, scaling: Scaling) -> Mapping[Role, tuple[Choice, ...]]:
        """Return what could be launched for each role, where ``scaling`` is what is wanted now.

        Raises
        ------
        BadRequest
            It can never be; the message says what the most is.
        """
        workers = replace(spec.worker, count=max(1, scaling.maximum), least=max(1, scaling.minimum))
        # A scheduler keeps what it knows in memory alone, so it never stands on what can be taken back.
        return {
            Role.SCHEDULER: await self._choices(spec, spec.scheduler, SpotPolicy.ON_DEMAND),
            Role.WORKER: await self._choices(spec, workers, spec.spot_policy),
        }

    async def _choices(self, spec: ClusterSpec, need: Need, policy: SpotPolicy) -> tuple[Choice, ...]:
        offers: list[Offer] = []
        if policy is not SpotPolicy.ON_DEMAND:
            offers += await self._offers(spec, need, spot=True)
        if policy is not SpotPolicy.SPOT:
            offers += await self._offers(spec, need, spot=False)
        return tuple(choose(offers, need, policy))

    async def _offers(self, spec: ClusterSpec, need: Need, *, spot: bool) -> Sequence[Offer]:
        key = (spec.provider, need, spot, spec.region)
        now = self._clock.now()
        known = self._known.get(key)
        if known is None or now >= known[0] + FRESH:
            provider = self._provider_of(spec.provider)
            known = (now, await provider.offers(need, spot=spot, region=spec.region))
            if len(self._known) >= MOST_KNOWN:
                self._known = {key: each for key, each in self._known.items() if now < each[0] + FRESH}
            self._known[key] = known
        return known[1]
