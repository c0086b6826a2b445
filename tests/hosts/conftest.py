from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bare import BareHosts, bare_hosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareHosts]:
    # Not below /tmp of pytest: the hosts hide that directory, and theirs would be hidden in it.
    del tmp_path_factory
    with bare_hosts(3, Path("/var/tmp/tradewind-bare-hosts-tests")) as made:
        yield made
