"""Reviews of partners, each with who wrote it, who decided on it, and what the partner answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tradewind import wire
from tradewind.errors import BadRequest, NotFound
from tradewind.model.reviews import Interest, NewReview, Review, ReviewAnswer, ReviewStatus, Speaker, UseProof
from tradewind.store.access.audit import By, record
from tradewind.store.schema import reviews, speakers, users
from tradewind.store.sql.database import insert_unless_there, upsert
from tradewind.store.sql.transactions import Transactions

of = reviews.c


class Reviews:
    """What the store knows of reviews. Every method is one short transaction."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def listed(
        self,
        *,
        seen_by: str | None,
        partner: str | None = None,
        status: ReviewStatus | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> tuple[Review, ...]:
        """Return reviews, the newest first.

        Parameters
        ----------
        seen_by : str or None
            Id of a user, who sees what is published and their own; None sees all.
        partner : str, optional
            Of this one alone.
        status : ReviewStatus, optional
            In this state alone.
        before : str, optional
            Id of a review: those that follow it.
        limit : int
            How many at most.
        """
        return await self._transactions.read(_listed, seen_by, partner, status, before, limit)

    async def published(self) -> tuple[Review, ...]:
        """Return all that is published, for what they say together."""
        return await self._transactions.read(_published)

    async def write(self, review: Review, user_id: str, by: By, *, siblings: Collection[str] = ()) -> Review:
        """Write a review; of the same user and partner it takes the place of the one before, decision and answer too.

        Parameters
        ----------
        review : Review
            As it is kept.
        user_id : str
            Whose it is.
        by : By
            For the log.
        siblings : collection of str
            Ids of the other partners that have the operator of this one: who speaks for one speaks for them.

        Raises
        ------
        BadRequest
            The user speaks for the partner or a sibling; or for any other, and declares no interest.
        """
        return await self._transactions.write(_write, review, user_id, by, siblings)

    async def withdraw(self, partner: str, user_id: str, by: By) -> None:
        """Delete a user's review of a partner. Raises NotFound."""
        await self._transactions.write(_withdraw, partner, user_id, by)

    async def find(self, review_id: str) -> Review:
        """Return a review, whoever may see it. Raises NotFound."""
        return await self._transactions.read(lambda connection: review_from(_row(connection, review_id)))

    async def decide(
        self,
        review_id: str,
        status: ReviewStatus,
        reason: str,
        user_id: str,
        by: By,
        *,
        siblings: Collection[str] = (),
    ) -> Review:
        """Publish or refuse a review; what was decided may be decided anew. ``siblings`` as in :meth:`write`.

        Raises
        ------
        NotFound
            There is none.
        BadRequest
            It is the moderator's own, or is of a partner for which they speak, or of a sibling of it.
        """
        return await self._transactions.write(_decide, review_id, status, reason, user_id, by, siblings)

    async def answer(self, review_id: str, text: str, user_id: str, by: By) -> Review:
        """Write what a partner says to a published review; a second answer takes the place of the first.

        Raises
        ------
        NotFound
            There is no such review, or it isn't published.
        BadRequest
            The user doesn't speak for its partner.
        """
        return await self._transactions.write(_answer, review_id, text, user_id, by)

    async def appoint(self, speaker: Speaker, user_id: str, by: By, *, siblings: Collection[str] = ()) -> Speaker:
        """Let a user answer for a partner; twice is once. ``siblings`` as in :meth:`write`.

        Raises
        ------
        BadRequest
            The user has written a review of the partner or a sibling; or one of any other without an interest.
        """
        return await self._transactions.write(_appoint, speaker, user_id, by, siblings)

    async def dismiss(self, partner: str, user: str, by: By) -> None:
        """Let a user answer for a partner no longer. Raises NotFound."""
        await self._transactions.write(_dismiss, partner, user, by)

    async def speakers(self, partner: str) -> tuple[Speaker, ...]:
        """Return who may answer for a partner, by name."""
        return await self._transactions.read(_speakers, partner)


def review_from(row: RowMapping) -> Review:
    """Return the review of a row."""
    answer = None
    if row["answer"] is not None:
        answer = ReviewAnswer(by=row["answer_by"], at=row["answered_at"], text=row["answer"])
    return Review(
        id=row["id"],
        partner=row["partner"],
        by=row["user"],
        written_at=row["written_at"],
        said=wire.load_json(NewReview, row["said"]),
        status=ReviewStatus(row["status"]),
        proof=wire.load_json(UseProof, row["proof"]) if row["proof"] is not None else None,
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        reason=row["reason"],
        answer=answer,
    )


