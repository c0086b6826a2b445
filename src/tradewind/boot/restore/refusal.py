"""What uv says when it can't, in the words of the user."""

from __future__ import annotations

import re

from tradewind.boot.restore.report import CantRestore

PIN = r"(?P<pin>[\w.-]+==[^\s,`;]+|[\w.-]+)"
HINT = re.compile(r"^hint: (.*)$", re.MULTILINE)

REFUSALS = (
    # A full disk makes downloads fail in many words, so it is asked for first.
    (
        "disk_full",
        r"\(os error (?:27|28|122)\)|No space left on device|Disk quota exceeded|File too large",
        "The disk of the machine is full: {place} has {free} left, which isn't enough. Free some, or choose another "
        "`directory` for the machine.",
    ),
    (
        "not_writable",
        r"\(os error (?:13|30)\)|Read-only file system|Permission denied",
        "{place} can't be written on that machine. Choose another `directory` for it.",
    ),
    (
        "password",
        r"(?:query|queried).* (?P<code>40[13]) |lack of valid authentication credentials \((?P<code2>40[13])|"
        r"HTTP status client error \((?P<code3>40[13])",
        "The index asks for a password, and this machine has none: passwords of yours never travel. Let the "
        "package come with the cluster (it does, if its index isn't named public), or put a login for the index on the "
        "machine.",
    ),
    (
        "no_wheel",
        r"Because " + PIN + r" has (?:no wheels with|no usable wheels|only wheels)",
        "{pin} has no wheel for this machine ({platform}, Python {python}). {hint}Ways out: a version that has one, a "
        "machine of the other kind, or a wheel built by you and kept where `pip install` finds it.",
    ),
    (
        "missing",
        r"there is no version of " + PIN,
        "{pin} isn't in the index ({indexes}): it may have been withdrawn, or come from another one. Install a "
        "version here that is there, or name the index it came from.",
    ),
    (
        "missing",
        r"Because (?:[\w.-]+ was not found in the package registry and you require )?"
        + PIN
        + r"(?:,| was not found in)",
        "{pin} isn't in the index ({indexes}). Ways out: set the index that it came from where you start the cluster, "
        "and it travels from there; install what the index has instead; or leave it out with package_sync_ignore.",
    ),
    (
        "wrong_bytes",
        r"Hash mismatch for `?" + PIN,
        "{pin} in the index isn't the file that was recorded: its sha256 differs, so it wasn't used. For this machine "
        "the index may have another file of the same version; if it was replaced there, install it again here.",
    ),
    (
        "wrong_bytes",
        r"(?:Failed to (?:download|fetch|extract|read)|Failed to extract archive:) ?`?" + PIN + r"[\s\S]*"
        r"(?:Bad CRC|[Ii]nvalid (?:zip|deflate|gzip)|corrupt|Failed to extract|RECORD)",
        "{pin} came broken from the index ({indexes}), so it wasn't used. Something between the machine and the index "
        "changes files; try again, or let the machine use another index.",
    ),
    (
        # Where its beginning alone is needed, a file that breaks off is one that can't be read.
        "wrong_bytes",
        r"Because " + PIN + r" has (?:an )?invalid (?:package format|metadata)",
        "{pin} came broken from the index ({indexes}), so it wasn't used: its download broke off, or something between "
        "the machine and the index changes files. Try again, or let the machine use another index.",
    ),
    (
        "unreachable",
        r"Failed to download `" + PIN + r"`[\s\S]*(?:end of file|error decoding|error reading|timed out|connection)",
        "The download of {pin} broke off, again and again, from the index ({indexes}). Try again when its network is "
        "better.",
    ),
    (
        "unreachable",
        r"Failed to fetch|error sending request|dns error|Connection refused|timed out|tcp connect error",
        "The index ({indexes}) can't be reached from this machine: {cause}. Let the machine reach it, or name one "
        "that it can.",
    ),
    (
        "repository",
        r"Git operation failed|Git executable not found",
        "A package comes from a repository that this machine can't reach: {cause}. Let it travel with the cluster.",
    ),
)  # fmt: skip
"""Code, what uv's text has then, the sentence; the first that fits."""


def refusal_of(text: str, facts: dict[str, str], what: str) -> CantRestore:
    """Return why uv couldn't do ``what``, from the text that it ended with."""
    causes = re.findall(r"^ *cause: (.*)$", text, re.MULTILINE)
    hints = HINT.findall(text)
    words = dict(facts)
    words["cause"] = causes[-1] if causes else "it gave no cause"
    words["hint"] = "".join(f"{hint.rstrip('.')}. " for hint in hints[:1])
    for code, pattern, sentence in REFUSALS:
        if found := re.search(pattern, text):
            words["pin"] = (found.groupdict().get("pin") or "").replace("==", " ")
            return CantRestore(code, sentence.format(**words), text)
    lines = [line for line in text.splitlines() if line.strip()]
    why = (causes[0] if causes else "") or (lines[-1] if lines else "it said nothing")
    return CantRestore("failed", f"{what} failed on this machine: {why}", text)
