"""Whether what somebody asks for can be kept and reckoned with at all, before anybody is asked what it would cost.

A notebook's keywords were checked where they were written. What comes to a server may come from anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal

from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.environment import Artifact, Environment
from tradewind.model.resources import Need, Range
from tradewind.planning.addresses import check_addresses
from tradewind.planning.names import environment_reference

MOST_WORKERS = 20_000
LONGEST = timedelta(days=366)
LONGEST_ORPHAN = timedelta(days=7)
"""What nobody looks after for a week is forgotten."""
LONGEST_TEXT = 25_000
MOST_BYTES = 100 * 2**20
"""Of the caller's own code; the caller's side refuses more before it asks."""
MOST_ENTRIES = 1000
MOST_MONEY = Decimal(10) ** 12
SMALLEST_MONEY = Decimal(10) ** -9
LARGEST_NUMBER = 2**62
DEEPEST = 20

_NAME = re.compile(r"[\w][\w.-]{0,62}\Z")
_WORD = re.compile(r"[\w][\w.-]{0,99}\Z")
_CURRENCY = re.compile(r"[A-Z]{2,3}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_COMPILED = re.compile(r"[0-9a-f]{0,64}")
_FILE_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+!-]{0,199}\Z")


def check_spec(spec: ClusterSpec) -> None:
    """Raise BadRequest for what no cluster can be; names the field, the fact and what to write instead."""
    check_keepable(spec)
    if not _NAME.match(spec.name):
        raise BadRequest(
            f"name={spec.name:.80} can't be used: take 1 to 63 letters, digits, '-', '_' or '.', such as 'my-analysis'."
        )
    if spec.region is not None and not _WORD.match(spec.region):
        raise BadRequest(f"region={spec.region!r:.80} can't be used: write a name.")
    if spec.software is not None:
        environment_reference(spec.software)
    check_scaling(spec.scaling)
    _check_need("worker", spec.worker)
    _check_need("scheduler", spec.scheduler)
    if spec.worker_threads is not None and not 1 <= spec.worker_threads <= 10_000:
        raise BadRequest(f"worker_threads={spec.worker_threads} can't be used: write a number from 1 to 10 000.")
    for field in ("idle", "no_client", "total", "start"):
        _check_duration(f"lifetimes.{field}", getattr(spec.lifetimes, field), LONGEST)
    _check_duration("lifetimes.orphan", spec.lifetimes.orphan, LONGEST_ORPHAN)
    if spec.budget is not None:
        amount, currency = spec.budget.amount, spec.budget.currency
        if not _CURRENCY.match(currency):
            raise BadRequest(f"budget: {currency!r:.20} isn't a currency; write USD, EUR or SU.")
        if not amount.is_finite() or not (amount == 0 or SMALLEST_MONEY <= amount <= MOST_MONEY):
            raise BadRequest(f"budget: {amount!s:.40} isn't an amount that can be spent; write a number such as 5.00.")
    for field, table in (("environ", spec.environ), ("tags", spec.tags)):
        for name in table:
            if not name or "=" in name or not name.isprintable():
                raise BadRequest(f"{field}: {name!r:.80} can't be a name: it must be printable, and without '='.")


def check_scaling(scaling: Scaling) -> None:
    """Raise BadRequest for a number of workers that can't be wanted."""
    if not 0 <= scaling.minimum <= scaling.initial <= scaling.maximum <= MOST_WORKERS:
        raise BadRequest(
            f"scaling from {scaling.minimum} over {scaling.initial} to {scaling.maximum} workers can't be used: they "
            f"go up, from 0 to {MOST_WORKERS} at most."
        )
    _check_duration("scaling.target_duration", scaling.target_duration, LONGEST)
    _check_duration("scaling.interval", scaling.interval, LONGEST)
    if not 0 <= scaling.wait_count <= 100_000:
        raise BadRequest(f"scaling.wait_count={scaling.wait_count} can't be used: write a number such as 24.")


def check_software(environment: Environment | None, *, is_from_afar: bool) -> None:
    """Raise BadRequest for software that names files as nobody's do; from afar, also for secrets in it.

    A file's hash and name become a path, here and on machines: what isn't checked could be any file of whoever runs
    the engine. The hash of the whole doesn't count, see :func:`tradewind.model.environment.seal`.

    Parameters
    ----------
    environment : Environment or None
        As it was asked for.
    is_from_afar : bool
        Whether who asks may be on another computer than the engine.
    """
    if environment is None:
        return
    check_artifacts(environment.artifacts)
    if is_from_afar:
        check_addresses(environment)


