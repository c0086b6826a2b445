"""What could be launched, asked of providers and remembered for a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradewind import wire
from tradewind.engine.clock import Clock
from tradewind.errors import Unavailable
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.instance import Role
from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import Need
from tradewind.planning.choose import Choice, choose, of_one_platform
from tradewind.providers.base import Provider

FRESH = timedelta(minutes=1)
"""How long an answer may be used again; prices and room move slower than rounds."""
MOST_KNOWN = 1000
"""Questions whose answers are remembered; then those that aren't fresh any more are forgotten."""
PATIENCE_S = 5.0
"""How long a provider may take to say what it offers; what it has is looked after meanwhile."""


Question = tuple[str, Need, bool, str | None, str]
"""Provider, need, whether on spot, region, options."""


class Catalogue:
    """Offers for a cluster's roles, best first."""

    def __init__(self, provider_of: Callable[[str], Provider], clock: Clock) -> None:
        self._provider_of = provider_of
        self._clock = clock
        self._known: dict[Question, tuple[datetime, Sequence[Offer]]] = {}
        self._chosen: dict[tuple[Need, SpotPolicy, bool], tuple[list[Sequence[Offer]], tuple[Choice, ...]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

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
        answers: list[Sequence[Offer]] = []
        if policy is not SpotPolicy.ON_DEMAND:
            answers.append(await self._offers(spec, need, spot=True))
        if policy is not SpotPolicy.SPOT:
            answers.append(await self._offers(spec, need, spot=False))
        # A thousand rounds choose from the same answers.
        known = self._chosen.get((need, policy, spec.arm))
        if known is None or any(one is not other for one, other in zip(known[0], answers, strict=True)):
            offers = of_one_platform([offer for answer in answers for offer in answer], arm=spec.arm)
            known = (answers, choose(offers, need, policy))
            if len(self._chosen) >= MOST_KNOWN:
                self._chosen.clear()
            self._chosen[need, policy, spec.arm] = known
        return known[1]

    async def _offers(self, spec: ClusterSpec, need: Need, *, spot: bool) -> Sequence[Offer]:
        key = (
            spec.provider,
            need,
            spot,
            spec.region,
            wire.dump_json(spec.backend_options) if spec.backend_options else "",
        )
        known = self._fresh(key)
        if known is not None:
            return known
        provider = self._provider_of(spec.provider).configured(spec.backend_options)
        try:
            # One question at a time: when an answer is out of date, it is so for all rounds at once.
            async with asyncio.timeout(PATIENCE_S), self._locks.setdefault(spec.provider, asyncio.Lock()):
                known = self._fresh(key)
                if known is None:
                    known = await provider.offers(need, spot=spot, region=spec.region)
                    now = self._clock.now()
                    if len(self._known) >= MOST_KNOWN:
                        self._known = {key: each for key, each in self._known.items() if now < each[0] + FRESH}
                    self._known[key] = (now, known)
        except TimeoutError:
            raise Unavailable(f"{spec.provider} didn't say within {PATIENCE_S:.0f} s what it offers") from None
        return known

    def _fresh(self, key: Question) -> Sequence[Offer] | None:
        known = self._known.get(key)
        return known[1] if known is not None and self._clock.now() < known[0] + FRESH else None
