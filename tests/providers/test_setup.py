"""What ``tradewind setup`` writes is settings that are read; on stand-ins for the systems."""

import importlib
import os
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.line import sshd as servers
from tests.providers import pretend
from tradewind.cli.setup import setup
from tradewind.config import Settings, load_settings
from tradewind.errors import BadRequest, ConfigError
from tradewind.providers.batch.modules import Module
from tradewind.providers.batch.queue import Site
from tradewind.providers.batch.runner import PATIENCE_S, Runner, Said
from tradewind.providers.batch.setup import Finding, Survey, compose, compose_site
from tradewind.providers.slurm.setup import findings_of as slurm_findings


@pytest.mark.parametrize(
    ("system", "table"), [("pbs", {"queues": ["workq"]}), ("lsf", {"queues": ["normal"]}), ("htcondor", {})]
)
async def test_what_a_site_has_is_written_as_settings_that_are_read(
    system: str, table: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = pretend.install(system, tmp_path / system)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    asked = importlib.import_module(f"tradewind.providers.{system}.setup")
    survey = await asked.survey(Runner(asked.QUEUE.prints), "me", {})
    text = compose(survey)

    found = tomllib.loads(text)[system]
    assert {name: found.get(name) for name in table} == table
    file = tmp_path / "config.toml"
    file.write_text(text)
    load_settings(file, environ={})
    every_line = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line)
    assert set(tomllib.loads(every_line)) <= {field.name for field in fields(getattr(Settings(), system))}


@pytest.mark.skipif(bool(servers.MISSING), reason=servers.MISSING or "it is there")
def test_a_site_is_asked_through_its_login_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = pretend.install("pbs", tmp_path / "pbs")
    home = tmp_path / "home"
    home.mkdir()
    for name in (".profile", ".bash_profile"):
        (home / name).write_text(f"export PATH={commands}:$PATH LOCAL_SCRATCH=/fast\necho welcome\n")
    for name, value in {"CONFIG_DIR": tmp_path, "DATA_DIR": tmp_path / "data"}.items():
        monkeypatch.setenv(f"TRADEWIND_{name}", str(value))
    monkeypatch.setenv("TMPDIR", "/of-the-laptop")
    with servers.sshd(tmp_path, f"SetEnv HOME={home}\n") as server:
        login = f"{servers.USER}@127.0.0.1:{server.port}"
        for name in ("key", "known_hosts"):
            monkeypatch.setenv(f"TRADEWIND_PBS__{name.upper()}", str(getattr(server, name)))
        monkeypatch.setenv("TRADEWIND_PBS__DIRECTORY", str(tmp_path / "there"))

        said = CliRunner().invoke(setup, ["pbs", "--login", login], catch_exceptions=False)

    found = tomllib.loads(said.output)["pbs"]
    assert (found["login"], found["queues"]) == (login, ["workq"])
    assert '# scratch = "$LOCAL_SCRATCH"' in said.output, "what a login sets there"


async def test_a_site_without_accounts_is_asked_all_the_same() -> None:
    class FarSlurm:
        async def run(
            self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
        ) -> Said:
            if command[0] in {"sacctmgr", "sshare"}:
                raise ConfigError(f"login.example.org has no {command[0]} on its PATH")
            return Said(code=0, out="", error="")

    found = await importlib.import_module("tradewind.providers.slurm.setup").survey(FarSlurm(), "me", {})

    assert found.findings == ()


def test_a_site_is_saved_for_others_without_what_is_of_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = pretend.install("pbs", tmp_path / "pbs")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    file = tmp_path / "sites" / "jean-zay.toml"

    said = CliRunner().invoke(setup, ["pbs", "--save", "jean-zay"], catch_exceptions=False)

    assert said.output.startswith(f"Written to {file}.")
    settings = load_settings(tmp_path / "config.toml", {"TRADEWIND_PBS__SITE": "jean-zay"})
    assert settings.pbs.queues == ("workq",)
    for again in (["--save", "jean-zay"], ["--save", str(file)], ["--save", "x", "--write"]):
        with pytest.raises(BadRequest):
            CliRunner().invoke(setup, ["pbs", *again], catch_exceptions=False)


def test_neither_an_account_nor_a_login_stands_in_the_file_of_a_site() -> None:
    findings = (
        *slurm_findings(("ocean",), ("normal", "high"), "12 SU are left"),
        Finding(key="constraint", words="Nodes of one kind.", value="cpu", is_sure=True),
    )
    found = Survey(
        table="slurm",
        site=Site(partitions=()),
        findings=findings,
        interfaces=("ib0",),
        scratch=(),
        modules=(Module(name="cuda", version="12.4", others=1), Module(name="conda", version="")),
        login="eve@login.example.org",
    )

    text = compose_site(found, "jean-zay")

    assert tomllib.loads(text)["slurm"] == {"constraint": "cpu", "interface": "ib0"}
    assert not [word for word in ("ocean", "high", "12 SU", "eve@", "login =") if word in text]
    assert "cuda/12.4 (one of 2), conda." in text
    assert '# prologue = ["module load cuda/12.4", "module load conda"]' in text
    assert 'login = "eve@login.example.org"' in compose(found), "one's own settings have it"
