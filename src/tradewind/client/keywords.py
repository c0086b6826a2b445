"""From the keywords of ``Cluster(...)`` to a spec, with an error in one line for each that can't be."""

from __future__ import annotations

import difflib
import importlib
import json
import math
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from tradewind.config import BatchSettings, Settings, parse_duration
from tradewind.errors import BadRequest, UnknownKeyword
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.environment import PackageChoice
from tradewind.model.money import Money
from tradewind.model.offer import SpotPolicy
from tradewind.model.resources import ANY, Need, Range

UNSET: Any = type("Unset", (), {"__repr__": lambda self: "<default>"})()
"""A keyword that wasn't given, where None means something."""

KNOWN_ELSEWHERE = frozenset(
    {
        "account",
        "allow_cross_zone",
        "allow_ingress_from",
        "allow_spark",
        "allow_ssh",
        "allow_ssh_from",
        "batch_job_container",
        "batch_job_ids",
        "capacity_retry_timeout",
        "cloud",
        "compute_purchase_option",
        "configure_logging",
        "container",
        "custom_widget",
        "dashboard_custom_subdomain",
        "extra_worker_on_scheduler",
        "filestores_to_attach",
        "host_setup_script",
        "ignore_container_entrypoint",
        "jupyter",
        "mount_bucket",
        "open_extra_ports",
        "package_sync",
        "package_sync_conda_extras",
        "package_sync_fail_on",
        "package_sync_use_uv_installer",
        "pause_on_exit",
        "private_to_creator",
        "scheduler_disk_config",
        "scheduler_disk_size",
        "scheduler_port",
        "scheduler_sidecars",
        "send_dask_config",
        "skip_ssd_mount",
        "unset_single_threading_variables",
        "use_best_zone",
        "use_dashboard_https",
        "use_scheduler_public_ip",
        "worker_class",
        "worker_disk_config",
        "worker_disk_size",
        "worker_disk_throughput",
        "worker_gpu_type",
        "worker_sidecars",
    }
)
"""Coiled's keywords that nothing here can honour yet."""

NAMED_ELSEWISE = {"environment": ["software"], "env": ["software"], "senv": ["software"]}
"""Words that people take for keywords, and those that they mean: nearest in letters is another one."""
DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(
        [
            *("name", "software", "n_workers", "worker_options", "worker_cpu", "worker_memory", "worker_vm_types"),
            *("worker_gpu", "scheduler_options", "scheduler_cpu", "scheduler_memory", "scheduler_vm_types"),
            *("scheduler_gpu", "spot_policy", "region", "cluster_timeout", "orphan_timeout", "timeout"),
            *("shutdown_on_close", "environ", "tags", "budget", "workspace", "provider", "record_history"),
            *("record_code", "dask_config", "backend_options", "package_sync_ignore", "package_sync_only"),
        ]
    ),
    "arm": False,
    "package_sync_strict": False,
    "idle_timeout": UNSET,
    "no_client_timeout": UNSET,
}
"""What :func:`spec_from` reads, as the constructor of ``Cluster`` has it; for who can't wait until that is imported."""

SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|PRIVATE_KEY|API_?KEY|ACCESS_KEY)", re.IGNORECASE)
CURRENCY = re.compile(r"[A-Z]{2,3}")
NAME = re.compile(r"[\w][\w.-]{0,62}")
SMALLEST = 1024**2
"""Bytes; who writes fewer, such as `worker_memory=16`, meant another unit."""


