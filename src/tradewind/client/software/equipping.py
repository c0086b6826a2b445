"""A cluster that is started for others, or for later: with the software of who starts it, as ``Cluster(…)`` has it."""

from __future__ import annotations

import asyncio

from distributed.core import rpc

from tradewind.client import security
from tradewind.client.door import Place
from tradewind.client.session import Session
from tradewind.client.software.sync import Sync
from tradewind.model.cluster import Cluster


async def create_equipped(session: Session, place: Place) -> Cluster:
    """Make the cluster that a session was opened for, and bring it the caller's own code; return its record.

    Returns at once where no code has to be brought, else as soon as its scheduler has it. Any error or Ctrl-C on the
    way ends what was started.

    Raises
    ------
    BadRequest
        It can't be had as asked; nothing was started.
    NameTaken
        There is a live one of its name.
    ClusterStartError
        It could not be brought up.
    """
    await session.find_or_create(look_for_name=False, scaling_asked=None)
    if session.to_bring is None or not session.to_bring.artifacts:
        return session.record
    security.register()
    try:
        contact = await session.until_contact()
        keys = security.security_from(await session.api.keys(session.record.id))
        async with rpc(contact.scheduler, connection_args=keys.get_connection_args("client")) as scheduler:
            await Sync(session, place).bring_first(scheduler)
    except BaseException as error:
        why = "it was interrupted" if isinstance(error, asyncio.CancelledError) else str(error)
        await asyncio.shield(session.stop(f"its start was given up: {why or type(error).__name__}"))
        raise
    return session.record