def _listed(
    connection: Connection,
    seen_by: str | None,
    partner: str | None,
    status: ReviewStatus | None,
    before: str | None,
    limit: int,
) -> tuple[Review, ...]:
    wanted: list[ColumnElement[bool]] = []
    if seen_by is not None:
        wanted.append(or_(of.status == ReviewStatus.PUBLISHED.value, of.user_id == seen_by))
    if partner is not None:
        wanted.append(of.partner == partner)
    if status is not None:
        wanted.append(of.status == status.value)
    if before is not None:
        last = connection.execute(select(of.written_at).where(of.id == before)).scalar()
        if last is None:
            raise BadRequest("this cursor is none that this server gave, or its review is gone; begin without one")
        wanted.append((of.written_at < last) | ((of.written_at == last) & (of.id < before)))
    statement = select(reviews).where(*wanted).order_by(of.written_at.desc(), of.id.desc()).limit(limit)
    return tuple(map(review_from, connection.execute(statement).mappings()))


def _published(connection: Connection) -> tuple[Review, ...]:
    statement = select(reviews).where(of.status == ReviewStatus.PUBLISHED.value).order_by(of.written_at, of.id)
    return tuple(map(review_from, connection.execute(statement).mappings()))


def _write(connection: Connection, review: Review, user_id: str, by: By, siblings: Collection[str]) -> Review:
    _hold(connection, user_id)
    spoken = _spoken_for(connection, user_id)
    if ours := _first_of(review.partner, siblings, spoken):
        raise BadRequest(f"you speak for {_told(ours, review.partner)}, and answer reviews of it: others write them")
    if spoken and review.said.interest is Interest.NONE:
        raise BadRequest(
            f"you speak for {spoken[0]}, and declare no interest: declare {Interest.COMPETES.value}, or what it is"
        )
    mine = (of.partner == review.partner) & (of.user_id == user_id)
    before = connection.execute(select(of.id).where(mine)).scalar()
    connection.execute(delete(reviews).where(mine))
    values = {
        "id": review.id,
        "partner": review.partner,
        "user_id": user_id,
        "user": review.by,
        "written_at": review.written_at,
        "said": wire.dump_json(review.said),
        "proof": wire.dump_json(review.proof) if review.proof is not None else None,
        "status": review.status.value,
        "reason": "",
    }
    # Of two at the same moment, the second takes the place of the first when it is sent again.
    if not insert_unless_there(connection, reviews, values, index_elements=["partner", "user_id"]):
        raise BadRequest(f"another review of {review.partner} by you was written at this moment; look at it first")
    detail = f"interest: {review.said.interest.value}"
    if before is not None:
        detail += f"; takes the place of {before}"
    record(connection, by.did("review.written", f"{review.partner} {review.id}", detail))
    return review


def _withdraw(connection: Connection, partner: str, user_id: str, by: By) -> None:
    mine = (of.partner == partner) & (of.user_id == user_id)
    found = connection.execute(select(of.id).where(mine)).scalar()
    if found is None:
        raise NotFound(f"you have no review of {partner!r}")
    connection.execute(delete(reviews).where(mine))
    record(connection, by.did("review.withdrawn", f"{partner} {found}"))


def _decide(
    connection: Connection,
    review_id: str,
    status: ReviewStatus,
    reason: str,
    user_id: str,
    by: By,
    siblings: Collection[str],
) -> Review:
    row = _row(connection, review_id)
    if row["user_id"] == user_id:
        raise BadRequest("nobody decides on a review of their own; ask another operator")
    spoken = _spoken_for(connection, user_id)
    if ours := _first_of(row["partner"], siblings, spoken):
        raise BadRequest(
            f"you speak for {_told(ours, row['partner'])}, and can't decide what is said of it; ask another operator"
        )
    values = {"status": status.value, "decided_by": by.user, "decided_at": by.at, "reason": reason}
    connection.execute(update(reviews).where(of.id == review_id).values(values))
    # Who speaks for another partner may decide, where nobody else is there to; everybody can see that they did.
    interest = f"decided by who speaks for {', '.join(spoken)}" if spoken else ""
    detail = "; ".join(filter(None, (reason, interest)))
    record(connection, by.did(f"review.{status.value}", f"{row['partner']} {review_id}", detail))
    return replace(review_from(row), status=status, decided_by=by.user, decided_at=by.at, reason=reason)


