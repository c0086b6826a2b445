"""Files of the caller's own code, put from afar into the depot of the workspace before a cluster is made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from tradewind.engine.access.asker import Asker
from tradewind.engine.depot import Depot, Depots
from tradewind.errors import BadRequest, ConfigError, MissingExtra, Unavailable
from tradewind.model.environment import Environment
from tradewind.model.exchange import Deposit, NewDeposit, Upload
from tradewind.planning.access import Action
from tradewind.planning.wishes import check_artifacts, check_keepable
from tradewind.providers.base import Provider

STREAMED = "your own code goes to the cluster itself, once it is up"


class Deposits:
    """Gives out addresses to write to, and believes nothing before it has looked itself.

    Each person of a workspace has a place of their own: nobody can put anything where another one's machines look.
    """

    def __init__(self, depots: Depots, offered: Callable[[str], Provider], asker: Asker) -> None:
        self._depots = depots
        self._offered = offered
        self._asker = asker

    async def deposit(self, wanted: NewDeposit) -> Deposit:
        """Return where files may be put that machines of clusters on a provider are to fetch.

        Raises
        ------
        BadRequest
            They are named as no files are, or are too many or too large.
        Unavailable
            The store doesn't answer.
        """
        self._asker.refuse_unless(Action.CREATE_CLUSTER)
        check_keepable(wanted)
        check_artifacts(wanted.artifacts)
        circle = self._circle_of(self._asker.caller.user)
        try:
            depot = await self._depot(wanted.provider)
            if isinstance(depot, str):
                return Deposit(is_taken=False, detail=depot)
            missing = await depot.lacking(circle, wanted.artifacts)
            urls = await asyncio.gather(*(depot.depositing(circle, one) for one in missing))
        except OSError as error:
            return Deposit(is_taken=False, detail=f"{error}; {STREAMED}")
        uploads = tuple(Upload(sha256=one.sha256, url=url) for one, url in zip(missing, urls, strict=True))
        return Deposit(is_taken=True, uploads=uploads)

    async def found(self, environment: Environment, provider: str, owner: str) -> Environment:
        """Return software that says where its files are had. Raises BadRequest for files that nobody can have.

        From afar that is what the cluster's owner has deposited, whoever asks, and nothing else: a hash is no right to
        a file of this computer.
        """
        is_from_afar = self._asker.is_from_afar
        artifacts = tuple(replace(one, is_deposited=is_from_afar) for one in environment.artifacts)
        if is_from_afar and artifacts:
            try:
                depot = await self._depot(provider)
                if isinstance(depot, str):
                    raise BadRequest(
                        f"this server can't read files of your computer ({artifacts[0].file_name!r} for one), and "
                        f"{depot}. Leave them out: {STREAMED}."
                    )
                missing = await depot.lacking(self._circle_of(owner), artifacts)
            except OSError as error:
                raise Unavailable(str(error)) from None
            if missing:
                raise BadRequest(
                    f"{missing[0].file_name} isn't in the depot, or not with {missing[0].size:,} bytes: ask where it "
                    "may be put (POST …/artifacts), put it there, and ask for the cluster again."
                )
        return replace(environment, artifacts=artifacts)

    async def _depot(self, provider: str) -> Depot | str:
        """Return where deposits for machines of a provider lie, or why there is no such place.

        Raises BadRequest for such a provider, OSError where the place can't be used for now.
        """
        can = self._offered(provider).capabilities
        if can.same_file_system or not can.runs_software:
            return f"what {provider!r} launches fetches none"
        try:
            depot = await self._depots.of(self._asker.workspace)
        except (ConfigError, MissingExtra) as error:
            return f"its store can't be used: {error}"
        if depot is None:
            return "it has no store for them (artifacts_url)"
        return depot if depot.takes_deposits else "its store is a directory, which takes none from afar"

    def _circle_of(self, owner: str) -> tuple[str, ...]:
        return self._depots.circle(self._asker.workspace, owner)
