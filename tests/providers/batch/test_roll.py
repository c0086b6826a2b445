"""Jobs are those of the books, whatever a site's plugins make of what they carry; on answers that were written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tradewind.errors import BadRequest, Unavailable
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.instance import InstanceStatus, Marks, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Resources
from tradewind.providers.base import ProviderSettings
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.letters import habits_of
from tradewind.providers.batch.offers import choices_of
from tradewind.providers.batch.place import Here
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.slurm import SlurmProvider

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARKS = Marks(
    installation="desk", workspace="lab", cluster="tide", instance="worker-1", order="order-1", role=Role.WORKER
)
OFFER = Offer(provider="slurm", vm_type="main", resources=Resources(cpus=1, memory=GIB), price=None)


@dataclass
class Answers:
    """What answers in the place of Slurm, by the command."""

    said: dict[str, Said] = field(default_factory=dict)
    asked: list[Sequence[str]] = field(default_factory=list)

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        self.asked.append(command)
        return self.said.get(command[0], Said(code=0, out="", error=""))

    def answer(self, command: str, out: str = "", *, error: str = "") -> None:
        self.said[command] = Said(code=1 if error else 0, out=out, error=error)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def books(tmp_path: Path) -> Books:
    books = Books(tmp_path)
    books.open()
    batch = Batch(id="0a1b", marks=(MARKS,), submitted_at=NOW, job=None)
    books.deliver(batch.id, [{}])
    books.write(batch)
    books.submitted(Batch(id="0a1b", marks=(MARKS,), submitted_at=NOW, job="12"))
    return books


@pytest.fixture
def provider(tmp_path: Path, answers: Answers, books: Books) -> SlurmProvider:
    return SlurmProvider(
        ProviderSettings(installation="desk", state_directory=str(tmp_path), options={}),
        queue=SlurmProvider.dialect({}),
        place=Here(books, answers),
        choices=choices_of({}, provider="slurm", part="partition"),
        habits=habits_of({}),
    )


@pytest.mark.parametrize("comment", ["project-x", "(null)", "", "tradewind:desk:0a1b:tide:checked"])
async def test_a_job_of_the_books_is_ours_whatever_comment_it_carries(
    provider: SlurmProvider, answers: Answers, comment: str
) -> None:
    answers.answer("squeue", f"12_0|RUNNING|1795476637|N/A|None|{comment}")

    (seen,) = await provider.observe()

    assert (seen.marks, seen.status) == (MARKS, InstanceStatus.STARTING)


async def test_a_job_of_the_same_number_that_says_whose_it_is_is_believed(
    provider: SlurmProvider, answers: Answers
) -> None:
    answers.answer("squeue", "12_0|RUNNING|1795476637|N/A|None|tradewind:other:77:theirs")

    assert all(one.status is InstanceStatus.STOPPED for one in await provider.observe())


async def test_somebody_elses_job_is_none_of_ours(provider: SlurmProvider, answers: Answers) -> None:
    answers.answer("squeue", "12_0|RUNNING|1795476637|N/A|None|x\n13_0|RUNNING|1795476637|N/A|None|x")

    assert len(await provider.observe()) == 1


def test_a_cluster_whose_settings_would_hide_its_jobs_is_refused_before_anything_is_submitted(
    provider: SlurmProvider, answers: Answers
) -> None:
    spec = ClusterSpec(name="a", workspace="lab", provider="slurm", scaling=Scaling.fixed(1))
    provider.check(spec)

    with pytest.raises(BadRequest, match="'--comment=project-x' can't be set"):
        provider.configured({"directives": ["--comment=project-x"]}).check(spec)
    assert answers.asked == []


# Clusters with settings of their own


async def test_a_poke_of_any_cluster_makes_the_one_list_of_all_a_new_one(
    provider: SlurmProvider, answers: Answers
) -> None:
    poked: list[bool] = []
    provider.on_change(lambda: poked.append(True))
    answers.answer("squeue", "12_0|PENDING|N/A|N/A|Priority|x")
    await provider.observe()
    assert await provider.observe() is await provider.observe()
    answers.answer("squeue", "12_0|RUNNING|1795476637|N/A|None|x")

    provider.configured({"walltime": "1 hour"})._poke()
    (seen,) = await provider.observe()

    assert (seen.status, poked) == (InstanceStatus.STARTING, [True])


async def test_what_a_site_has_is_asked_once_for_all_settings_and_read_with_each(
    provider: SlurmProvider, answers: Answers
) -> None:
    cases = Path(__file__).parents[1] / "slurm" / "cases"
    answers.answer("scontrol", (cases / "partitions.txt").read_text())
    answers.answer("sinfo", (cases / "sinfo.txt").read_text())
    answers.answer("/bin/sh", (cases / "limits.txt").read_text())

    await provider.offers(Need())
    await provider.configured({"walltime": "1 hour"}).offers(Need())

    assert [command[0] for command in answers.asked].count("sinfo") == 1
    with pytest.raises(BadRequest, match="allows by QoS debug"):
        await provider.configured({"walltime": "1 hour", "qos": "debug"}).offers(Need())


# What is expected of the queue


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("sbatch: error: Unable to contact slurm controller (connect failure)", ""),
        ("sbatch: error: AssocMaxSubmitJobLimit", "Slurm takes no more at the moment: AssocMaxSubmitJobLimit: as many"),
    ],
)
async def test_what_passes_is_no_refusal_of_a_plan(
    provider: SlurmProvider, answers: Answers, error: str, words: str
) -> None:
    answers.answer("sbatch", error=error)

    assert (await provider.outlook(OFFER, 1)).startswith(words)
    assert words or await provider.outlook(OFFER, 1) == ""


async def test_what_will_never_be_is_a_refusal_of_a_plan(provider: SlurmProvider, answers: Answers) -> None:
    answers.answer("sbatch", error="sbatch: error: Batch job submission failed: Invalid qos specification")

    with pytest.raises(BadRequest, match="`qos`"):
        await provider.outlook(OFFER, 1)


# Ending


async def test_a_cancellation_that_is_refused_is_logged_and_the_second_time_an_error(
    provider: SlurmProvider, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    answers.answer("scancel", error="scancel: error: Kill job error on job id 12_0: Access/permission denied")

    await provider.terminate(["12_0/order-1"])
    assert "Access/permission denied" in caplog.text
    with pytest.raises(Unavailable, match=r"Access/permission denied; the jobs run on"):
        await provider.terminate(["12_0/order-1"])
    answers.answer("scancel")
    await provider.terminate(["12_0/order-1"])
    answers.answer("scancel", error="scancel: error: Kill job error on job id 12_0: Access/permission denied")
    await provider.terminate(["12_0/order-1"])


async def test_what_has_ended_already_is_ended_without_a_word(
    provider: SlurmProvider, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    answers.answer("scancel", error="scancel: error: Kill job error on job id 12_0: Invalid job id specified")

    await provider.terminate(["12_0/order-1"])
    await provider.terminate(["12_0/order-1"])

    assert caplog.text == ""
