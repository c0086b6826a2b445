"""What somebody who is signed in may do beside any workspace: by the scopes of their token, and as an operator."""

from __future__ import annotations

from tradewind.errors import Forbidden
from tradewind.model.people import Scope, Signed


def refuse_without(signed: Signed, scope: Scope) -> None:
    """Raise Forbidden for a token without ``scope``."""
    if scope not in signed.scopes:
        raise Forbidden(f"this token was made without the scope {scope.value!r}; make another, or sign in yourself")


def refuse_limited(signed: Signed, scope: Scope = Scope.MANAGE) -> None:
    """Raise Forbidden for a token without ``scope``, and for one of a workspace."""
    refuse_without(signed, scope)
    if signed.workspace is not None:
        raise Forbidden(f"this token is for workspace {signed.workspace!r} alone; sign in yourself")


def refuse_unless_operator(signed: Signed, what: str, scope: Scope = Scope.MANAGE) -> None:
    """Raise Forbidden for whoever may not do ``what``, which only operators of the server do."""
    refuse_without(signed, scope)
    if not signed.user.is_operator:
        raise Forbidden(f"{signed.user.name} is no operator of this server and may not {what}; ask one")
    refuse_limited(signed, scope)