def reject_unknown(given: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise for keywords that don't exist, with the nearest that does.

    Raises
    ------
    UnknownKeyword
        Nobody knows it.
    BadRequest
        Coiled knows it, and nothing here can honour it yet.
    """
    for keyword, value in given.items():
        if keyword in KNOWN_ELSEWHERE:
            if value is None or value is False:
                continue
            instead = {"account": "workspace", "compute_purchase_option": "spot_policy", "cloud": "provider"}.get(
                keyword
            )
            raise BadRequest(
                f"Cluster() can't honour {keyword}={value!r} yet: "
                + (f"write {instead}= in its place." if instead else "leave it out.")
            )
        near = NAMED_ELSEWISE.get(keyword, []) or difflib.get_close_matches(keyword, [*known, *KNOWN_ELSEWHERE], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else " help(tradewind.Cluster) lists what there is."
        raise UnknownKeyword(f"Cluster() got an unexpected keyword argument {keyword!r}.{hint}")


def checked(given: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords ``given`` that mean something here; raises for the others as :func:`reject_unknown` does."""
    elsewhere = {name: given.pop(name) for name in ("container", "ignore_container_entrypoint", "worker_class")}
    reject_unknown({**unknown, **elsewhere}, tuple(given))
    return given


def spec_from(
    given: Mapping[str, Any], settings: Settings, *, default_name: str, shares_files: bool = True
) -> ClusterSpec:
    """Return the spec that the keywords ``given`` describe; everything is checked that needs no provider.

    Where the caller ``shares_files`` with what runs the cluster, it says where it stands and where its modules are;
    to all others that would be of no use, and is nobody's business.
    """
    name = given["name"] if given["name"] is not None else default_name
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadRequest(
            f"name={name!r} can't be used: take 1 to 63 letters, digits, '-', '_' or '.', such as 'my-analysis'."
        )
    provider = _word("provider", given["provider"]) or settings.provider
    scaling = scaling_from(given["n_workers"])
    environ = _environ(given["environ"])
    spot = given["spot_policy"]
    try:
        policy = SpotPolicy(spot) if spot is not None else SpotPolicy.ON_DEMAND
    except ValueError:
        raise BadRequest(f"spot_policy={spot!r} isn't one of {', '.join(repr(p.value) for p in SpotPolicy)}.") from None
    keep = given["shutdown_on_close"] is False
    return ClusterSpec(
        name=name,
        workspace=_word("workspace", given["workspace"]) or settings.workspace,
        provider=provider,
        scaling=scaling,
        worker=_need("worker", given, settings, provider),
        scheduler=_need("scheduler", given, settings, provider),
        worker_threads=_threads(given["worker_options"]),
        spot_policy=policy,
        region=_word("region", given["region"]),
        arm=bool(given["arm"]),
        software=_word("software", given["software"]),
        packages=PackageChoice(
            ignore=_names("package_sync_ignore", given["package_sync_ignore"]),
            only=_names("package_sync_only", given["package_sync_only"]),
            strict=bool(given["package_sync_strict"]),
        ),
        environ=environ,
        tags={**settings.tags, **_texts("tags", given["tags"])},
        lifetimes=_lifetimes(given, settings, keep=keep),
        budget=_budget(given["budget"]),
        record_history=settings.history.record if given["record_history"] is None else bool(given["record_history"]),
        record_code=settings.history.code if given["record_code"] is None else bool(given["record_code"]),
        dask_config=_json("dask_config", given["dask_config"]),
        worker_options={k: v for k, v in _json("worker_options", given["worker_options"]).items() if k != "nthreads"},
        scheduler_options=_json("scheduler_options", given["scheduler_options"]),
        backend_options=_json("backend_options", given["backend_options"]),
        working_directory=_working_directory() if shares_files else None,
        python_path=tuple(sys.path) if shares_files else (),
    )


def scaling_from(n_workers: Any) -> Scaling:
    """Return what ``n_workers`` says: None, a number, ``[min, max]`` or ``[min, initial, max]``."""
    if n_workers is None:
        return Scaling(minimum=4, initial=4, maximum=20)
    if _is_count(n_workers):
        return Scaling.fixed(n_workers)
    if isinstance(n_workers, list | tuple) and len(n_workers) in {2, 3} and all(_is_count(n) for n in n_workers):
        minimum, maximum = n_workers[0], n_workers[-1]
        initial = n_workers[1] if len(n_workers) == 3 else minimum
        if minimum <= initial <= maximum:
            return Scaling(minimum=minimum, initial=initial, maximum=maximum)
    raise BadRequest(
        f"n_workers={n_workers!r} can't be used: write a number of 0 or more, [min, max] or [min, initial, max], "
        "such as n_workers=4 or n_workers=[2, 10]."
    )


def count_from(
    n: int | None, memory: str | int | None, cores: int | None, workers: Collection[Mapping[str, Any]]
) -> int:
    """Return how many workers one of ``n``, ``memory`` and ``cores`` means, by what ``workers`` have each."""
    if sum(x is not None for x in (n, memory, cores)) != 1:
        raise BadRequest("scale() takes one of n, memory and cores.")
    if cores is not None:
        n = math.ceil(cores / max(1, min((w["nthreads"] for w in workers), default=1)))
    elif memory is not None:
        each = min((w["memory_limit"] for w in workers), default=0)
        if not each:
            raise BadRequest("scale(memory=…) needs a worker whose memory is known: wait for one, or give n.")
        n = math.ceil(_parse_bytes(memory) / each)
    return scaling_from(n).initial


def share_from(wait_for_workers: Any) -> bool | int | float:
    """Return how many workers are waited for: all or none, a number, or a share."""
    is_share = isinstance(wait_for_workers, float) and 0 <= wait_for_workers <= 1
    if isinstance(wait_for_workers, bool) or _is_count(wait_for_workers) or is_share:
        return cast("bool | int | float", wait_for_workers)
    raise BadRequest(
        f"wait_for_workers={wait_for_workers!r} can't be used: write True for all, a number such as 4, "
        "or a share from 0.0 to 1.0."
    )


def duration_from(keyword: str, value: Any) -> timedelta:
    """Return a duration given as seconds, text or timedelta."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    try:
        return parse_duration(value)
    except ValueError as error:
        raise BadRequest(f"{keyword}: {error}.") from None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _need(role: str, given: Mapping[str, Any], settings: Settings, provider: str) -> Need:
    cpu, memory = given[f"{role}_cpu"], given[f"{role}_memory"]
    vm_types = given[f"{role}_vm_types"]
    # A partition of a queue has nodes of some size, of which a job may have any share.
    is_share = isinstance(getattr(settings, provider, None), BatchSettings)
    if vm_types and (cpu is not None or memory is not None) and not is_share:
        raise BadRequest(
            f"{role}_vm_types fixes cpu and memory already: leave out {role}_cpu and {role}_memory, or the types."
        )
    gpus = given[f"{role}_gpu"]
    if gpus is not None and not (isinstance(gpus, bool) or _is_count(gpus)):
        raise BadRequest(f"{role}_gpu={gpus!r} can't be used: write how many, such as {role}_gpu=1.")
    return Need(
        cpus=_range(f"{role}_cpu", cpu, _cores),
        memory=_range(f"{role}_memory", memory, _bytes),
        gpus=int(gpus or 0),
        vm_types=_vm_types(f"{role}_vm_types", vm_types),
        beside=role == "scheduler",
    )


def _vm_types(keyword: str, value: Any) -> tuple[str, ...]:
    types = [value] if isinstance(value, str) else value or []
    if not isinstance(types, list | tuple) or not all(isinstance(one, str) for one in types):
        raise BadRequest(f"{keyword}={value!r} can't be used: write names of machine types, such as ['m6i.large'].")
    return tuple(types)


def _names(keyword: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in names):
        raise BadRequest(f"{keyword}={value!r} can't be used: write names of packages, such as ['pywin32'].")
    return tuple(sorted(names))


def _range(keyword: str, value: Any, parse: Any) -> Range:
    if value is None:
        return ANY
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise BadRequest(f"{keyword}={value!r} can't be used: a range has two ends, such as [2, 4].")
        low, high = (parse(keyword, end) for end in value)
        if low > high:
            raise BadRequest(f"{keyword}={value!r} can't be used: the smaller end comes first.")
        return Range(minimum=low, maximum=high)
    exact = parse(keyword, value)
    return Range(minimum=exact, maximum=exact)


def _cores(keyword: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6:
        return float(value)
    raise BadRequest(f"{keyword}={value!r} can't be used: write a number of cores above 0, such as {keyword}=2.")


def _bytes(keyword: str, value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        size = _parse_bytes(value)
    except (ValueError, TypeError, OverflowError):
        size = 0
    if size < 1:
        raise BadRequest(
            f"{keyword}={value!r} isn't an amount of memory: write a number of bytes, or text like '16 GiB'."
        )
    if size < SMALLEST:
        raise BadRequest(f"{keyword}={value!r} is {size} bytes, too few for anything: write the unit, as in '16 GiB'.")
    return float(size)


def _parse_bytes(value: str | float) -> int:
    # Dask's own reading of sizes; imported for those who give one, since `tradewind cluster create` may be without.
    return int(importlib.import_module("dask.utils").parse_bytes(value))


def _threads(worker_options: Any) -> int | None:
    threads = (worker_options or {}).get("nthreads") if isinstance(worker_options, Mapping) else None
    if threads is None:
        return None
    if not _is_count(threads) or threads == 0:
        raise BadRequest(f"worker_options: nthreads={threads!r} can't be used: write a number of 1 or more.")
    return int(threads)


def _lifetimes(given: Mapping[str, Any], settings: Settings, *, keep: bool) -> Lifetimes:
    idle = given["idle_timeout"]
    no_client = given["no_client_timeout"]
    idle_limit = settings.idle_timeout if idle is UNSET else _limit("idle_timeout", idle)
    if no_client is UNSET:
        # Coiled's rule: as long as idle_timeout where that was given, else two minutes; never where it was to stay.
        asked = idle_limit if idle is not UNSET and idle is not None else timedelta(minutes=2)
        no_client_limit = None if keep else asked
    else:
        no_client_limit = _limit("no_client_timeout", no_client)
    orphan = given["orphan_timeout"]
    return Lifetimes(
        idle=idle_limit,
        no_client=no_client_limit,
        total=_limit("cluster_timeout", given["cluster_timeout"]),
        orphan=settings.orphan_timeout if orphan is None else duration_from("orphan_timeout", orphan),
        start=timedelta(minutes=20) if given["timeout"] is None else duration_from("timeout", given["timeout"]),
    )


def _limit(keyword: str, value: Any) -> timedelta | None:
    return None if value is None else duration_from(keyword, value)


def _budget(value: Any) -> Money | None:
    if value is None or isinstance(value, Money):
        return value
    number, _, currency = str(value).strip().partition(" ")
    try:
        amount = Decimal(number)
        if not amount.is_finite() or amount < 0:
            raise InvalidOperation
    except InvalidOperation:
        raise BadRequest(f"budget={value!r} isn't an amount of money: write a number, or text like '5 EUR'.") from None
    currency = currency.strip().upper() or "USD"
    if not CURRENCY.fullmatch(currency):
        raise BadRequest(f"budget={value!r}: {currency!r} isn't a currency; write it as '5 EUR', '5 USD' or '5 SU'.")
    return Money(amount=amount, currency=currency)


def _environ(value: Any) -> dict[str, str]:
    environ = _texts("environ", value)
    for variable, text in environ.items():
        if not variable or "=" in variable or "\0" in variable + text:
            raise BadRequest(f"environ: {variable!r} can't be a variable: neither '=' nor a NUL can stand in its name.")
        if SECRET_NAME.search(variable):
            raise BadRequest(
                f"environ: {variable} looks like a secret, and environ is kept in the cluster's record: "
                "start without it, then cluster.send_private_envs({...}), which is kept nowhere."
            )
    return environ


def _word(keyword: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.isprintable()):
        return value
    raise BadRequest(f"{keyword}={value!r} can't be used: write a name.")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadRequest("the working directory of this program is gone: os.chdir() to one that exists.") from None


def _texts(keyword: str, value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest(f"{keyword}={value!r} can't be used: write a dict of names and values.")
    return {str(name): str(item) for name, item in value.items()}


def _json(keyword: str, value: Any) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest(f"{keyword}={value!r} can't be used: write a dict.")
    try:
        return dict(json.loads(json.dumps(dict(value))))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{keyword} must hold plain values (numbers, text, lists, dicts): {error}.") from None
