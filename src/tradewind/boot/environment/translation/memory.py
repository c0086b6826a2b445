"""Translations that were found before: the second start of the same software asks nobody."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tradewind.model.environment import (
    Artifact,
    Confidence,
    Difference,
    Environment,
    Package,
    Source,
    Target,
    Translation,
)

FORM = 1
"""Of what is written; another number forgets all of it."""


def place_of(environment: Environment, target: Target, ignore: Collection[str], cache: Path) -> Path:
    """Return the file in the user's cache directory that has the answer to this very question, if it was asked."""
    # Who asked for what doesn't change the hash of an environment, and it does change what may be dropped.
    asked = [[p.name, p.extras] for p in environment.packages if p.is_requested or p.extras]
    key = [FORM, environment.content_hash, asked, target.platform, target.python, target.glibc, sorted(ignore)]
    return cache / "translations" / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.json"


def remembered(place: Path) -> Translation | None:
    """Return what was found before; None where nothing was, or what is there isn't whole."""
    try:
        return _translation(json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(found: Translation, place: Path) -> None:
    """Write an answer down for the next start; may be called by several processes at once."""
    with suppress(OSError):  # a full disk or a directory that isn't ours: it is found anew next time
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(found), file)
        os.replace(beside, place)


def _translation(value: Any) -> Translation:
    facts = value["environment"]
    return Translation(
        environment=Environment(
            python=facts["python"],
            platform=facts["platform"],
            packages=tuple(
                Package(**{**one, "source": Source(one["source"]), "extras": tuple(one["extras"])})
                for one in facts["packages"]
            ),
            content_hash=facts["content_hash"],
            artifacts=tuple(Artifact(**one) for one in facts["artifacts"]),
            indexes=tuple(facts["indexes"]),
            channels=tuple(facts["channels"]),
        ),
        differences=tuple(
            Difference(**{**one, "confidence": Confidence(one["confidence"])}) for one in value["differences"]
        ),
    )
