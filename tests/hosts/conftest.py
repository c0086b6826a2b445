import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bare import BareHosts, bare_hosts

# Not below /tmp of pytest: the hosts hide that directory, and theirs would be hidden in it.
RIG = Path(f"/var/tmp/tradewind-{os.environ.get('RIG_NAME', 'bare')}-hosts-tests")


@pytest.fixture(scope="session")
def hosts() -> Iterator[BareHosts]:
    # Two runs of tests on one computer would take each other's machines down: they have the same addresses.
    with RIG.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with bare_hosts(3, RIG) as made:
            yield made
