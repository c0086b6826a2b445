"""How programs end, and what that does to clusters they left open."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import eventually, instances_of
from tradewind import Cluster
from tradewind.errors import BadRequest

pytestmark = pytest.mark.timeout(120)

FORKS = """
import multiprocessing, time
from tradewind import Cluster
cluster = Cluster(n_workers=1, show_widget=False)
child = multiprocessing.get_context("fork").Process(target=print)
before = time.monotonic()
child.start()
child.join(60)
print(child.exitcode, time.monotonic() - before < 10)
print(cluster.get_client().submit(sum, [1, 2]).result())
"""

LEAVES_AN_ASYNCHRONOUS_ONE = """
import asyncio
from tradewind import Cluster
async def main():
    await Cluster(n_workers=1, asynchronous=True, show_widget=False)
asyncio.run(main())
"""


def start_another() -> None:
    Cluster(n_workers=1, show_widget=False)


@pytest.mark.both_modes
def test_a_forked_child_ends_at_once_and_leaves_its_parents_cluster_alone(caller, home):
    program = caller(FORKS)
    out, err = program.communicate(timeout=90)
    assert out.split() == ["0", "True", "3"], err
    eventually(lambda: not instances_of(home), 10, "all has ended with the program")


@pytest.mark.both_modes
def test_an_asynchronous_cluster_that_was_left_open_ends_with_its_program(caller, home):
    program = caller(LEAVES_AN_ASYNCHRONOUS_ONE)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    eventually(lambda: not instances_of(home), 5, "all has ended with the program")


def test_a_module_that_starts_a_cluster_does_so_in_no_worker_of_it(home):
    with Cluster(n_workers=1, show_widget=False) as cluster, cluster.get_client() as client:
        future = client.submit(start_another)
        with pytest.raises(BadRequest, match="a worker of a cluster itself.*__main__"):
            future.result()
