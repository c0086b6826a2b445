"""A notebook's code: its cells, without what only IPython understands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tradewind.advisor.freedom.code import Piece, look_at_pieces, parse
from tradewind.advisor.freedom.finding import Document, Looked, Place, Unread, Use
from tradewind.advisor.freedom.rules import Freedoms
from tradewind.advisor.freedom.software import package_name

HARMLESS = frozenset({"time", "timeit", "capture", "prun", "mprun", "memit", "px", "debug", "snakeviz"})
"""Cell magics under which the cell is Python all the same."""
LONGEST = 500
_INDENT = re.compile(r"\s*")
_MAGIC = re.compile(r"\s*(?:[\w., ]+=\s*)?[%!](?=[\w%!./~{])")
_TIMED = re.compile(r"(\s*(?:[\w., ]+=\s*)?)%time(?:it)?\s+(?=[A-Za-z_(])")
_HELP = re.compile(r"\s*\??\??[\w.]+\?{1,2}\s*$|\s*\?{1,2}[\w.]+\s*$")
_INSTALL = re.compile(
    r"\s*[%!]\s*(?:(?:python3?|\{?sys\.executable\}?)\s+-m\s+|uv\s+)?"
    r"(?:pip3?|conda|mamba|micromamba)\s+install\s+(.*)"
)


def look_at_notebook(document: Document, freedoms: Freedoms) -> Looked:
    """Return what is found in the code cells of a notebook."""
    try:
        cells = cells_of(json.loads(document.text))
    except (ValueError, RecursionError) as error:
        why = f"this is no notebook that can be read: {str(error) or 'it is nested too deeply'}"
        return Looked(unread=(Unread(path=document.path, why=why),))
    if cells is None:
        return Looked(unread=(Unread(path=document.path, why="it has no cells, as notebooks have since format 4"),))
    language = cells[0]
    if language not in {"", "python"}:
        return Looked(
            unread=(Unread(path=document.path, why=f"it is written in {language[:40]}, and only Python is read"),)
        )
    pieces = []
    uses: list[Use] = []
    for number, text in cells[1]:
        uses.extend(_installed(text, document.path, number, freedoms))
        plain = text if _is_python(text) else plain_python(text)
        if plain is not None:
            pieces.append(Piece(text=plain, cell=number))
    looked = look_at_pieces(document.path, pieces, freedoms)
    return Looked(
        findings=looked.findings,
        uses=looked.uses + tuple(uses),
        addresses=looked.addresses,
        units=looked.units,
        unread=looked.unread,
    )


def _is_python(cell: str) -> bool:
    try:
        parse(cell)
    except SyntaxError:
        return False
    return True


def plain_python(cell: str) -> str | None:
    """Return a cell as Python, line for line; None where it is another language.

    Magics and shell commands become ``pass``, so that every line keeps its number.
    """
    lines = cell.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].lstrip().startswith("%%"):
        words = lines[first].lstrip()[2:].split()
        if not words or words[0] not in HARMLESS:
            return None
        lines[first] = ""
    plain = []
    goes_on = False
    for line in lines:
        indent = _INDENT.match(line)
        assert indent is not None
        short = line[:LONGEST]  # what is longer is data
        is_magic = goes_on or bool(_MAGIC.match(short) or _HELP.match(short))
        timed = _TIMED.match(short)
        if timed is not None and not goes_on:
            plain.append(line[: timed.end(1)] + line[timed.end() :])
            is_magic = False
        elif is_magic:
            plain.append(indent[0] + "pass")
        else:
            plain.append(line)
        goes_on = is_magic and line.rstrip().endswith("\\")
    return "\n".join(plain)


def cells_of(notebook: Any) -> tuple[str, list[tuple[int, str]]] | None:
    """Return a notebook's language and its code cells by number; None where there are no cells."""
    if not isinstance(notebook, Mapping) or not isinstance(notebook.get("cells"), list):
        return None
    metadata = notebook.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, Mapping) else None
    language = kernel.get("language", "") if isinstance(kernel, Mapping) else ""
    found = []
    for number, cell in enumerate(notebook["cells"], start=1):
        if isinstance(cell, Mapping) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            lines = source if isinstance(source, list) else [source]
            found.append((number, "".join(line for line in lines if isinstance(line, str))))
    return (language.lower() if isinstance(language, str) else ""), found


def _installed(text: str, path: str, cell: int, freedoms: Freedoms) -> list[Use]:
    uses = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _INSTALL.match(line)
        for word in match[1].split() if match else ():
            client = freedoms.client_of(package_name(word.strip("'\"")))
            if client is not None:
                place = Place(path=path, cell=cell, line=number)
                uses.append(Use(client=client, place=place, is_declared=True))
    return uses
