"""A site's table is read from a file that is shared, below the user's own words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tradewind.config import load_settings, sites
from tradewind.errors import ConfigError

SITE = '[slurm]\npartitions = ["cpu"]\nwalltime = "2 hours"\ninterface = "ib0"\n'


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the directory that a machine's administrators write."""
    there = tmp_path / "etc"
    there.mkdir()
    monkeypatch.setattr(sites, "SHARED", there)
    return there


@pytest.fixture
def file(tmp_path: Path, shared: Path) -> Path:
    (tmp_path / "mine" / "sites").mkdir(parents=True)
    return tmp_path / "mine" / "config.toml"


def test_what_the_user_says_wins_over_the_site_and_a_variable_over_both(file: Path) -> None:
    (file.parent / "sites" / "jean-zay.toml").write_text(SITE)
    file.write_text('[slurm]\nsite = "jean-zay"\nwalltime = "1 hour"\ninterface = "eth0"\n')

    slurm = load_settings(file, {"TRADEWIND_SLURM__INTERFACE": "hsn0"}).slurm

    assert (slurm.partitions, slurm.walltime, slurm.interface) == (("cpu",), timedelta(hours=1), "hsn0")


def test_a_site_is_found_for_all_users_and_the_users_own_of_that_name_first(file: Path, shared: Path) -> None:
    (shared / "jean-zay.toml").write_text('[slurm]\ninterface = "hsn0"\n')
    there = {"TRADEWIND_SLURM__SITE": "jean-zay"}
    assert load_settings(file, there).slurm.interface == "hsn0"

    (file.parent / "sites" / "jean-zay.toml").write_text(SITE)
    assert load_settings(file, there).slurm.interface == "ib0"


@pytest.mark.parametrize("path", ["ours.toml", "./ours.toml", "{}/ours.toml"])
def test_a_site_may_be_a_path_seen_from_the_settings_file(file: Path, path: str) -> None:
    (file.parent / "ours.toml").write_text(SITE)

    settings = load_settings(file, {"TRADEWIND_SLURM__SITE": path.format(file.parent)})

    assert settings.slurm.interface == "ib0"


def test_a_site_that_is_not_there_is_answered_with_those_that_are(file: Path, shared: Path) -> None:
    (file.parent / "sites" / "jean-zay.toml").write_text(SITE)
    (shared / "leonardo.toml").write_text(SITE)

    with pytest.raises(ConfigError) as refused:
        load_settings(file, {"TRADEWIND_SLURM__SITE": "jeanzay"})

    words = str(refused.value)
    assert "did you mean 'jean-zay'? There are: jean-zay, leonardo." in words
    assert f"Looked for in {file.parent / 'sites'} and {shared}" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[slurm", "isn't valid TOML"),
        ("[sge]", "has no table [slurm]; it has: [sge]"),
        ("", "has no table [slurm]; it has: nothing"),
        ('[slurm]\n[serve]\nhost = "0.0.0.0"', "isn't a site's to say: [serve]"),
        ('server = "https://elsewhere"\n[slurm]', "isn't a site's to say: [server]"),
        ('[slurm]\nknown_hosts = "/tmp/mine"', "isn't a site's to say: 'known_hosts'"),
        ('[slurm]\nsite = "another"', "isn't a site's to say: 'site'"),
        ('[slurm]\nlogin = "eve@login.example.org"', "isn't a site's to say: a 'login' with a person's name"),
        ("[slurm]\npartition = 3", "did you mean 'slurm.partitions'?"),
        ('[slurm]\nwalltime = "soon"', "isn't a duration"),
    ],
)
def test_a_file_that_is_no_site_is_named_with_what_is_wrong(file: Path, text: str, words: str) -> None:
    there = file.parent / "sites" / "jean-zay.toml"
    there.write_text(text)

    with pytest.raises(ConfigError) as refused:
        load_settings(file, {"TRADEWIND_SLURM__SITE": "jean-zay"})

    assert str(there) in str(refused.value)
    assert words in str(refused.value)


def test_a_login_node_that_is_nobodys_own_may_stand_in_a_site(file: Path) -> None:
    (file.parent / "sites" / "jean-zay.toml").write_text('[slurm]\nlogin = "login.example.org"\n')

    assert load_settings(file, {"TRADEWIND_SLURM__SITE": "jean-zay"}).slurm.login == "login.example.org"


def test_a_site_that_the_path_of_is_wrong_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"/nowhere.toml, the site .*, can't be read: No such file"):
        load_settings(file, {"TRADEWIND_SLURM__SITE": "/nowhere.toml"})
