"""dask-jobqueue's classes, each a ``Cluster`` of one batch system."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import dask.config
from dask.utils import parse_bytes

from tradewind.client.cluster import Cluster
from tradewind.client.planned import Plan
from tradewind.compat.jobqueue.translation import Translation, translate
from tradewind.compat.jobqueue.words import SYSTEMS, System
from tradewind.config import data_directory, load_settings
from tradewind.errors import BadRequest
from tradewind.model.resources import GIB, Resources
from tradewind.model.views import DryRun

OURS = frozenset(inspect.signature(Cluster.__init__).parameters) - {"self", "unknown", "provider"}
"""Keywords of ``Cluster``, which may be given beside."""
MOST = 200
"""Workers of an adaptive cluster of which nobody said how many; as ``Cluster.adapt`` has it."""


class NotTaken(UserWarning):
    """Keywords of dask-jobqueue that mean nothing here, by name, and what does their work."""


class _Plan(Plan):
    """``cluster.plan`` and ``SLURMCluster.plan(…)``; the latter takes the class's own keywords."""

    def __get__(self, cluster: Cluster | None, owner: type[Cluster]) -> Any:
        """Return the one or the other."""
        if cluster is not None:
            return super().__get__(cluster, owner)

        def plan(n_workers: int | None = 0, **keywords: Any) -> DryRun:
            """Return what the class with these keywords would launch, where, at what price, and why."""
            system: System = owner._system
            planned: DryRun = Cluster.plan(**translation(system, {"n_workers": n_workers, **keywords}).keywords)
            return planned

        return plan


class JobQueueCluster(Cluster):
    """What the classes share; it names no system itself.

    Parameters
    ----------
    n_workers : int, optional
        Workers at the start. Default 0.
    **keywords
        Those of dask-jobqueue's class of the same name, and those of :class:`tradewind.Cluster` beside, such as
        ``budget`` or ``idle_timeout``. What isn't given is read from ``jobqueue.yaml``, wherever Dask looks for
        configuration.

    Raises
    ------
    UnknownKeyword
        Neither dask-jobqueue nor Tradewind knows it.
    BadRequest
        A keyword can't be honoured; names it, and what to write instead.
    """

    _system: ClassVar[System]
    plan = _Plan()

    def __init__(self, n_workers: int | None = 0, **keywords: Any) -> None:
        made = translation(self._system, {"n_workers": n_workers, **keywords})
        if n_workers is None:  # as when a live one is attached to, whose number is to stay
            made.keywords["n_workers"] = None
        self._translated = made
        if made.notes:
            words = "; ".join(made.notes)
            warnings.warn(f"{self._system.title}: left out what means nothing here: {words}.", NotTaken, stacklevel=2)
        super().__init__(**made.keywords)

    def scale(  # type: ignore[override]  # jobs come second, as in dask-jobqueue
        self,
        n: int | None = None,
        jobs: int = 0,
        memory: str | int | None = None,
        cores: int | None = None,
        force_stop: bool = True,
    ) -> Any:
        """Set the number of workers.

        Parameters
        ----------
        n : int, optional
            Workers.
        jobs : int
            Jobs as dask-jobqueue counts them: each is ``processes`` workers.
        memory, cores : optional
            Of all workers together.
        force_stop : bool
            Accepted for Coiled's sake.
        """
        if n is None:
            n = self._workers_of(jobs=jobs or None, memory=memory, cores=cores)
        return super().scale(n or 0, force_stop=force_stop)

    def adapt(
        self,
        Adaptive: Any = None,
        *,
        minimum: int | None = None,
        maximum: int | float | None = None,
        minimum_jobs: int | None = None,
        maximum_jobs: int | None = None,
        minimum_cores: int | None = None,
        maximum_cores: int | None = None,
        minimum_memory: str | int | None = None,
        maximum_memory: str | int | None = None,
        **keywords: Any,
    ) -> Any:
        """Let the number of workers follow the work, between bounds in workers, jobs, cores or memory.

        Without a maximum it is 200 workers: dask-jobqueue's has none.
        """
        least = self._workers_of(jobs=minimum_jobs, cores=minimum_cores, memory=minimum_memory)
        most = self._workers_of(jobs=maximum_jobs, cores=maximum_cores, memory=maximum_memory, at_most=True)
        least = minimum if minimum is not None else least or 0
        if maximum is not None and maximum != math.inf:
            most = int(maximum)
        keywords = {"minimum": int(least), "maximum": max(MOST, int(least)) if most is None else most, **keywords}
        return super().adapt(Adaptive, **keywords)

    def job_script(self) -> str:
        """Return the script that the queue is given for a worker, for looking at; it holds no secret.

        What is run, and the keys it takes, stand in private files that the script names.
        """
        made = self._translated
        worker = self._session.spec.worker
        cpus = made.cpus or worker.cpus.minimum or 1
        resources = Resources(cpus=cpus, memory=int(made.memory or worker.memory.minimum or GIB), gpus=worker.gpus)
        script: str = self.sync(example, self._system.name, made.keywords.get("backend_options", {}), resources)
        return script

    @property
    def job_header(self) -> str:
        """Return the directives of :meth:`job_script` alone."""
        return "\n".join(line for line in self.job_script().splitlines() if line.startswith("#"))

    def _workers_of(
        self,
        *,
        jobs: int | None = None,
        cores: int | None = None,
        memory: str | int | None = None,
        at_most: bool = False,
    ) -> int | None:
        """Return how many workers jobs, cores or memory are; None where none is given."""
        made, counted = self._translated, []
        if jobs is not None:
            counted.append(float(jobs * made.processes))
        if cores is not None:
            counted.append(cores / self._each("cores", made.threads))
        if memory is not None:
            counted.append(parse_bytes(memory) / self._each("memory", made.memory))
        if not counted:
            return None
        return math.floor(min(counted)) if at_most else math.ceil(max(counted))

    def _each(self, name: str, known: int | None) -> int:
        if not known:
            raise BadRequest(f"how many workers {name}=… are isn't known: give {name}= to the class, or scale(n)")
        return known

    @classmethod
    def from_name(cls, name: str, **keywords: Any) -> Cluster:
        """Attach to a live cluster of this name, and leave it up when closed. Raises NotFound as ``Cluster`` does."""
        return super().from_name(name, **{"n_workers": None, **keywords})


