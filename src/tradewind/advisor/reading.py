"""The files of the directory, read: TOML to partners with their facts; and what is wrong with a file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradewind.advisor.expression import value
from tradewind.advisor.fact import Better, Confidence, Fact, Field, FieldType, Kind, Source, Value
from tradewind.advisor.fee import read_fee
from tradewind.advisor.number import plain_number
from tradewind.advisor.partner import Partner, PartnerKind, Remark
from tradewind.advisor.places import Places
from tradewind.advisor.questions import Question, QuestionType
from tradewind.advisor.shape import Shape, misshapen, shown
from tradewind.errors import ConfigError

PARTNER_KEYS: Mapping[str, Shape] = {
    **dict.fromkeys(("id", "name", "kind", "operator", "what"), Shape.TEXT),
    **{"read": Shape.DAY, "interest": Shape.WORDS, "also": Shape.WORDS},
    **{"facts": Shape.TABLE, "remarks": Shape.TABLES},
}
SAID_KEYS: Mapping[str, Shape] = {
    **dict.fromkeys(("unit", "source", "kind", "confidence", "note"), Shape.TEXT),
    **dict.fromkeys(("source_date", "read_date", "valid_until", "since"), Shape.DAY),
    **dict.fromkeys(("interest", "unsure", "never"), Shape.WORDS),
}
"""What stands beside a value: where it is from, and how sure it is."""
FACT_KEYS = frozenset({"value", *SAID_KEYS})
REMARK_KEYS: Mapping[str, Shape] = {"text": Shape.TEXT, "against": Shape.FLAG}


def parsed(written: str | bytes, name: str) -> dict[str, Any]:
    """Return what stands in a TOML file as tables.

    Raises
    ------
    ConfigError
        It isn't TOML in UTF-8; says in which line.
    """
    try:
        # Editors of some systems begin a file with a mark of its encoding.
        text = written if isinstance(written, str) else written.decode("utf-8-sig")
        return tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = bytes(error.object).count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name} can't be read: line {line} has a letter that isn't UTF-8; save it in that encoding."
        ) from error
    except (ValueError, RecursionError) as error:
        # Beside what isn't TOML: numbers of thousands of digits, and lists in lists without end.
        raise ConfigError(f"{name} can't be read: {error}.") from error


def read_fields(tables: Mapping[str, Any]) -> dict[str, Field]:
    """Return what may be known of a partner."""
    return {
        name: Field(
            name=name,
            meaning=table["meaning"],
            type=FieldType(table["type"]),
            shelf=timedelta(days=table["shelf"]),
            unit=table.get("unit", ""),
            words=tuple(table.get("words", ())),
            better=Better(table.get("better", "neither")),
            most=Decimal(table["most"]) if "most" in table else None,
        )
        for name, table in tables.items()
    }


def read_sources(tables: Mapping[str, Any]) -> dict[str, Source]:
    """Return where facts are from, by code.

    Raises
    ------
    ConfigError
        A source has no title, or a word that isn't known; names it.
    """
    sources = {}
    for code, table in tables.items():
        try:
            sources[code] = Source(
                code=code,
                title=table["title"],
                url=table.get("url", ""),
                date=table.get("date"),
                kind=Kind(table.get("kind", "vendor-claim")),
                confidence=Confidence(table.get("confidence", "verified")),
                interest=tuple(table.get("interest", ())),
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(f"sources.toml, {code}: {error} is missing or can't be read.") from error
    return sources


def read_places(tables: Mapping[str, Any]) -> Places:
    """Return the countries."""
    return Places(
        names={code: tuple(names) for code, names in tables["names"].items()},
        groups={group: frozenset(codes) for group, codes in tables["groups"].items()},
    )


def read_questions(tables: Mapping[str, Any]) -> tuple[Question, ...]:
    """Return the questions, in their order."""
    return tuple(
        Question(
            id=table["id"],
            part=table["part"],
            asks=table["asks"],
            why=table["why"],
            type=QuestionType(table["type"]),
            options=table.get("options", {}),
            unit=table.get("unit", ""),
            least=Decimal(table.get("least", 0)),
            is_whole=table.get("whole", False),
            tries=tuple(table.get("try", ())),
        )
        for table in tables["question"]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads one file of the directory."""

    fields: Mapping[str, Field]
    sources: Mapping[str, Source]
    places: Places

    def partner(self, text: str, name: str) -> Partner:
        """Return the partner of a file.

        Raises
        ------
        ConfigError
            The file has faults; names all of them.
        """
        partner, faults = self.examined(text, name)
        if partner is None or faults:
            raise ConfigError("\n".join(faults))
        return partner

    def examined(self, written: str | bytes, name: str) -> tuple[Partner | None, tuple[str, ...]]:
        """Return the partner of a file, as far as it can be read, and everything that is wrong with the file."""
        try:
            tables = parsed(written, name)
        except ConfigError as error:
            return None, (str(error),)
        return self.judged(tables, name)

    def judged(self, tables: Mapping[str, Any], name: str) -> tuple[Partner | None, tuple[str, ...]]:
        """Return the partner of a file's tables, whatever they hold, and everything that is wrong with them."""
        faults: list[str] = []

        def fault(said: str) -> None:
            faults.append(f"{name}: {said}")

        for key in sorted(tables.keys() - PARTNER_KEYS.keys()):
            fault(f"nobody knows what {key!r} means; a file has {', '.join(sorted(PARTNER_KEYS))}.")
        missing = [key for key in ("id", "name", "kind", "operator", "what", "read", "interest") if key not in tables]
        for key in missing:
            fault(f"it has no {key!r}.")
        slips = list(misshapen(tables, PARTNER_KEYS))
        for slip in slips:
            fault(slip)
        if missing or slips:
            return None, tuple(faults)
        if tables["id"] != name.removesuffix(".toml"):
            fault(f"its id is {tables['id']!r}; the file and the id have the same name.")
        if tables["kind"] not in list(PartnerKind):
            fault(f"its kind is {tables['kind']!r}; there are {', '.join(PartnerKind)}.")
            return None, tuple(faults)
        facts = {}
        for key, table in tables.get("facts", {}).items():
            fact = self._fact(key, table, tables, fault)
            if fact is not None:
                facts[key] = fact
        if "status" not in facts:
            fault("nobody says what its status is; that is the one fact that can't be unknown.")
        remarks = []
        for number, table in enumerate(tables.get("remarks", ()), start=1):
            remark = self._remark(f"remark {number}", table, tables, fault)
            if remark is not None:
                remarks.append(remark)
        partner = Partner(
            id=tables["id"],
            name=tables["name"],
            kind=PartnerKind(tables["kind"]),
            operator=tables["operator"],
            what=tables["what"],
            facts=facts,
            remarks=tuple(remarks),
            also=tuple(tables.get("also", ())),
        )
        return partner, tuple(faults)

    def _fact(self, key: str, table: Any, file: Mapping[str, Any], fault: Callable[[str], None]) -> Fact | None:
        field = self.fields.get(key)
        if field is None:
            fault(f"there is no field {key!r}; fields.toml names those there are.")
            return None
        if not isinstance(table, dict) or "value" not in table:
            fault(f"{key} has no value; leave the fact out where it is unknown.")
            return None
        try:
            read = read_fee(table["value"]) if field.type is FieldType.FEE else value(table["value"])
        except ValueError as error:
            fault(f"{key} is {shown(table['value'])}: {error}")
            return None
        for said in _wrong(field, read, self.places):
            fault(f"{key} is {shown(table['value'])}: {said}")
            return None
        unit = table.get("unit", field.unit)
        if unit != field.unit:
            fault(f"{key} is in {unit!r}, and is to be in {field.unit!r}: convert it, and say so in a note.")
        return self._sourced(key, read, field.unit, field.shelf, table, file, fault)

    def _remark(self, key: str, table: Any, file: Mapping[str, Any], fault: Callable[[str], None]) -> Remark | None:
        if not table.get("text"):
            fault(f"{key} has no text.")
            return None
        slips = list(misshapen(table, REMARK_KEYS))
        for slip in slips:
            fault(f"{key}: {slip}")
        if slips:
            return None
        rest = {word: said for word, said in table.items() if word not in {"text", "against"}}
        fact = self._sourced("remark", table["text"], "", timedelta(days=180), rest, file, fault)
        if fact is None:
            return None
        return Remark(text=table["text"], fact=fact, against=table.get("against", False))

    def _sourced(
        self,
        key: str,
        read: Value,
        unit: str,
        shelf: timedelta,
        table: Mapping[str, Any],
        file: Mapping[str, Any],
        fault: Callable[[str], None],
    ) -> Fact | None:
        for word in sorted(set(table) - FACT_KEYS):
            fault(f"{key}: nobody knows what {word!r} means; a fact has {', '.join(sorted(FACT_KEYS))}.")
        slips = list(misshapen(table, SAID_KEYS))
        for slip in slips:
            fault(f"{key}: {slip}")
        if slips:
            return None
        code = table.get("source")
        if not code:
            fault(f"{key} has no source: say where it was read, or leave it out.")
            return None
        source = self.sources.get(code)
        if source is None:
            fault(f"{key} names the source {code!r}, which sources.toml doesn't have.")
            return None
        read_date = table.get("read_date", file["read"])
        if source.date and source.date > read_date:
            fault(f"{key} was read on {read_date}, before its source {code} was written ({source.date}).")
        try:
            return Fact(
                field=key,
                value=read,
                source=source,
                read_date=read_date,
                valid_until=table.get("valid_until", read_date + shelf),
                unit=unit,
                confidence=Confidence(table.get("confidence", source.confidence)),
                kind=Kind(table.get("kind", source.kind)),
                interest=tuple(dict.fromkeys((*source.interest, *table.get("interest", file["interest"])))),
                since=table.get("since"),
                unsure=tuple(table.get("unsure", ())),
                never=tuple(table.get("never", ())),
                note=table.get("note", ""),
            )
        except ValueError as error:
            fault(f"{key}: {error}.")
            return None


