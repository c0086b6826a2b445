"""The file that signing in leaves behind."""

from __future__ import annotations

import stat

import pytest

from tradewind.client.door import find_place
from tradewind.client.remote.credentials import (
    Credentials,
    Login,
    credentials_file,
    load_credentials,
    save_credentials,
    server_url,
)
from tradewind.config import Settings
from tradewind.errors import BadRequest, ConfigError
from tradewind.model.secret import Secret

URL = "https://tradewind.example"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("tradewind.example", URL),
        ("https://Tradewind.Example/", URL),
        ("https://tradewind.example:8886/workspaces/x?y#z", f"{URL}:8886"),
        ("http://localhost:8886", "http://localhost:8886"),
        ("http://[::1]:8886", "http://[::1]:8886"),
        ("http://tradewind.example", None),
        ("ftp://tradewind.example", None),
        ("https://ada:secret@tradewind.example", None),
        ("https://x:port", None),
        ("https://x:99999", None),
        ("", None),
    ],
)
def test_an_address_is_written_in_one_way_or_refused(text, url):
    if url is None:
        with pytest.raises(BadRequest):
            server_url(text)
    else:
        assert server_url(text) == url


def test_what_is_saved_is_found_again_and_nobody_else_can_read_it(home):
    login = Login(token=Secret('tw_ä"\\\n]'), user="ada", workspace="sea-ice", authority="-----BEGIN\nX\n-----END\n")
    there = Credentials(current=URL, logins={URL: login, "http://[::1]:1": Login()})
    save_credentials(there)
    assert load_credentials() == there
    assert stat.S_IMODE(credentials_file().stat().st_mode) == 0o600
    assert [file.name for file in home.iterdir()] == ["credentials.toml"]


@pytest.mark.parametrize(
    "text", ["token = tw_leaked", "[servers.x]\ntoken = 5\n", "servers = 5", "current = []", "\udc80"]
)
def test_a_broken_file_is_said_and_never_quoted(text):
    credentials_file().write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match="sign in again") as caught:
        load_credentials()
    assert "leaked" not in str(caught.value)


def test_no_token_is_seen_by_accident():
    assert "tw_x" not in repr(Credentials(logins={URL: Login(token=Secret("tw_x"))}))


@pytest.mark.parametrize(
    ("server", "workspace", "place"),
    [
        (None, "default", (URL, "sea-ice")),
        (None, "mine", (URL, "mine")),
        ("solo", "default", (None, "default")),
        ("https://other.example", "default", ("https://other.example", "default")),
    ],
)
def test_settings_go_before_the_sign_in(server, workspace, place):
    save_credentials(Credentials(current=URL, logins={URL: Login(workspace="sea-ice")}))
    found = find_place(Settings(server=server, workspace=workspace))
    assert (found.server, found.settings.workspace) == place


def test_paths_of_this_machine_are_shown_to_servers_on_it_alone():
    assert find_place(Settings()).shares_files
    assert find_place(Settings(server="http://127.0.0.1:1")).shares_files
    assert not find_place(Settings(server=URL)).shares_files
