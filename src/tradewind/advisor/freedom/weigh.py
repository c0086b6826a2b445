"""From what was found to losses and bars."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tradewind.advisor.fact import Fact
from tradewind.advisor.freedom.finding import Address, Finding, Looked, Place, Unread, Use
from tradewind.advisor.freedom.loss import Loss, Report, Score
from tradewind.advisor.freedom.pledge import Accepted, Pledge
from tradewind.advisor.freedom.rules import FULL, Freedoms, Per, Rule
from tradewind.advisor.freedom.services import losses_of_services

REPLICATED_FOR = timedelta(days=180)
MONEY_FOR = timedelta(days=365)
MUCH = 0.2
"""Share of a project's pieces of code from which on it is at home on a closed platform."""
OPEN_LOGINS = frozenset({"oidc", "openid", "edugain", "cilogon", "saml", "orcid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything that was read."""

    looked: tuple[Looked, ...]
    paths: tuple[str, ...]
    """Of all its files, read or not."""
    unread: tuple[Unread, ...] = ()
    is_whole: bool = True
    """Whether it is a project; of a single file nobody can say what is missing beside it."""


def weigh(project: Project, pledge: Pledge, freedoms: Freedoms, today: date) -> Report:
    """Return how free a project is.

    Parameters
    ----------
    project : Project
        What was read of it.
    pledge : Pledge
        What it says of itself.
    freedoms : Freedoms
        The rules.
    today : date
        The day it is asked.
    """
    findings = [one for looked in project.looked for one in looked.findings]
    uses = [one for looked in project.looked for one in looked.uses]
    addresses = [one for looked in project.looked for one in looked.addresses]
    findings = [*_scattered(findings), *_far(addresses, pledge)]
    if project.is_whole:
        findings += _missing(project)
        findings += _stated(pledge, today)
    losses, questions = losses_of_services(uses, pledge, freedoms)
    losses = [*_losses(findings, freedoms), *_platforms(project.looked, uses, freedoms), *losses]
    good = tuple(one for one in pledge.accepted if today <= one.until)
    split = [part for loss in losses for part in _split(loss, good)]
    capped = _capped(split)
    return Report(
        scores=tuple(_score(name, capped, freedoms) for name in freedoms.bars),
        losses=tuple(loss for loss in capped if loss.accepted is None),
        accepted=tuple(loss for loss in capped if loss.accepted is not None),
        questions=(*questions, *(_unsaid(pledge) if project.is_whole else ())),
        faults=(*pledge.faults, *_told(pledge.accepted, losses, today)),
        unread=(*project.unread, *(one for looked in project.looked for one in looked.unread)),
        files=len(project.looked),
    )


# ---------------------------------------------------------------------------------------------- what is found in sum


def _scattered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without the clusters of the module where most are started: one place is as it should be."""
    found = list(findings)
    starts = Counter(one.place.path for one in found if one.rule == "scattered-clusters")
    # Of equals the module rather than the notebook: it can be imported.
    home = min(starts, key=lambda path: (-starts[path], path.endswith(".ipynb"), path), default=None)
    return [one for one in found if one.rule != "scattered-clusters" or one.place.path != home]


def _far(addresses: Sequence[Address], pledge: Pledge) -> list[Finding]:
    known = [one for one in addresses if one.cloud]
    if not known:
        return []
    buckets = Counter(cloud for cloud, _ in {(one.cloud, one.bucket) for one in known})
    home = pledge.cloud or min(buckets, key=lambda cloud: (-buckets[cloud], cloud))
    found = []
    for one in known:
        is_elsewhere = one.region and pledge.region and one.region != pledge.region
        if one.cloud != home or is_elsewhere:
            where = f"{one.cloud} {one.region}".strip()
            found.append(Finding(rule="far-data", what=f"{one.bucket} ({where})", place=one.place))
    return found


def _missing(project: Project) -> list[Finding]:
    """Return what the whole of a project has not."""
    first = Place(path=project.paths[0]) if project.paths else Place(path=".")
    names = [path.casefold() for path in project.paths if "/" not in path]
    has_packages = any(looked.has_packages for looked in project.looked)
    is_locked = any(looked.is_locked for looked in project.looked)
    missing = {
        "no-environment": not has_packages,
        "no-lock": has_packages and not is_locked,
        "no-licence": not any(name.startswith(("licen", "copying", "unlicense")) for name in names),
        "no-readme": not any(name.startswith("readme") for name in names),
    }
    return [Finding(rule=rule, what="", place=first) for rule, is_missing in missing.items() if is_missing]


def _stated(pledge: Pledge, today: date) -> list[Finding]:
    """Return what follows from what a project says of itself, or leaves unsaid."""
    place = Place(path="freedom.toml")
    found = []
    if not pledge.copy.strip():
        found.append(Finding(rule="no-copy", what="", place=place))
    if pledge.replicated is None:
        words = "no example is on record that ran in two places and gave the same"
        found.append(Finding(rule="never-replicated", what=words, place=place))
    elif today - pledge.replicated > REPLICATED_FOR:
        words = f"the same example last ran in two places on {pledge.replicated}, over {REPLICATED_FOR.days} days ago"
        found.append(Finding(rule="never-replicated", what=words, place=place))
    if len(pledge.login) == 1 and pledge.login[0].casefold() not in OPEN_LOGINS:
        found.append(Finding(rule="one-login", what=pledge.login[0], place=place))
    if pledge.funded_until is not None and pledge.funded_until - today < MONEY_FOR:
        word = "ended" if pledge.funded_until < today else "ends"
        found.append(Finding(rule="money-ends", what=f"the money {word} on {pledge.funded_until}", place=place))
    return found


def _unsaid(pledge: Pledge) -> list[str]:
    asked = []
    if not pledge.login:
        asked.append('By what do people sign in? freedom.toml, [project]: login = ["oidc"]')
    if pledge.funded_until is None:
        asked.append("Until when is it paid for? freedom.toml, [project]: funded_until = 2028-12-31")
    return asked


# ---------------------------------------------------------------------------------------------- losses


def _losses(findings: Iterable[Finding], freedoms: Freedoms) -> list[Loss]:
    """Return findings as losses, each as its rule counts."""
    grouped: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for one in dict.fromkeys(findings):
        rule = freedoms.rules[one.rule]
        key = {Per.WHAT: one.what, Per.PLACE: one.place, Per.MODULE: one.place.path, Per.PROJECT: ""}[rule.per]
        grouped[one.rule, key].append(one)
    return [_loss(freedoms.rules[group[0].rule], group) for group in grouped.values()]


def _loss(rule: Rule, group: Sequence[Finding]) -> Loss:
    whats = tuple(dict.fromkeys(one.what for one in group))
    places = () if rule.per is Per.PROJECT else tuple(sorted({one.place for one in group}))
    return Loss(
        rule=rule,
        what=whats[0],
        named=", ".join(whats),
        places=places,
        points=rule.lesser if all(one.is_lesser for one in group) else rule.points,
    )


def _platforms(looked: Sequence[Looked], uses: Sequence[Use], freedoms: Freedoms) -> list[Loss]:
    """Return the platforms on which a good part of the code lives."""
    units = [unit for one in looked for unit in one.units]
    found = []
    for client in freedoms.clients.values():
        calling = sum(client.id in unit for unit in units)
        if calling and calling > MUCH * len(units):
            found.append(
                Loss(
                    rule=freedoms.rules["closed-platform"],
                    what=client.id,
                    named=f"{calling} of {len(units)}",
                    places=tuple(sorted({use.place for use in uses if use.client == client.id})),
                    points=freedoms.rules["closed-platform"].points,
                    facts=_platform_facts(client.partner, freedoms),
                )
            )
    return found


def _platform_facts(partner: str, freedoms: Freedoms) -> tuple[Fact, ...]:
    facts: Mapping[str, Fact] = freedoms.directory.find(partner).facts
    return (facts["open_source"],) if "open_source" in facts else ()


def _split(loss: Loss, good: Sequence[Accepted]) -> list[Loss]:
    """Return a loss as it is, accepted, or in two parts where it was accepted for some of its places."""

    def by(place: Place) -> Accepted | None:
        return next((one for one in good if one.covers(loss.rule.id, loss.what, place)), None)

    # What is missing from the whole is missing from its own file.
    covered = {place: by(place) for place in loss.places or (Place(path="freedom.toml"),)}
    names = {one for one in covered.values() if one is not None}
    if not names:
        return [loss]
    open_places = tuple(place for place, one in covered.items() if one is None)
    parts = [_with(loss, open_places, None, loss.points)] if open_places else []
    for one in sorted(names, key=lambda one: (one.on, one.by, one.path)):
        places = tuple(place for place in loss.places if covered[place] == one)
        # A loss is lost once: what is left of it in other places has taken the points already.
        parts.append(_with(loss, places, one, 0 if parts else loss.points))
    return parts


def _with(loss: Loss, places: tuple[Place, ...], accepted: Accepted | None, points: int) -> Loss:
    return Loss(
        rule=loss.rule,
        what=loss.what,
        named=loss.named,
        places=places,
        points=points,
        facts=loss.facts,
        accepted=accepted,
    )


def _capped(losses: Iterable[Loss]) -> list[Loss]:
    """Return losses, the dearest first, none beyond what its rule takes at most; what is accepted comes last."""
    taken: Counter[str] = Counter()
    capped = []
    for loss in sorted(
        losses, key=lambda one: (one.accepted is not None, -one.points, one.rule.id, one.places, one.what)
    ):
        points = min(loss.points, loss.rule.most - taken[loss.rule.id])
        taken[loss.rule.id] += points
        capped.append(_with(loss, loss.places, loss.accepted, points))
    return sorted(capped, key=lambda one: (-one.points, one.rule.id, one.places, one.what))


def _score(name: str, losses: Sequence[Loss], freedoms: Freedoms) -> Score:
    of = [loss for loss in losses if name in loss.rule.bars]
    lost = min(FULL, sum(loss.points for loss in of if loss.accepted is None))
    accepted = min(FULL - lost, sum(loss.points for loss in of if loss.accepted is not None))
    return Score(bar=freedoms.bars[name], lost=lost, accepted=accepted)


def _told(accepted: Iterable[Accepted], losses: Sequence[Loss], today: date) -> list[str]:
    """Return what is to be said of trade-offs that no longer hold, or hold of nothing."""
    told = []
    for one in accepted:
        if today > one.until:
            told.append(
                f"{one.shown}: accepted by {one.by} until {one.until}, which is over: it is lost again. "
                "Mend it, or accept it anew with a new date."
            )
        elif not any(
            one.covers(loss.rule.id, loss.what, place)
            for loss in losses
            for place in loss.places or (Place(path="freedom.toml"),)
        ):
            told.append(f"{one.shown}: accepted by {one.by} on {one.on}, and nothing of it is found any more.")
    return told
