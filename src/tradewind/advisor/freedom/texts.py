"""What texts give away, in code and in settings alike: paths, regions, accounts, buckets."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from tradewind.advisor.freedom.finding import Address, Document, Finding, Looked, Place
from tradewind.advisor.freedom.rules import Freedoms

LONGEST = 4000
"""Letters of a string or line that are looked at: what is longer is data, not an address."""
SCHEMES = {"s3": "aws", "s3a": "aws", "gs": "google", "gcs": "google"} | dict.fromkeys(
    ("abfs", "abfss", "az", "adl", "wasb", "wasbs"), "azure"
)
_URL = re.compile(
    r"(?<![\w+])(?P<scheme>s3a?|gcs|gs|abfss?|az|adl|wasbs?)://(?P<bucket>[a-z0-9][\w.-]*[a-z0-9])", re.IGNORECASE
)
_AWS = re.compile(
    r"https?://(?:(?P<bucket>[a-z0-9][\w.-]*?)\.)?s3[.-](?:(?P<region>[a-z]{2}-[\w-]+-\d)\.)?amazonaws\.com(?:/(?P<path>[a-z0-9][\w.-]+))?"
)
_GOOGLE = re.compile(r"https?://storage\.googleapis\.com/(?P<bucket>[a-z0-9][\w.-]+)")
_AZURE = re.compile(r"https?://(?P<bucket>[a-z0-9]+)\.(?:blob|dfs)\.core\.windows\.net")
_VALUES = re.compile(r"[\s\"'=,;\[\]{}()<>]+|:(?=\s|$)")


def look_at_string(text: str, place: Place, freedoms: Freedoms) -> Looked:
    """Return what one string, or one value of settings, gives away."""
    text = text[:LONGEST]
    return Looked(
        findings=tuple(_patterns(text, place, freedoms, whole=True)) + tuple(_patterns(text, place, freedoms)),
        addresses=tuple(addresses(text, place)),
    )


def look_at_settings(document: Document, freedoms: Freedoms) -> Looked:
    """Return what the lines of settings, scripts and images give away; comments are passed over."""
    findings: list[Finding] = []
    found: list[Address] = []
    for number, whole_line in enumerate(document.text.splitlines(), start=1):
        line = whole_line[:LONGEST].strip()
        if line.startswith(("#", "//", "%")):
            continue
        place = Place(path=document.path, line=number)
        findings.extend(_patterns(line, place, freedoms))
        found.extend(addresses(line, place))
        for value in _VALUES.split(line):
            if value:
                findings.extend(_patterns(value, place, freedoms, whole=True))
    return Looked(findings=tuple(dict.fromkeys(findings)), addresses=tuple(found))


def addresses(text: str, place: Place) -> Iterator[Address]:
    """Yield the buckets that a text names."""
    for match in _URL.finditer(text):
        yield Address(cloud=SCHEMES[match["scheme"].lower()], bucket=match["bucket"], region="", place=place)
    for match in _AWS.finditer(text):
        if bucket := match["bucket"] or match["path"]:
            yield Address(cloud="aws", bucket=bucket, region=match["region"] or "", place=place)
    for match in _GOOGLE.finditer(text):
        yield Address(cloud="google", bucket=match["bucket"], region="", place=place)
    for match in _AZURE.finditer(text):
        yield Address(cloud="azure", bucket=match["bucket"], region="", place=place)


def _patterns(text: str, place: Place, freedoms: Freedoms, *, whole: bool = False) -> Iterator[Finding]:
    for pattern in freedoms.patterns:
        if pattern.is_whole is not whole:
            continue
        if pattern.files and not any(fnmatch.fnmatchcase(place.path, name) for name in pattern.files):
            continue
        for what in pattern.found(text):
            yield Finding(rule=pattern.rule, what=what, place=place)