def _wrong(field: Field, read: Any, places: Places) -> list[str]:
    """Return what is wrong with a value; empty where it is as its field wants it."""
    match field.type:
        case FieldType.BOOL:
            return [] if isinstance(read, bool) else ["it is to be true or false."]
        case FieldType.NUMBER:
            number = plain_number(read) if isinstance(read, Decimal) else None
            if number is None or (field.most is not None and number > field.most):
                return [f"it is to be a number from 0 {'up' if field.most is None else f'to {field.most}'}."]
            return []
        case FieldType.FEE:
            return []  # it was read by its own grammar
        case FieldType.TEXT:
            return [] if isinstance(read, str) and read else ["it is to be text."]
        case FieldType.DATE:
            is_date = isinstance(read, date) and not isinstance(read, datetime)
            return [] if is_date else ["it is to be a date, as 2026-11-23."]
        case FieldType.WORD:
            return [] if read in field.words else [f"it is to be one of {', '.join(field.words)}."]
        case FieldType.WORDS | FieldType.PLACES:
            if not isinstance(read, tuple) or not all(isinstance(word, str) for word in read):
                return ["it is to be a list of words."]
            if field.type is FieldType.PLACES:
                strange = [word for word in read if not places.knows(word)]
                return [f"{strange[0]!r} is no country's ISO code, and no group of countries."] if strange else []
            strange = [word for word in read if field.words and word not in field.words]
            return [f"{strange[0]!r} isn't one of {', '.join(field.words)}."] if strange else []