class SLURMCluster(JobQueueCluster):
    """Workers, and their scheduler, as jobs of Slurm; with dask-jobqueue's keywords."""

    _system = SYSTEMS["slurm"]


class PBSCluster(JobQueueCluster):
    """Workers, and their scheduler, as jobs of PBS; with dask-jobqueue's keywords."""

    _system = SYSTEMS["pbs"]


class SGECluster(JobQueueCluster):
    """Workers, and their scheduler, as jobs of Grid Engine; with dask-jobqueue's keywords."""

    _system = SYSTEMS["sge"]


class LSFCluster(JobQueueCluster):
    """Workers, and their scheduler, as jobs of LSF; with dask-jobqueue's keywords."""

    _system = SYSTEMS["lsf"]


class HTCondorCluster(JobQueueCluster):
    """Workers, and their scheduler, as jobs of HTCondor; with dask-jobqueue's keywords."""

    _system = SYSTEMS["htcondor"]


def translation(system: System, given: Mapping[str, Any]) -> Translation:
    """Return what these keywords mean here, with what Dask's configuration says beside."""
    said = {name: value for name, value in given.items() if value is not None or name in OURS}
    section = said.pop("config_name", None) or system.name
    configured = dask.config.get(f"jobqueue.{section}", None) or {}
    if not isinstance(configured, Mapping):
        raise BadRequest(f"jobqueue.yaml: the section {section!r} is no table of names and values")
    return translate(system, said, configured, ours=OURS, python=sys.executable)


async def example(provider: str, options: Mapping[str, object], resources: Resources) -> str:
    """Return the script of a job of this size."""
    # Only who looks at a script pays for what makes it; see tradewind.client.door for the same with the engine.
    open_provider = importlib.import_module("tradewind.providers.registry").open_provider
    settings = importlib.import_module("tradewind.providers.base").ProviderSettings(
        installation="example",
        state_directory=str(data_directory()),
        options=asdict(getattr(load_settings(), provider)),
    )
    script: str = await open_provider(provider, settings).configured(options).script_for(resources)
    return script
