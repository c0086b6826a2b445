"""The directory, the questions and the rules that come with the package: the one place that reads the files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from tradewind.advisor.assumptions import Assumptions, read_assumptions
from tradewind.advisor.expression import Grammar
from tradewind.advisor.freedom.rules import Freedoms, read_freedoms
from tradewind.advisor.partner import Directory
from tradewind.advisor.questions import Questionnaire
from tradewind.advisor.reading import (
    Reader,
    parsed,
    read_fields,
    read_places,
    read_questions,
    read_sources,
)
from tradewind.advisor.rules import Rules, read_rules
from tradewind.errors import ConfigError

HERE = files("tradewind.advisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Everything the advisor knows."""

    questionnaire: Questionnaire
    rules: Rules

    @property
    def directory(self) -> Directory:
        """The partners."""
        return self.questionnaire.directory


@functools.cache
def open_shelf() -> Shelf:
    """Return the directory, questions and rules of this version; read once.

    Raises
    ------
    ConfigError
        A file has faults; names them.
    """
    reader = open_reader()
    partners = tuple(reader.partner(_text(file), file.name) for file in directory_files(HERE / "directory"))
    directory = Directory(fields=reader.fields, partners=partners)
    questions = read_questions(parsed(_text(HERE / "questions.toml"), "questions.toml"))
    grammar = _grammar(reader, {question.id: question.order for question in questions})
    return Shelf(
        questionnaire=Questionnaire(questions=questions, places=reader.places, directory=directory),
        rules=read_rules(parsed(_text(HERE / "rules.toml"), "rules.toml"), grammar),
    )


@functools.cache
def open_freedoms() -> Freedoms:
    """Return the rules by which a project's freedom is judged. Raises ConfigError."""
    folder = HERE / "freedom"
    rules = parsed(_text(folder / "rules.toml"), "freedom/rules.toml")
    clients = parsed(_text(folder / "clients.toml"), "freedom/clients.toml")
    return read_freedoms(rules, clients, _grammar(open_reader(), {}), open_shelf().directory)


@functools.cache
def open_metered() -> Mapping[str, tuple[str, ...]]:
    """Return by which providers the use of a partner is metered, by the partner's id. Raises ConfigError."""
    tables = parsed(_text(HERE / "metered.toml"), "metered.toml")
    return {partner: tuple(providers) for partner, providers in tables.items()}


@functools.cache
def open_words_of_moves() -> Mapping[str, Mapping[str, str]]:
    """Return how each fact of an infrastructure is told to somebody who moves. Raises ConfigError."""
    return parsed(_text(HERE / "freedom" / "ways.toml"), "freedom/ways.toml")


def read_toml(file: Traversable) -> dict[str, Any]:
    """Return the tables of a file that somebody wrote; a :class:`pathlib.Path` will do.

    Raises
    ------
    ConfigError
        It can't be opened, or isn't TOML in UTF-8; names the file, and the line.
    """
    try:
        written = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error
    return parsed(written, str(file))


def open_reader() -> Reader:
    """Return what reads a file of the directory."""
    return Reader(
        fields=read_fields(parsed(_text(HERE / "fields.toml"), "fields.toml")),
        sources=read_sources(parsed(_text(HERE / "sources.toml"), "sources.toml")),
        places=read_places(parsed(_text(HERE / "countries.toml"), "countries.toml")),
    )


def directory_files(folder: Traversable) -> list[Traversable]:
    """Return the files of a directory of partners, by name."""
    return sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _grammar(reader: Reader, questions: Mapping[str, tuple[str, ...]]) -> Grammar:
    fields = {name: field.words for name, field in reader.fields.items()}
    return Grammar(fields=fields, questions=questions, places=reader.places)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


@functools.cache
def open_assumptions() -> Assumptions:
    """Return what an estimate takes for granted."""
    sources = read_sources(parsed(_text(HERE / "sources.toml"), "sources.toml"))
    return read_assumptions(parsed(_text(HERE / "assumptions.toml"), "assumptions.toml"), sources)
