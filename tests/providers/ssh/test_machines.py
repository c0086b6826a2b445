"""What runs on hosts decides which software is made for them."""

from __future__ import annotations

import platform
import time

from tradewind.config import SshHost
from tradewind.model.environment import Target
from tradewind.model.instance import Role
from tradewind.model.resources import GIB, Need, Range
from tradewind.providers.ssh.offers import candidates, offers_for

from .conftest import Lab

NEED = Need(cpus=Range(minimum=2, maximum=2), memory=Range(minimum=GIB, maximum=GIB))
HOSTS = tuple(SshHost(name=name, address=name, cores=4, memory=8 * GIB) for name in ("old", "new", "arm", "quiet"))  # type: ignore[arg-type]
MACHINES = {
    "old": Target(platform="linux-x86_64", glibc="2.9"),
    "new": Target(platform="linux-x86_64", glibc="2.36"),
    "arm": Target(platform="linux-aarch64", glibc="2.36"),
}


def test_hosts_of_one_platform_are_one_offer_and_the_oldest_library_counts() -> None:
    offers = offers_for(NEED, HOSTS, MACHINES)

    assert [(offer.target, offer.room) for offer in offers] == [
        (MACHINES["old"], 4),
        (MACHINES["arm"], 2),
        (None, 2),
    ]


def test_an_offer_is_kept_by_hosts_of_its_platform_and_by_those_that_nobody_knows() -> None:
    x86, arm, unknown = offers_for(NEED, HOSTS, MACHINES)

    kept = [[host.name for host in candidates(offer, Role.WORKER, HOSTS, MACHINES)] for offer in (x86, arm, unknown)]

    assert kept == [["old", "new", "quiet"], ["arm", "quiet"], ["old", "new", "arm", "quiet"]]


async def test_a_host_says_what_it_is(lab: Lab) -> None:
    (offer,) = await lab.provider(lab.host(environment=None)).offers(NEED)

    assert offer.target is not None
    assert offer.target.platform == f"linux-{platform.machine()}"
    assert offer.target.glibc == ".".join(platform.libc_ver()[1].split(".")[:2])


async def test_a_host_that_does_not_answer_is_offered_all_the_same_and_soon(lab: Lab) -> None:
    hosts = [lab.host("up", environment=None), lab.host("down", port=1, environment=None)]
    began = time.monotonic()

    offers = await lab.provider(*hosts).offers(NEED)

    assert [offer.target is None for offer in offers] == [False, True]
    assert time.monotonic() - began < 4.5  # as long as the engine waits for offers, and less


async def test_a_host_with_an_environment_of_its_own_is_not_asked(lab: Lab) -> None:
    (offer,) = await lab.provider(lab.host(port=1)).offers(NEED)

    assert offer.target is None
