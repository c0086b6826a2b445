"""The only memory: everything that must outlive a process is here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Sequence, Set
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster, ClusterStatus, Intent
from tradewind.model.computation import Computation
from tradewind.model.environment import Environment
from tradewind.model.events import Event
from tradewind.model.exchange import ClusterNews
from tradewind.model.instance import Instance
from tradewind.model.people import AuditEntry
from tradewind.model.usage import Usage
from tradewind.store import clusters, figures, history, rounds
from tradewind.store.access.people import People
from tradewind.store.archive import Archive
from tradewind.store.environments import Environments
from tradewind.store.facts import Facts
from tradewind.store.figures import StoreFigures
from tradewind.store.idempotency import Idempotency, Once
from tradewind.store.outbox import Outbox
from tradewind.store.pages import Page
from tradewind.store.records import Changes, ClusterSecrets, Lease, Loaded, Story
from tradewind.store.spending import corrections
from tradewind.store.spending.money import Treasury
from tradewind.store.sql import database
from tradewind.store.sql.transactions import Transactions

if TYPE_CHECKING:
    from tradewind.store.reviews import Reviews

__all__ = ["Changes", "ClusterSecrets", "Lease", "Loaded", "Page", "Store"]


class Store:
    """Clusters, their instances, usages, events and computations, in a database that several processes share.

    Every method is one short transaction on one thread: it happens as a whole or not at all. Every one may raise
    :class:`~tradewind.errors.StoreError`; then nothing was written, and the store can be used again once the cause
    is gone. When the caller is cancelled, the transaction that had begun still ends, one way or the other.

    Made by :meth:`open`.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self.archive = Archive(transactions)
        self.people = People(transactions)
        self.facts = Facts(transactions)
        self.environments = Environments(transactions)
        self.idempotency = Idempotency(transactions)
        self.money = Treasury(transactions)
        self.outbox = Outbox(transactions)

    @cached_property
    def reviews(self) -> Reviews:
        """What it knows of reviews; imported on first use, since only servers keep any."""
        made: Reviews = importlib.import_module("tradewind.store.reviews").Reviews(self._transactions)
        return made

    @property
    def place(self) -> str:
        """The file or the database, for messages."""
        return self._transactions.place

    @classmethod
    async def open(cls, url: str | Path, connections: int = database.CONNECTIONS) -> Store:
        """Open the store, made or brought up to date where need be.

        Parameters
        ----------
        url : str or Path
            A file, or a URL as ``sqlite:////home/me/tradewind.db`` or ``postgresql://tradewind@db/tradewind``;
            ``sqlite://`` is a store in memory that ends with :meth:`aclose`.
        connections : int, optional
            How many transactions may be under way at once on PostgreSQL, default 8. On SQLite there is one.

        Raises
        ------
        StoreError
            It can't be opened, isn't a database, is another program's, or a newer Tradewind's.
        MissingExtra
            The library that speaks to PostgreSQL isn't installed.
        """
        return cls(await Transactions.open(url, connections))

    async def aclose(self) -> None:
        """Let go of the file; may be called twice."""
        await self._transactions.aclose()

    # What people do

    async def create_cluster(
        self,
        cluster: Cluster,
        secrets: ClusterSecrets,
        *,
        holder: str | None = None,
        until: datetime | None = None,
        opening: Sequence[Reservation] = (),
        member: str | None = None,
        entry: AuditEntry | None = None,
        once: Once | None = None,
    ) -> None:
        """Write down a new cluster: due at once, or once the lease that it begins with is over. Its revision is 1.

        Parameters
        ----------
        cluster : Cluster
            New.
        secrets : ClusterSecrets
            Its keys.
        holder : str, optional
            Who has the lease from the start, of epoch 0, ``until`` then.
        until : datetime, optional
            The end of that lease.
        opening : sequence of Reservation
            What it holds of budgets from the start.
        member : str, optional
            Id of the user who must be a member at the moment it is written. None where there are no users.
        entry : AuditEntry, optional
            Says whose hand it was.
        once : Once, optional
            The request that asks for it; the cluster is kept as the answer to it.

        Raises
        ------
        Forbidden
            ``member`` is none any more.
        FundsChanged
            A budget has no room for that; nothing was written.
        NameTaken
            A live cluster of this workspace has the name; the message says its status and what to do.
        Unavailable
            The same request was answered at this moment.
        """
        await self._transactions.write(clusters.create, cluster, secrets, holder, until, opening, member, entry, once)

    async def find_cluster(self, workspace: str, name_or_id: str, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id (``live`` only, or any), or None."""
        return await self._transactions.ask(clusters.find, workspace, name_or_id, live)

    async def get_cluster(self, cluster_id: str) -> Cluster:
        """Return the cluster. Raises NotFound."""
        return await self._transactions.ask(clusters.get, cluster_id)

    async def list_clusters(
        self,
        workspace: str,
        live: bool | None = None,
        limit: int = 100,
        *,
        owner: str | None = None,
        statuses: Set[ClusterStatus] | None = None,
        cursor: str | None = None,
    ) -> Page[Cluster]:
        """Return clusters, newest first: all, the ``live`` ones (True) or the stopped ones (False).

        ``cursor`` is the ``next`` of an earlier page; one that isn't raises BadRequest.
        """
        return await self._transactions.ask(clusters.list_all, workspace, live, owner, statuses, limit, cursor)

    async def live_among(self, cluster_ids: Set[str]) -> frozenset[str]:
        """Return which of these are live clusters of any workspace."""
        return await self._transactions.ask(clusters.live_among, cluster_ids)

    async def news(self, workspaces: Set[str], stopped_since: datetime) -> tuple[ClusterNews, ...]:
        """Return how the clusters of these workspaces stand: the live ones, and those that stopped not long ago."""
        return await self._transactions.ask(clusters.news, workspaces, stopped_since)

    async def figures(self, now: datetime) -> StoreFigures:
        """Count what lives in all workspaces, for those who run the server."""
        return await self._transactions.read(figures.figures, now)

    async def equip(
        self,
        cluster_id: str,
        environment: Environment | None,
        now: datetime,
        *,
        compiled: str = "",
        entry: AuditEntry | None = None,
    ) -> None:
        """Change what software the workers are to have, None leaving it as it is; of a stopped cluster, nothing."""
        await self._transactions.write(clusters.equip, cluster_id, environment, compiled, now, entry)

    async def change_intent(
        self,
        cluster_id: str,
        change: Callable[[Intent], Intent],
        now: datetime,
        *,
        entry: AuditEntry | None = None,
    ) -> Cluster:
        """Change what people want of a cluster, and wake whoever looks after it.

        Parameters
        ----------
        cluster_id : str
            Of the cluster.
        change : callable
            Takes the present intent, returns the new one. It runs inside the transaction: it must be quick and pure.
        now : datetime
            The cluster is due from this moment.
        entry : AuditEntry, optional
            Says whose hand it is; written if anything changes.

        Returns
        -------
        Cluster
            As it is then. A stopped cluster comes back unchanged.

        Raises
        ------
        NotFound
            There is no such cluster.
        """
        return await self._transactions.write(clusters.change_intent, cluster_id, change, now, entry)

    async def revision(self, cluster_id: str) -> int:
        """Return the number that every save and every change of intent raises; cheap. Raises NotFound."""
        return await self._transactions.ask(clusters.revision, cluster_id)

    # What the engine does

    async def due(
        self, now: datetime, limit: int = 100, holder: str | None = None, without: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return ids of live clusters to be looked at now, the longest due first.

        Those under another's valid lease are left out, and those of the providers named in ``without``; ``holder`` also
        gets its own.
        """
        return await self._transactions.ask(rounds.due, now, holder, limit, without)

    async def take_due(
        self, now: datetime, holder: str, until: datetime, limit: int = 100, without: Collection[str] = ()
    ) -> tuple[Lease, ...]:
        """Take the leases of live clusters to be looked at now, the longest due first.

        As :meth:`due` and then :meth:`take_lease` for each, at the price of one; replicas that ask at the same moment
        get different clusters, and none waits for another.
        """
        return await self._transactions.write(rounds.take_due, now, holder, until, limit, without)

    async def take_lease(
        self, cluster_id: str, holder: str, now: datetime, until: datetime, *, read: int | None = None
    ) -> Lease | None:
        """Take the lease, or renew it; None while another's is valid.

        Without ``read`` the holder reads the cluster after this, and the cluster isn't due before ``until``: a round
        that goes wrong sends it to the end of the line. Taken again and again and never renewed, it is due later each
        time, up to a minute.

        With ``read``, the revision that the holder has read: while the cluster still has it, the wake-up moves to
        ``until``, since the holder knows by itself when to look, and nobody else may before that.

        A renewal keeps its epoch, also after ``until`` as long as nobody else took it; a take-over raises it.
        Raises NotFound.
        """
        return await self._transactions.write(rounds.take_lease, cluster_id, holder, now, until, read)

    async def renew_leases(
        self,
        holder: str,
        cluster_ids: Sequence[str],
        now: datetime,
        until: datetime,
        observed_at: datetime | None = None,
    ) -> tuple[Lease, ...]:
        """Renew the leases that ``holder`` has on these clusters, all at once, and return them.

        What is missing in the answer is another's by now, or stopped, or being written to at this moment: nothing
        of it changed, and :meth:`take_lease` tells which. A renewal is no change and raises no revision.

        Parameters
        ----------
        holder : str
            Whose leases.
        cluster_ids : sequence of str
            Of which clusters.
        now, until : datetime
            A wake-up that isn't due at ``now`` moves to ``until``: before that, nobody else may look at them anyway.
        observed_at : datetime, optional
            When their provider last listed all of them; an earlier one that is written becomes this.
        """
        return await self._transactions.write(rounds.renew_leases, holder, cluster_ids, now, until, observed_at)

    async def leases(self) -> tuple[Lease, ...]:
        """Return the leases on live clusters, those that ran out too."""
        return await self._transactions.ask(rounds.leases)

    async def release_lease(self, lease: Lease, now: datetime | None = None) -> None:
        """Give the lease back; one that is lost already is a success. With ``now``, others find it due from then on."""
        await self._transactions.write(rounds.release_lease, lease, now)

    async def load(self, cluster_id: str, ended_since: datetime | None = None) -> Loaded:
        """Return the cluster with its instances, open usages and secrets, as of one moment. Raises NotFound.

        With ``ended_since``, workers that ended before it are left out.
        """
        return await self._transactions.read(rounds.load, cluster_id, ended_since)

    async def save(self, lease: Lease, changes: Changes) -> None:
        """Write what a round found and did, and when to look again.

        Never writes the spec or the intent: those are people's. If anybody wrote since the holder read the cluster
        (its revision isn't ``lease.revision``), an earlier wake-up stays. Secrets are deleted with the save that says
        stopped.

        Raises
        ------
        LeaseLost
            Somebody else looks after it now; nothing was written.
        FundsChanged
            A budget has no room for what it shall hold; nothing was written.
        """
        await self._transactions.write(rounds.save, lease, changes)

    async def ended_instances(self, ids: Set[str]) -> tuple[Instance, ...]:
        """Return those of these instances that have ended, of clusters that have stopped."""
        return await self._transactions.read(corrections.ended, ids)

    async def correct(self, instance: Instance, usages: Sequence[Usage], now: datetime) -> None:
        """Write what an instance of a stopped cluster turned out to have been; nobody's lease is needed any more.

        What its budgets have spent is what the bill says from then on.
        """
        await self._transactions.write(corrections.correct, instance, usages, now)

    async def secrets(self, cluster_id: str) -> ClusterSecrets | None:
        """Return what the cluster's keys are made from; None once it has stopped."""
        return await self._transactions.ask(rounds.secrets_of, cluster_id)

    # What happened

    async def stories(self, cluster_ids: Sequence[str]) -> tuple[Story, ...]:
        """Return all there is of these clusters, in the same order; what doesn't exist is left out."""
        return await self._transactions.read(history.stories, cluster_ids)

    async def revisions(self, cluster_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of each that :meth:`revision` tells; what doesn't exist is left out."""
        return await self._transactions.ask(clusters.revisions, cluster_ids)

    async def instances(self, cluster_id: str) -> tuple[Instance, ...]:
        """Return the instances of a cluster, the stopped ones too, in the order they were asked for."""
        return await self._transactions.ask(history.instances, cluster_id)

    async def usages(
        self,
        cluster_ids: Sequence[str] | None = None,
        workspace: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Usage, ...]:
        """Return usages that overlap the time range, oldest first and uncut; what is None doesn't restrict."""
        return await self._transactions.ask(history.usages, cluster_ids, workspace, since, until)

    async def events(self, cluster_id: str, after: int = 0) -> tuple[tuple[int, Event], ...]:
        """Return the journal of a cluster after the entry numbered ``after``, oldest first."""
        return await self._transactions.ask(history.events, cluster_id, after)

    async def computations(
        self,
        workspace: str,
        cluster_id: str | None = None,
        owners: Set[str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Computation]:
        """Return computations, newest first; of these owners' clusters, or with None of all.

        ``cursor`` is the ``next`` of an earlier page; one that isn't raises BadRequest.
        """
        return await self._transactions.ask(history.computations, workspace, cluster_id, owners, limit, cursor)

    async def computation(self, workspace: str, id_prefix: str, owners: Set[str] | None = None) -> Computation:
        """Return the computation whose id is or begins with ``id_prefix``.

        Raises
        ------
        NotFound
            None does.
        BadRequest
            Several do; the message names them.
        """
        return await self._transactions.ask(history.computation, workspace, id_prefix, owners)