def _answer(connection: Connection, review_id: str, text: str, user_id: str, by: By) -> Review:
    row = _row(connection, review_id)
    if row["status"] != ReviewStatus.PUBLISHED.value:
        raise _missing(review_id)
    if row["partner"] not in _spoken_for(connection, user_id):
        raise BadRequest(f"you don't speak for {row['partner']}; an operator says who does: tradewind review speaker")
    values = {"answer": text, "answer_by": by.user, "answered_at": by.at}
    connection.execute(update(reviews).where(of.id == review_id).values(values))
    record(connection, by.did("review.answered", f"{row['partner']} {review_id}"))
    return replace(review_from(row), answer=ReviewAnswer(by=by.user, at=by.at, text=text))


def _appoint(connection: Connection, speaker: Speaker, user_id: str, by: By, siblings: Collection[str]) -> Speaker:
    _hold(connection, user_id)
    written = select(of.partner, of.said).where(of.user_id == user_id).order_by(of.partner)
    said = {row["partner"]: wire.load_json(NewReview, row["said"]) for row in connection.execute(written).mappings()}
    if own := _first_of(speaker.partner, siblings, tuple(said)):
        raise BadRequest(
            f"{speaker.user} has written a review of {_told(own, speaker.partner)}, which is to be withdrawn first"
        )
    # What was written before counts as long as it stands: nobody keeps "no interest" who has one from now on.
    silent = [partner for partner, one in said.items() if one.interest is Interest.NONE]
    if silent:
        raise BadRequest(
            f"{speaker.user} has written of {', '.join(silent)} with no interest declared: to be written anew with"
            f" {Interest.COMPETES.value!r}, or withdrawn, first"
        )
    values = {
        "partner": speaker.partner,
        "user_id": user_id,
        "user": speaker.user,
        "appointed_by": speaker.appointed_by,
        "appointed_at": speaker.appointed_at,
    }
    connection.execute(upsert(connection, speakers), values)
    record(connection, by.did("speaker.appointed", f"{speaker.partner} {speaker.user}"))
    return speaker


def _dismiss(connection: Connection, partner: str, user: str, by: By) -> None:
    them = (speakers.c.partner == partner) & (speakers.c.user == user)
    if connection.execute(select(speakers.c.user).where(them)).scalar() is None:
        raise NotFound(f"{user!r} doesn't speak for {partner!r}")
    connection.execute(delete(speakers).where(them))
    record(connection, by.did("speaker.dismissed", f"{partner} {user}"))


def _speakers(connection: Connection, partner: str) -> tuple[Speaker, ...]:
    statement = select(speakers).where(speakers.c.partner == partner).order_by(speakers.c.user)
    return tuple(
        Speaker(
            partner=row["partner"],
            user=row["user"],
            appointed_by=row["appointed_by"],
            appointed_at=row["appointed_at"],
        )
        for row in connection.execute(statement).mappings()
    )


def _row(connection: Connection, review_id: str) -> RowMapping:
    row = connection.execute(select(reviews).where(of.id == review_id)).mappings().first()
    if row is None:
        raise _missing(review_id)
    return row


def _missing(review_id: str) -> NotFound:
    return NotFound(f"there is no review {review_id!r}; `tradewind review list` shows those there are")


def _hold(connection: Connection, user_id: str) -> None:
    """Let nobody else write for this user, or appoint them, before this ends: each reads what both write."""
    connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True)).all()


def _spoken_for(connection: Connection, user_id: str) -> tuple[str, ...]:
    """Return the partners a user speaks for, by id."""
    theirs = select(speakers.c.partner).where(speakers.c.user_id == user_id).order_by(speakers.c.partner)
    return tuple(connection.execute(theirs).scalars())


def _first_of(partner: str, siblings: Collection[str], among: Collection[str]) -> str | None:
    """Return the partner, or else the first of its siblings, that is among others."""
    return next((one for one in (partner, *sorted(siblings)) if one in among), None)


def _told(ours: str, partner: str) -> str:
    return partner if ours == partner else f"{ours}, whose operator is that of {partner}"
