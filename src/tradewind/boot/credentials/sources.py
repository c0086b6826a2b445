"""All kinds of credentials, by the name a caller gives them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tradewind.boot.credentials.aws import Aws, AwsAsTheyAre
from tradewind.boot.credentials.clouds import Azure, Gcp
from tradewind.boot.credentials.earth import Copernicus, Earthdata
from tradewind.boot.credentials.grant import Source
from tradewind.boot.credentials.tokens import Arraylake, PlanetaryComputer, Variable
from tradewind.errors import BadRequest

CLOUDS: tuple[Source, ...] = (Aws(), Gcp(), Azure())
"""Short-lived by nature, so they go along unasked where a cluster doesn't share the caller's home."""
KNOWN: dict[str, Source] = {
    source.name: source
    for source in (*CLOUDS, AwsAsTheyAre(), Earthdata(), Copernicus(), PlanetaryComputer(), Arraylake())
}
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def sources_from(names: Sequence[str], *, aws_duration: timedelta | None = None) -> tuple[Source, ...]:
    """Return the sources of these names; a word in capitals is a variable.

    Raises
    ------
    BadRequest
        Nothing is known by one of them; names the nearest.
    """
    found = []
    for name in dict.fromkeys(names):
        if isinstance(name, str) and name in KNOWN:
            found.append(KNOWN[name])
        elif isinstance(name, str) and VARIABLE.fullmatch(name):
            found.append(Variable(variable=name))
        else:
            near = difflib.get_close_matches(str(name).lower(), KNOWN, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KNOWN)}, and variables in capitals."
            raise BadRequest(f"credentials: nothing is known by {name!r}: {hint}")
    if {"aws", "s3-keys"} <= {source.name for source in found}:
        raise BadRequest("credentials: 'aws' and 's3-keys' go through the same door: write one of them.")
    return with_duration(found, aws_duration)


def with_duration(sources: Sequence[Source], aws_duration: timedelta | None) -> tuple[Source, ...]:
    """Return the sources, with sessions of AWS of this length."""
    if aws_duration is None:
        return tuple(sources)
    return tuple(replace(one, duration=aws_duration) if isinstance(one, Aws) else one for one in sources)
