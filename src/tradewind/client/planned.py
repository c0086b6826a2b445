"""``Cluster.plan``: a dry run, and the set of wanted workers that Dask's own code looks for."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, cast

from tradewind.client.door import find_place, open_at
from tradewind.client.keywords import checked, spec_from
from tradewind.model.cluster import ClusterSpec
from tradewind.model.views import DryRun

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster


class PlannedWorkers(frozenset[str]):
    """Names of the workers that are wanted; called, it says what the cluster would be launched as."""

    cluster: Cluster

    def __call__(self) -> DryRun:
        """Return the dry run of this cluster's own spec."""
        return dry_run(self.cluster._session.spec)


class Plan:
    """On the class, a function that takes the keywords of ``Cluster(…)``; on a cluster, the set."""

    def __get__(self, cluster: Cluster | None, owner: type[Cluster]) -> Any:
        """Return the one or the other."""
        if cluster is None:
            return planner_for(owner)
        planned = PlannedWorkers(cluster.requested)
        planned.cluster = cluster
        return planned


def planner_for(owner: type[Cluster]) -> Any:
    """Return the function behind ``Cluster.plan(…)``."""

    def plan(*args: Any, **keywords: Any) -> DryRun:
        """Return what ``Cluster(…)`` with these keywords would launch, where, at what price, and why."""
        place = find_place()
        given = keywords_of(owner, args, keywords)
        return dry_run(spec_from(given, place.settings, default_name="dry-run", shares_files=place.shares_files))

    return plan


def keywords_of(owner: type[Cluster], args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Return the checked keywords of a call of ``owner``, defaults filled in. Raises as its constructor does."""
    signature = inspect.signature(owner.__init__)
    known = [name for name in signature.parameters if name not in {"self", "unknown"}]
    unknown = {name: given[name] for name in given if name not in known}
    bound = signature.bind(None, *args, **{name: given[name] for name in given if name in known})
    bound.apply_defaults()
    return checked({name: bound.arguments[name] for name in known}, unknown)


def dry_run(spec: ClusterSpec, api: Any = None) -> DryRun:
    """Return what would be launched; starts nothing. Asks ``api``, by default who runs clusters for this program."""
    api = api if api is not None else open_at(find_place(), workspace=spec.workspace)
    planned: DryRun = api.run(api.dry_run(spec))
    if spec.software is not None or not api.needs_software(spec.provider):
        return planned
    with_software = importlib.import_module("tradewind.client.software.ready").with_software
    return cast("DryRun", with_software(planned, spec))
