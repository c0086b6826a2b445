"""Files of people's own code over HTTP: where they may be put; the bytes themselves never come through here."""

from __future__ import annotations

from tradewind.errors import BadRequest
from tradewind.model.exchange import Deposit, NewDeposit
from tradewind.server.operation import Asked, Nothing, Table

table = Table("artifacts")


@table.on("POST", "/workspaces/{workspace}/artifacts", body=NewDeposit, answer=Deposit, problems=(BadRequest,))
async def deposit(asked: Asked[NewDeposit, Nothing]) -> Deposit:
    """Tell where files of one's own code may be put, by addresses signed for a quarter of an hour; changes nothing."""
    return await asked.verbs.deposits.deposit(asked.body)
