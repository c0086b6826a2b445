"""What is sent to a host to have an instance started there, and what a refusal means."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tradewind.boot import restore
from tradewind.config import SshHost
from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.host.letter import write_letter
from tradewind.host.task import ONE_THREAD, Task
from tradewind.line import Silent
from tradewind.line.freight import here_of
from tradewind.line.skew import Skew
from tradewind.model.offer import Offer
from tradewind.providers.base import Order
from tradewind.providers.ssh.inventory import Share

BEHIND_S = 50 * 60.0
"""Keys are valid from an hour before they are made: a clock further behind than this takes them for none."""
AHEAD_S = 86400.0
LATEST_S = 60.0
"""An order that arrives later than this after it was given is refused there: nobody waits for it any more."""
WEB = ("https://", "http://")


def check_software(order: Order, hosts: Sequence[SshHost]) -> None:
    """Raise Rejected where no host could be told what software to have."""
    software = order.boot.software
    if all(host.environment is not None for host in hosts):
        return
    if software is None:
        raise Rejected(
            "it isn't known what software the cluster is to run; start it with Cluster(...) from Python, or write an "
            "environment that is on the host into [[ssh.hosts]]"
        )
    here = [here_of(address) for address in software.files.values() if not address.startswith(WEB)]
    missing = [path for path in here if not os.path.isfile(path)]
    if missing:
        raise Rejected(f"{missing[0]}, of your own code, isn't there any more; start the cluster anew to have it made")


def local_files(order: Order, host: SshHost) -> dict[str, str]:
    """Return the files that must be brought to ``host``, if it doesn't see them, by their sha256."""
    software = order.boot.software
    if software is None or host.environment is not None:
        return {}
    return {sha256: path for sha256, path in software.files.items() if not path.startswith(WEB)}


def refuse_clock(host: SshHost, skew: Skew) -> None:
    """Raise Silent, a lasting one, where a host's clock is too wrong for keys to be valid there."""
    if -BEHIND_S <= skew.seconds <= AHEAD_S:
        return
    off = timedelta(seconds=round(abs(skew.seconds)))
    way = "ahead of" if skew.seconds > 0 else "behind"
    raise Silent(
        f"the clock of {host.name} is {off} {way} ours, so keys made here aren't valid there; set it, or let it be "
        "kept by NTP",
        is_certain=True,
        is_lasting=True,
    )


def parcel(
    order: Order, host: SshHost, share: Share, *, root: str, there: Mapping[str, str], skew: Skew
) -> dict[str, Any]:
    """Return what the station is asked to start, ready for JSON. It holds secrets.

    Parameters
    ----------
    order : Order
        What to launch.
    host : SshHost
        Where.
    share : Share
        What it takes of the host.
    root : str
        The host's directory of ours, absolute.
    there : mapping
        Where files that were brought lie there, by their sha256.
    skew : Skew
        How far the host's clock is from ours: times in a parcel are the host's.
    """
    boot, software = order.boot, order.boot.software
    ends = [end for end in (order.expires_at, boot.expires_at) if end is not None]
    expires_at = min(ends) + timedelta(seconds=skew.seconds) if ends else None
    address = boot.scheduler_address or (order.cluster_contact.scheduler if order.cluster_contact else None)
    task = Task(
        root=Path(root),
        marks=order.marks,
        boot=replace(boot, expires_at=expires_at, scheduler_address=address),
        expires_at=expires_at,
        address=host.address,
        counts_silence=True,
    )
    making: dict[str, Any] | None = None
    if host.environment is None and software is not None:
        files = {**software.files, **there}
        # Where the caller's own uv travels, the host needs no index to have one.
        uv = next((a.sha256 for a in software.environment.artifacts if a.file_name.startswith("uv-")), None)
        if uv is not None:
            files["uv"] = files[uv]
        publishing = software.publishing
        making = {
            "program": restore.program(),
            "order": restore.order(
                software.environment,
                files=files,
                base=software.base,
                archive=software.archive,
                archive_sha256=software.archive_sha256,
                publish=publishing.archive if publishing is not None else "",
                record=publishing.record if publishing is not None else "",
                name=publishing.name if publishing is not None else "",
                cache=root,
            ),
        }
    return {
        "order": order.marks.order,
        "marks": {key: str(value) for key, value in asdict(order.marks).items()},
        "share": {**asdict(share), "alone_s": boot.orphan_timeout_s},
        "ends_at": expires_at.timestamp() if expires_at is not None else None,
        "python": f"{host.environment}/bin/python" if host.environment is not None else "",
        "restore": making,
        # As Dask's nanny sets them; workers on all hosts need the same hash seed.
        "variables": {**ONE_THREAD, "MALLOC_TRIM_THRESHOLD_": "65536", "PYTHONHASHSEED": "6640", **boot.environ},
        "task": write_letter(task),
    }


def refusal_of(offer: Offer, refusals: Sequence[Silent | NoCapacity], beyond: Sequence[Silent] = ()) -> ProviderError:
    """Return what it means that no host took an order.

    Parameters
    ----------
    offer : Offer
        What was ordered.
    refusals : sequence
        Of each host that keeps such offers.
    beyond : sequence
        Of other hosts, what a person has to mend: said with the rest, so that all is mended at once.
    """
    if not refusals:
        return NoCapacity(f"no host keeps {offer.vm_type} at that price any more; the settings have changed")
    silent = [refusal for refusal in refusals if isinstance(refusal, Silent)]
    words = "; ".join(dict.fromkeys(str(refusal) for refusal in refusals))
    if len(silent) < len(refusals):
        return NoCapacity(words)
    if not all(one.is_lasting for one in silent):
        return Unavailable(words)
    return Rejected("; ".join(dict.fromkeys((words, *(str(one) for one in beyond)))))
