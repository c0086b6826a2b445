"""Everything Tradewind raises on purpose.

::

    TradewindError
    ├── BadRequest            what was asked can't be used; nothing was started
    │   └── UnknownKeyword    a keyword nobody knows (also a TypeError)
    ├── ConfigError           a settings file or variable can't be used
    │   └── NotSetUp          the settings say nothing of an infrastructure that needs it
    ├── MissingExtra          an optional library isn't installed
    ├── NotFound              no such cluster, computation, …
    ├── NameTaken             the name belongs to a cluster in another state, or live clusters run what it names
    ├── OverBudget            a limit on spending doesn't allow it (also a BadRequest)
    ├── SignInNeeded          nobody is signed in, or the token isn't good any more
    ├── Forbidden             this user may not do this
    ├── TooMany               asked too often; again after ``retry_after``
    ├── LeaseLost             somebody else looks after this cluster now
    ├── FundsChanged          others took of a budget meanwhile: read what is left, and decide again
    ├── ClusterStartError     a cluster could not be brought up (carries ``cluster_id``)
    ├── SyncError             some workers have other software than the rest (carries ``workers``)
    ├── StoreError            the store can't be read or written
    ├── ServerError           a server doesn't answer, or not as one of ours would
    └── ProviderError         an infrastructure answered, and each answer is a decision
        ├── NoCapacity        → take the next offer
        ├── Rejected          → tell the user, in the infrastructure's own words
        └── Unavailable       → look again after ``retry_after``
            └── StillPreparing  the same, and nothing is wrong: say what goes on

A type exists where a caller decides differently. A message names the thing, the fact and the next step.
"""

from datetime import timedelta


class TradewindError(Exception):
    """Root of all errors raised on purpose."""


class BadRequest(TradewindError, ValueError):
    """What was asked can't be used. Raised before anything is started or spent."""


class UnknownKeyword(BadRequest, TypeError):
    """A keyword that no part of Tradewind knows."""


class ConfigError(TradewindError):
    """A settings file or an environment variable can't be used."""


class NotSetUp(ConfigError):
    """The settings say nothing of an infrastructure that needs it. Decision: who didn't ask for it does without."""


class MissingExtra(TradewindError, ImportError):
    """An optional library isn't installed; the message holds the command that installs it."""


class NotFound(TradewindError, LookupError):
    """There is no such thing in this workspace."""


class NameTaken(TradewindError):
    """The name belongs to a cluster that is in another state, or live clusters run what it names."""


class OverBudget(BadRequest):
    """A limit on spending doesn't allow it; nothing was started."""


class SignInNeeded(TradewindError):
    """Nobody is signed in, or the token has expired or was revoked. Decision: sign in again."""


class Forbidden(TradewindError, PermissionError):
    """This user may not do this here; the message says who may."""


class TooMany(TradewindError):
    """Asked too often. Decision: wait, then ask again.

    Parameters
    ----------
    message : str
        What the limit is.
    retry_after : timedelta
        How long to wait.
    """

    def __init__(self, message: str, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LeaseLost(TradewindError):
    """Somebody else looks after this cluster now; what was planned must not be written."""


class FundsChanged(TradewindError):
    """A budget has no room for a reservation any more; nothing was written. Decision: read its accounts, plan again."""


class ClusterStartError(TradewindError):
    """A cluster could not be brought up.

    Parameters
    ----------
    message : str
        What failed, grouped and counted.
    cluster_id : str, optional
        The cluster's id; None where no record was made.
    """

    def __init__(self, message: str, cluster_id: str | None = None) -> None:
        super().__init__(message)
        self.cluster_id = cluster_id


class SyncError(TradewindError):
    """Some workers of a cluster have other software than the rest. Decision: sync again, or let them go.

    Parameters
    ----------
    message : str
        What kept them from it.
    workers : tuple of str
        Their names.
    """

    def __init__(self, message: str, workers: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.workers = workers


class StoreError(TradewindError):
    """The store can't be read or written; nothing was half written."""


class ServerError(TradewindError):
    """A server doesn't answer, or not as one of ours would; what was asked may or may not have been done."""


class ProviderError(TradewindError):
    """An infrastructure answered with something else than success."""


class NoCapacity(ProviderError):
    """The offer can't be had now. Decision: take the next offer."""


class Rejected(ProviderError):
    """The infrastructure refuses. Decision: tell the user, in the infrastructure's words."""


class Unavailable(ProviderError):
    """The infrastructure doesn't answer. Decision: look again later.

    Parameters
    ----------
    message : str
        What was tried, and what came back.
    retry_after : timedelta
        How long to wait before the next try.
    """

    def __init__(self, message: str, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StillPreparing(Unavailable):
    """The infrastructure is making ready what was asked. Decision: look again later, and tell that nothing is wrong."""
