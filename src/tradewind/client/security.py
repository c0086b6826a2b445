"""From a cluster's keys to a Dask connection."""

from __future__ import annotations

import logging
from typing import Any

import dask.config
from distributed.security import Security

from tradewind.boot.process import KeyPair
from tradewind.boot.unwritten import read_once
from tradewind.client.door import open_api
from tradewind.errors import TradewindError

log = logging.getLogger("tradewind")

LOADER = "distributed.client.security-loader"


class UnwrittenSecurity(Security):
    """Dask's, whose key is written on no disk: by itself Dask makes a file of it for each connection."""

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return what a connection in ``role`` is made with, as Dask does."""
        tls = self.get_tls_config_for_role(role)
        if not tls["cert"] or "\n" not in (tls["key"] or ""):
            found: dict[str, Any] = super().get_connection_args(role)
            return found
        with read_once(f"{tls['cert'].rstrip()}\n{tls['key']}") as path:
            made: dict[str, Any] = Security(
                require_encryption=self.require_encryption,
                extra_conn_args=self.extra_conn_args,
                tls_ciphers=self.tls_ciphers,
                tls_min_version=self.tls_min_version,
                tls_max_version=self.tls_max_version,
                tls_ca_file=self.tls_ca_file,
                **{f"tls_{role}_cert": path, f"tls_{role}_key": path},
            ).get_connection_args(role)
        return made


def security_from(keys: KeyPair) -> Security:
    """Return what a Dask client needs to connect."""
    return UnwrittenSecurity(
        require_encryption=True,
        tls_ca_file=keys.authority,
        tls_client_cert=keys.certificate,
        tls_client_key=keys.key.reveal(),
    )


def load(info: dict[str, Any]) -> Security | None:
    """Return the keys for ``Client("tls://…")`` where the address is one of our clusters; Dask calls this."""
    try:
        api = open_api(looks_after=False)
        for view in api.run(api.list_clusters(live=True)):
            contact = view.cluster.contact
            if contact is not None and contact.scheduler == info["address"]:
                return security_from(api.run(api.keys(view.cluster.id)))
    except TradewindError as error:
        # It may be anybody's cluster, and a fault of our store must not keep its owner out.
        log.warning("Whether %s is one of Tradewind's can't be known: %s", info["address"], error)
    return None


def register() -> None:
    """Let ``Client("tls://…")`` find the keys of our clusters, unless somebody else's loader is set."""
    if dask.config.get(LOADER, None) is None:
        dask.config.set({LOADER: f"{__name__}.load"})