def check_compiled(name: str) -> None:
    """Raise BadRequest for what names compiled code and is no hash: it is written down with each instance."""
    if not _COMPILED.fullmatch(name):
        raise BadRequest(f"compiled code is named by a hash of at most 64 hex digits, and not by {name!r:.80}.")


def check_artifacts(artifacts: Sequence[Artifact]) -> None:
    """Raise BadRequest for files that are named as nobody's are, for too many, and for what no line carries."""
    for artifact in artifacts:
        if not _SHA256.match(artifact.sha256) or not _FILE_NAME.match(artifact.file_name):
            raise BadRequest(
                f"{artifact.file_name!r:.80} with the hash {artifact.sha256!r:.80} can't be a file that travels: the "
                "hash is a sha256 in hex, the name a plain one, as wheels have."
            )
        if not 0 <= artifact.size <= MOST_BYTES:
            raise BadRequest(
                f"{artifact.file_name} has {artifact.size:,} bytes; what travels has at most {MOST_BYTES:,}. Data "
                "belongs where all workers can read it."
            )
    if len({artifact.sha256 for artifact in artifacts}) != len(artifacts) or len(artifacts) > MOST_ENTRIES:
        raise BadRequest(f"files that travel are named once each, and at most {MOST_ENTRIES} of them.")
    if (size := sum(artifact.size for artifact in artifacts)) > MOST_BYTES:
        raise BadRequest(
            f"what travels has {size:,} bytes together, and may have {MOST_BYTES:,}. Data belongs where all workers "
            "can read it."
        )


def check_keepable(value: object) -> None:
    """Raise BadRequest for texts and numbers that a database can't hold, or that are longer than anybody writes."""
    for name, leaf in _leaves(value, "", 0):
        match leaf:
            case str() if "\0" in leaf:
                raise BadRequest(f"{name}: no text can hold the character NUL.")
            case str() if len(leaf) > LONGEST_TEXT:
                raise BadRequest(f"{name}: a text is at most {LONGEST_TEXT} characters long.")
            case bool() | None:
                pass
            case int() if abs(leaf) > LARGEST_NUMBER:
                raise BadRequest(f"{name}: {leaf!r:.30} is too large.")
            case float() if not math.isfinite(leaf):
                raise BadRequest(f"{name}: {leaf} isn't a number that can be kept.")


def _check_need(role: str, need: Need) -> None:
    for field in ("cpus", "memory"):
        wanted: Range = getattr(need, field)
        ends = [end for end in (wanted.minimum, wanted.maximum) if end is not None]
        if any(not 0 < end <= 2**60 for end in ends) or ends != sorted(ends):
            raise BadRequest(f"{role}.{field}: the two ends of a range are above 0, and the smaller one comes first.")
    if not 0 <= need.gpus <= 1024:
        raise BadRequest(f"{role}.gpus={need.gpus} can't be used: write how many, such as 1.")
    if need.disk is not None and not 0 <= need.disk <= 2**60:
        raise BadRequest(f"{role}.disk={need.disk} can't be used: write a number of bytes.")
    if not 1 <= need.count <= MOST_WORKERS or not (need.least is None or 0 <= need.least <= need.count):
        raise BadRequest(f"{role}.count is a number from 1 to {MOST_WORKERS}, and least is none above it.")
    if any(not _WORD.match(one) for one in (*need.vm_types, *filter(None, [need.gpu_type]))):
        raise BadRequest(f"{role}: the names of machine types are words, such as 'm6i.large'.")


def _check_duration(name: str, value: timedelta | None, most: timedelta) -> None:
    if value is not None and not timedelta(0) <= value <= most:
        raise BadRequest(f"{name} can't be used: a duration is 0 or more, and at most {most.days} days.")


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    if depth > DEEPEST:
        raise BadRequest(f"{name:.80}: this lies deeper than anybody writes.")
    if is_dataclass(value):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), f"{name}.{field.name}".lstrip("."), depth + 1)
    elif isinstance(value, Mapping):
        if len(value) > MOST_ENTRIES:
            raise BadRequest(f"{name}: at most {MOST_ENTRIES} entries can be kept.")
        for key, item in value.items():
            yield f"a name in {name}", key
            yield from _leaves(item, f"{name}.{key}"[:80], depth + 1)
    elif isinstance(value, list | tuple):
        if len(value) > 20 * MOST_ENTRIES:
            raise BadRequest(f"{name}: at most {20 * MOST_ENTRIES} entries can be kept.")
        for item in value:
            yield from _leaves(item, name, depth + 1)
    else:
        yield name, value
