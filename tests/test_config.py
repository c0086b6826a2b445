"""Every setting, by file and by variable, and a clear word for what can't be used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.config import (
    Settings,
    Size,
    SshHost,
    config_file,
    data_directory,
    load_settings,
    parse_duration,
    parse_size,
)
from tradewind.errors import ConfigError
from tradewind.model.secret import Secret

BATCH: list[tuple[str, str, str, object]] = [
    ("site", '"jean-zay"', "jean-zay", "jean-zay"),
    ("walltime", '"4 hours"', "4 hours", timedelta(hours=4)),
    ("scheduler_walltime", '"2 days"', "2 days", timedelta(days=2)),
    ("cores", "8", "8", 8),
    ("memory", '"16 GiB"', "16 GiB", Size(16 * 1024**3)),
    ("interface", '"ib0"', "ib0", "ib0"),
    ("scratch", '"/tmp"', "/tmp", "/tmp"),
    ("directory", '"/scratch/me"', "/scratch/me", "/scratch/me"),
    ("directives", '["--exclusive"]', "--exclusive", ("--exclusive",)),
    ("prologue", '["module load cuda"]', "module load cuda", ("module load cuda",)),
    ("price_per_su", "0.03", "0.03", Decimal("0.03")),
    ("currency", '"EUR"', "EUR", "EUR"),
    ("login", '"me@login"', "me@login", "me@login"),
    ("key", '"~/.ssh/hpc"', "~/.ssh/hpc", "~/.ssh/hpc"),
    ("known_hosts", '"/etc/ssh/known"', "/etc/ssh/known", "/etc/ssh/known"),
    ("ssh_config", '"~/.ssh/hpc.conf"', "~/.ssh/hpc.conf", "~/.ssh/hpc.conf"),
    ("environment", '"/apps/tw"', "/apps/tw", "/apps/tw"),
    ("tunnel", "false", "false", False),
    ("python", '"/opt/py/bin/python3"', "/opt/py/bin/python3", "/opt/py/bin/python3"),
]
"""In the table of each batch system."""

EVERY: list[tuple[str, str, str, object]] = [
    *((f"{table}.{key}", *rest) for table in ("htcondor", "lsf", "pbs", "sge", "slurm") for key, *rest in BATCH),
    ("provider", '"fake"', "fake", "fake"),
    ("workspace", '"ocean"', "ocean", "ocean"),
    ("store", '"sqlite:////x.db"', "sqlite:////x.db", "sqlite:////x.db"),
    ("wait_for_workers", "0.5", "0.5", 0.5),
    ("idle_timeout", '"1h 30m"', "1h 30m", timedelta(minutes=90)),
    ("idle_timeout", '"off"', "off", None),
    ("orphan_timeout", "90", "90", timedelta(seconds=90)),
    ("tags.project", '"tides"', "tides", "tides"),
    ("history.record", "false", "false", False),
    ("history.code", "true", "1", True),
    ("software.public_indexes", '["https://mirror/simple"]', "https://mirror/simple", ("https://mirror/simple",)),
    ("software.artifacts_url", '"s3://lab/depot"', "s3://lab/depot", "s3://lab/depot"),
    ("software.artifacts_urls.climate", '"gs://climate/x"', "gs://climate/x", "gs://climate/x"),
    ("local.price_per_hour", "0.12", "0.12", Decimal("0.12")),
    ("local.currency", '"EUR"', "EUR", "EUR"),
    (
        "ssh.hosts",
        '[{address = "ws1", cores = 4, memory = "8 GiB", labels = ["fast"]}]',
        '[{"address": "ws1", "cores": 4, "memory": "8 GiB", "labels": ["fast"]}]',
        (SshHost(address="ws1", cores=4, memory=Size(8 * 1024**3), labels=("fast",)),),
    ),
    ("ssh.placement", '"pack"', "pack", "pack"),
    ("ssh.known_hosts", '"/etc/ssh/ssh_known_hosts"', "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts"),
    ("ssh.config", '"/etc/ssh/ssh_config"', "/etc/ssh/ssh_config", "/etc/ssh/ssh_config"),
    ("pbs.queues", '["workq"]', "workq", ("workq",)),
    ("pbs.account", '"ocean"', "ocean", "ocean"),
    ("pbs.project", '"ocean"', "ocean", "ocean"),
    ("pbs.chunk", '"cpu_type=rome"', "cpu_type=rome", "cpu_type=rome"),
    ("pbs.torque", "true", "1", True),
    ("lsf.queues", '["normal"]', "normal", ("normal",)),
    ("lsf.project", '"ocean"', "ocean", "ocean"),
    ("lsf.select", '"type==X86_64"', "type==X86_64", "type==X86_64"),
    ("htcondor.accounting_group", '"ocean.me"', "ocean.me", "ocean.me"),
    ("htcondor.requirements", '"HasFiles"', "HasFiles", "HasFiles"),
    ("htcondor.disk", '"4 GiB"', "4 GiB", Size(4 * 1024**3)),
    ("sge.queues", '["all.q"]', "all.q", ("all.q",)),
    ("sge.project", '"ocean"', "ocean", "ocean"),
    ("sge.parallel_environment", '"smp"', "smp", "smp"),
    ("sge.memory_resource", '"h_vmem"', "h_vmem", "h_vmem"),
    ("sge.gpu_resource", '"ngpus"', "ngpus", "ngpus"),
    ("slurm.partitions", '["main", "short"]', "main, short", ("main", "short")),
    ("slurm.account", '"ocean"', "ocean", "ocean"),
    ("slurm.qos", '"normal"', "normal", "normal"),
    ("slurm.constraint", '"cpu"', "cpu", "cpu"),
    ("fake.latency_s", "2", "2", 2.0),
    ("fake.world", '"127.0.0.1:8900"', "127.0.0.1:8900", "127.0.0.1:8900"),
    ("server", '"https://hub.example.org:8886"', "https://hub.example.org:8886", "https://hub.example.org:8886"),
    ("serve.host", '"0.0.0.0"', "0.0.0.0", "0.0.0.0"),
    ("serve.port", "9000", "9000", 9000),
    ("serve.public_url", '"https://tw.example.org"', "https://tw.example.org", "https://tw.example.org"),
    ("serve.tls", "false", "false", False),
    ("serve.certificate", '"/etc/tw.crt"', "/etc/tw.crt", "/etc/tw.crt"),
    ("serve.key", '"/etc/tw.key"', "/etc/tw.key", "/etc/tw.key"),
    ("serve.providers", '["local", "fake"]', "local, fake", ("local", "fake")),
    ("serve.requests_per_second", "5", "5", 5.0),
    ("serve.burst", "7", "7", 7),
    ("serve.body_limit", "65536", "65536", 65536),
    ("serve.log_format", '"json"', "json", "json"),
    ("serve.open_metrics", "true", "true", True),
    ("serve.open_advisor", "false", "false", False),
    ("serve.otlp_endpoint", '"http://localhost:4318"', "http://localhost:4318", "http://localhost:4318"),
    ("oidc.issuer", '"https://cilogon.org"', "https://cilogon.org", "https://cilogon.org"),
    ("oidc.client_id", '"tw"', "tw", "tw"),
    ("oidc.client_secret", '"hush"', "hush", Secret("hush")),
    ("oidc.name", '"CILogon"', "CILogon", "CILogon"),
    ("oidc.name_claim", '"sub"', "sub", "sub"),
    ("oidc.open_to", '["example.edu"]', "example.edu", ("example.edu",)),
    ("jupyterhub.api_url", '"http://hub:8081/hub/api"', "http://hub:8081/hub/api", "http://hub:8081/hub/api"),
    ("jupyterhub.workspace", '"class"', "class", "class"),
    ("mail.host", '"smtp.example.org"', "smtp.example.org", "smtp.example.org"),
    ("mail.port", "25", "25", 25),
    ("mail.user", '"tw"', "tw", "tw"),
    ("mail.password", '"hush"', "hush", Secret("hush")),
    ("mail.sender", '"tw@example.org"', "tw@example.org", "tw@example.org"),
    ("mail.starttls", "false", "0", False),
    ("webhooks.private_addresses", "true", "true", True),
]


MAPS = {"tags.project": "tags", "software.artifacts_urls.climate": "software.artifacts_urls"}
"""One name of each table whose names the user chooses."""


def value_of(settings: Settings, key: str) -> object:
    value: object = settings
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_setting_stands_in_the_table_of_this_test() -> None:
    names = set()
    for one in fields(Settings):
        default = getattr(Settings(), one.name)
        names |= {f"{one.name}.{inner.name}" for inner in fields(default)} if is_dataclass(default) else {one.name}
    assert names == {MAPS.get(key, key) for key, *_ in EVERY}


@pytest.mark.parametrize(("key", "toml", "variable", "value"), EVERY)
def test_a_setting_can_be_made_in_the_file_and_by_a_variable(
    tmp_path: Path, key: str, toml: str, variable: str, value: object
) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "jean-zay.toml").write_text(f"[{key.partition('.')[0]}]\n")
    in_file = load_settings(written(tmp_path, f"{key} = {toml}\n"), {})
    by_variable = load_settings(tmp_path / "absent.toml", {f"TRADEWIND_{key.upper().replace('.', '__')}": variable})
    assert value_of(in_file, key) == value
    assert value_of(by_variable, key) == value
    assert type(value_of(by_variable, key)) is type(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("64 GiB", 64 * 1024**3), ("1.5kB", 1500), ("2TB", 2 * 10**12), ("0 MiB", 0)],
)
def test_an_amount_of_memory_is_read_in_the_usual_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[[ssh.hosts]]\nmemory = "64 Gub"', "64 GiB"),
        ("[[ssh.hosts]]\nmemory = true", "ssh.hosts.memory"),
        ('[ssh]\nhosts = ["ws1"]', "write [[ssh.hosts]]"),
        ('[ssh.hosts]\naddress = "ws1"', "write [[ssh.hosts]]"),
        ('[[ssh.hosts]]\nadress = "ws1"', "did you mean 'ssh.hosts.address'"),
    ],
)
def test_a_host_that_is_written_wrong_says_where_and_what_would_do(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(written(tmp_path, toml), {})
    assert words in str(refused.value)


def test_without_a_file_and_variables_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "absent.toml", {}) == Settings()


def test_a_variable_wins_over_the_file_and_leaves_the_rest_of_its_table(tmp_path: Path) -> None:
    file = written(tmp_path, '[local]\nprice_per_hour = 1\ncurrency = "EUR"\n')
    settings = load_settings(file, {"TRADEWIND_LOCAL__PRICE_PER_HOUR": "2", "PATH": "/bin"})
    assert (settings.local.price_per_hour, settings.local.currency) == (Decimal(2), "EUR")


def test_variables_that_say_where_to_look_are_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"TRADEWIND_CONFIG_DIR": str(tmp_path / "c"), "TRADEWIND_DATA_DIR": str(tmp_path / "d")}
    for name, place in places.items():
        monkeypatch.setenv(name, place)
    assert (config_file(), data_directory()) == (tmp_path / "c" / "config.toml", tmp_path / "d")
    assert load_settings(tmp_path / "absent.toml", places) == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("idle_timout = 3", "there is no setting 'idle_timout'; did you mean 'idle_timeout'?"),
        ("[local]\nprice_hour = 3", "there is no setting 'local.price_hour'; did you mean 'local.price_per_hour'?"),
        ("zebra = 3", "there is no setting 'zebra'; known are: provider,"),
        ("local = 3", "'local' is a table; write [local]"),
        ("tags = 3", "'tags': a table of names and values is needed"),
        ("provider = 3", "'provider': 3 isn't text"),
        ('idle_timeout = "soon"', "isn't a duration: write seconds, or"),
        ("idle_timeout = -1", "must not be negative"),
        ("orphan_timeout = true", "isn't a duration"),
        ("[local]\nprice_per_hour = -1", "isn't a number of 0 or more, such as 0.12"),
        ("[local]\nprice_per_hour = nan", "isn't a number of 0 or more"),
        ('[history]\nrecord = "perhaps"', "isn't a true or false"),
        ('wait_for_workers = "most"', "isn't a number"),
        ("provider = ", "isn't valid TOML"),
    ],
)
def test_what_can_not_be_used_is_named_with_what_would_do(tmp_path: Path, text: str, words: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the variable TRADEWIND_PROVIDR: .*did you mean 'provider'"):
        load_settings(tmp_path / "absent.toml", {"TRADEWIND_PROVIDR": "x"})


def test_a_file_that_is_a_directory_or_no_text_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_settings(tmp_path, {})
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="isn't valid TOML"):
        load_settings(file, {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("90 s", 90),
        ("10 min", 600),
        ("10m", 600),
        ("10 Minutes", 600),
        ("1h 30m", 5400),
        ("2 hours", 7200),
        ("1 day", 86400),
        ("2w", 1209600),
        ("250 ms", 0.25),
        ("02:00:00", 7200),
        ("1-12:30:05", 131405),
        ("100:00:00", 360000),
    ],
)
def test_durations_are_read_as_people_write_them(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "10 parsecs", "-5", "5 min ago", "1.2.3 s", "1e9999", "30:00", "1:2:3", "01:60:00", -1, True]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"isn't a duration.*\d+ (s|min)\""):
        parse_duration(text)


@pytest.mark.parametrize("text", [float("inf"), 1e300, "99999999999 weeks"])
def test_a_duration_longer_than_any_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="longer than any cluster lives"):
        parse_duration(text)


@given(st.text(max_size=20) | st.floats() | st.integers())
def test_any_duration_is_read_or_refused(text: str | float) -> None:
    with suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)


def test_a_data_directory_stays_where_it_is_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEWIND_DATA_DIR", "here")
    assert data_directory() == tmp_path / "here"
    monkeypatch.setenv("TRADEWIND_DATA_DIR", "~/there")
    assert data_directory() == Path.home() / "there"


def test_the_mark_of_an_instance_is_no_setting(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml", {"TRADEWIND_INSTANCE": "order-1"}) == Settings()
