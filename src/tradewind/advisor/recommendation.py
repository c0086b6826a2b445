"""A partner in its place, with the reasons that name facts; and those that are left out, with theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from tradewind.advisor.expression import Expression, backing, open_questions
from tradewind.advisor.judge import Judgement, Outcome, Reason, Standing, cited
from tradewind.advisor.pairs import Pair, fee
from tradewind.advisor.partner import Partner, PartnerKind
from tradewind.advisor.rules import Hurdle, Rules

GOOD = 0.6
POOR = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A partner in its place, and all there is to say of it."""

    rank: int
    """Equal ones share it."""
    judgement: Judgement
    reasons: tuple[Reason, ...]
    against: tuple[Reason, ...]
    conditions: tuple[str, ...]
    to_ask: tuple[Reason, ...]
    fee_per_month: Decimal | None
    """In US dollars, for as many people as were named, without machines; None where nobody knows."""

    @property
    def partner(self) -> Partner:
        """The partner."""
        return self.judgement.partner


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Two partners that do together what neither does alone, and all there is to say of each."""

    pair: Pair
    told: tuple[Recommendation, Recommendation]

    @property
    def first(self) -> Partner:
        """The better one."""
        return self.told[0].partner

    @property
    def second(self) -> Partner:
        """The other."""
        return self.told[1].partner

    @property
    def why(self) -> str:
        """Why they stand together."""
        return self.pair.why

    @property
    def score(self) -> float:
        """How well they do together, between 0 and 1."""
        return self.pair.score

    @property
    def fee_per_month(self) -> Decimal | None:
        """Of both, in US dollars, without machines; None where nobody knows that of one of them."""
        return self.pair.fee_per_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A partner that is left out, and why."""

    partner: Partner
    because: tuple[Reason, ...]
    otherwise: int | None
    """The rank it would have if not for the one reason; None where there are more, or it would still not fit."""
    key: tuple[bool, float]
    """What it would be ranked by."""

    @property
    def has_ended(self) -> bool:
        """Whether the one thing that is wrong with it is that it is over: people may still know it as an answer."""
        return len(self.because) == 1 and any(fact.field == "status" for fact in self.because[0].facts)


@dataclass(frozen=True, slots=True)
class Teller:
    """Says of a judgement why it is so."""

    rules: Rules
    answers: Mapping[str, Any]
    weights: Sequence[float]
    today: date

    def recommendation(self, rank: int, judged: Judgement) -> Recommendation:
        """Return a partner in its place, with the reasons."""
        partner = judged.partner
        hurdles = list(self._hurdles(judged))
        return Recommendation(
            rank=rank,
            judgement=judged,
            reasons=tuple(self._reasons(judged, hurdles)),
            against=tuple(self._against(judged, hurdles)),
            conditions=()
            if partner.kind is PartnerKind.PROGRAMME
            else tuple(filter(None, (rule.told(partner.facts, self.answers) for rule in self.rules.conditions))),
            to_ask=tuple(
                self._doubt(rule, partner) for rule, became in hurdles if became in {Outcome.ASK, Outcome.WARN}
            ),
            fee_per_month=fee(partner, self.answers),
        )

    def together(self, pair: Pair) -> Together:
        """Return two partners with the reasons of each, by the answers that the pair was judged by."""
        teller = replace(self, answers=pair.answers)
        one, other = (teller.recommendation(1, judged) for judged in pair.parts)
        return Together(pair=pair, told=(one, other))

    def _doubt(self, rule: Hurdle, partner: Partner) -> Reason:
        unanswered = tuple(sorted(open_questions(rule.keep, partner.facts, self.answers)))
        return replace(cited(rule.id, f"Ask: {rule.label}?", rule.keep.facts, partner), unanswered=unanswered)

    def _hurdles(self, judged: Judgement) -> Iterator[tuple[Hurdle, Outcome]]:
        programme = judged.partner.kind is PartnerKind.PROGRAMME
        if not programme:
            yield from zip(self.rules.needs, judged.needs, strict=True)
        asked = [rule for rule in self.rules.exclusions if rule.eligibility or not programme]
        yield from zip(asked, judged.exclusions, strict=True)

    def _reasons(self, judged: Judgement, hurdles: Sequence[tuple[Hurdle, Outcome]]) -> Iterator[Reason]:
        partner = judged.partner
        for rule in self.rules.free:
            if rule.id == judged.free:
                yield self._cited(rule.id, rule.label, rule.test, partner)
        needs = {rule.id for rule in self.rules.needs}
        met = [hurdle for hurdle, became in hurdles if became is Outcome.MET]
        for hurdle in met:
            if hurdle.id in needs:
                yield self._cited(hurdle.id, hurdle.label, hurdle.keep, partner)
        for hurdle in met:
            reason = self._cited(hurdle.id, hurdle.label, hurdle.keep, partner)
            if hurdle.eligibility and any(fact.value not in {(), ("any",)} for fact in reason.facts):
                yield reason
        for number in self._by_weight(judged):
            if judged.values[number] >= GOOD:
                yield self._told(number, partner, "")

    def _against(self, judged: Judgement, hurdles: Sequence[tuple[Hurdle, Outcome]]) -> Iterator[Reason]:
        partner = judged.partner
        for remark in partner.remarks:
            if remark.against:
                yield Reason(rule="remark", says=remark.text, facts=(remark.fact,))
        for number in self._by_weight(judged):
            rule = self.rules.preferences[number]
            if judged.values[number] < POOR:
                known = any(name in partner.facts for name in rule.facts)
                yield self._told(number, partner, "not so: " if known else "nobody knows: ")

    def _by_weight(self, judged: Judgement) -> list[int]:
        if not judged.values:
            return []
        counted = [number for number, weight in enumerate(self.weights) if weight > 0]
        return sorted(counted, key=lambda number: -self.weights[number])

    def _told(self, number: int, partner: Partner, before: str) -> Reason:
        rule = self.rules.preferences[number]
        true = [point for point in rule.points if point.test.holds(partner.facts, self.answers) is True]
        best = max(true, key=lambda point: point.worth, default=None)
        fields = rule.facts if best is None else backing(best.test, partner.facts, self.answers)
        return cited(rule.id, f"{before}{rule.label}", fields, partner)

    def _cited(self, rule: str, says: str, test: Expression, partner: Partner) -> Reason:
        """Return a reason with the facts that make a test so."""
        return cited(rule, says, backing(test, partner.facts, self.answers), partner)


def excluded(
    systems: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any], fit: Sequence[Judgement]
) -> Iterator[Excluded]:
    needs_asked = any(rule.when.holds({}, answers) is True for rule in rules.needs)
    for judged in systems:
        if judged.standing not in {Standing.OUT, Standing.PART}:
            continue
        unmet = [
            (rule, rule.says)
            for rule, became in zip(rules.exclusions, judged.exclusions, strict=True)
            if became is Outcome.UNMET
        ]
        missing = [
            (rule, f"It doesn't have what you need: {rule.label}")
            for rule, became in zip(rules.needs, judged.needs, strict=True)
            if became is Outcome.UNMET
        ]
        because = [*unmet, *(missing if needs_asked else [])]
        doubtful = Outcome.ASK in judged.needs or Outcome.ASK in judged.exclusions
        otherwise = None
        if len(because) == 1 and not doubtful:
            otherwise = 1 + sum(one.first_key < judged.first_key for one in fit)
        yield Excluded(
            partner=judged.partner,
            because=tuple(cited(rule.id, says, rule.keep.facts, judged.partner) for rule, says in because),
            otherwise=otherwise,
            key=judged.first_key,
        )
