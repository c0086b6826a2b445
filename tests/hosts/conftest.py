from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bare import NAME, BareHosts, bare_hosts

# Not below /tmp of pytest: the hosts hide that directory, and theirs would be hidden in it.
RIG = Path(f"/var/tmp/tradewind-{NAME}-hosts-tests")


@pytest.fixture(scope="session")
def hosts() -> Iterator[BareHosts]:
    with bare_hosts(3, RIG) as made:
        yield made
