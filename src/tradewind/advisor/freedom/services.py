"""What the directory knows of the services that a project uses, as losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tradewind.advisor.fact import Fact
from tradewind.advisor.freedom.finding import Use
from tradewind.advisor.freedom.loss import Loss
from tradewind.advisor.freedom.pledge import Pledge
from tradewind.advisor.freedom.rules import Freedoms, Rule
from tradewind.advisor.partner import Partner


def losses_of_services(uses: Iterable[Use], pledge: Pledge, freedoms: Freedoms) -> tuple[list[Loss], list[str]]:
    """Return the losses, and what nobody knows of these services."""
    used: dict[str, list[Use]] = defaultdict(list)
    for use in uses:
        used[freedoms.clients[use.client].partner].append(use)
    for name in pledge.services:
        used.setdefault(name, [])
    losses: list[Loss] = []
    questions: list[str] = []
    for name, places in sorted(used.items()):
        partner = freedoms.directory.find(name)
        for rule in freedoms.rules.values():
            if rule.when is None:
                continue
            held = rule.when.holds(partner.facts, {})
            if held:
                losses.append(_loss(rule, partner, places, name in pledge.services))
            elif held is None:
                meaning = ", ".join(freedoms.directory.fields[field].meaning for field in sorted(rule.when.facts))
                questions.append(f"{partner.name}: nobody knows this of it: {meaning}. Ask before you rely on it.")
    return losses, questions


def _loss(rule: Rule, partner: Partner, uses: Sequence[Use], is_stated: bool) -> Loss:
    assert rule.when is not None
    facts: tuple[Fact, ...] = tuple(partner.facts[field] for field in sorted(rule.when.facts) if field in partner.facts)
    return Loss(
        rule=rule,
        what=partner.id,
        named=partner.name,
        places=tuple(sorted({use.place for use in uses})),
        points=rule.lesser if uses and not is_stated and _is_optional(uses) else rule.points,
        facts=facts,
    )


def _is_optional(uses: Sequence[Use]) -> bool:
    """Whether all is there without it: its files of packages say so; where none names it, its imports."""
    declared = [use for use in uses if use.is_declared]
    return all(use.is_optional for use in declared or uses)
