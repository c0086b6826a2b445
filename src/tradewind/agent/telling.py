"""Telling all workers something within a time, whatever one of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Scheduler


async def tell_all(scheduler: Scheduler, message: Mapping[str, Any], within_s: float) -> dict[str, Any]:
    """Send ``message`` to each worker that is there, and return what each answered, by address.

    Who doesn't answer within the time, or can't be reached, stands there with an exception. It is sent the message once
    more, by the stream that its tasks come by: a worker that stood still reads it when it goes on, and before any task
    that comes after. It may so come twice, and later than a newer one: what a worker takes is numbered.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        In its event loop.
    message : mapping
        With ``op``, which the workers know as a question and in the stream.
    within_s : float
        Seconds for each of them; all are asked at once.
    """

    async def tell(address: str) -> Any:
        try:
            async with asyncio.timeout(within_s):
                answers = await scheduler.broadcast(msg=dict(message), workers=[address], on_error="return")
        except TimeoutError as error:
            return error
        return answers[address]

    addresses = list(scheduler.workers)
    answers = dict(zip(addresses, await asyncio.gather(*map(tell, addresses)), strict=True))
    for address, answer in answers.items():
        if isinstance(answer, BaseException) and address in scheduler.stream_comms:
            scheduler.worker_send(address, dict(message))
    return answers
