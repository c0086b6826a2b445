"""Why a host can't be reached is said with what to do, and is said to last where only a person can mend it."""

import socket
import subprocess
from pathlib import Path

import pytest

from tradewind.line import Line, Silent

from .conftest import Desk
from .sshd import keygen


async def refusal(line: Line) -> Silent:
    with pytest.raises(Silent) as refused:
        await line.station()
    assert refused.value.is_certain, "it never heard anything"
    return refused.value


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"user": "nobody-of-this-name"}, "as user nobody-of-this-name"),
        (
            {"address": "ws1.lab.invalid"},
            "no computer is known as 'ws1.lab.invalid'; correct its address in [their table]",
        ),
        ({"key": "{other}"}, "`ssh -i"),
        ({"key": "{locked}"}, "and leave key out of [their table]"),
        ({"key": "{none}"}, "isn't there"),
        ({"key": "{rubbish}"}, "can't be used"),
        ({"python": "/opt/none/python3"}, "has no /opt/none/python3"),
        ({"python": "/opt/none/python3"}, "write its path into [their table] as python"),
        ({"python": "true"}, "doesn't run there"),
    ],
)
async def test_a_host_that_lets_nobody_in_says_what_to_do(desk: Desk, changed: dict[str, str], words: str) -> None:
    keygen(desk.directory / "other")
    keygen(desk.directory / "locked", "a passphrase")
    (desk.directory / "rubbish").write_text("no key at all\n")
    paths = {name: desk.directory / name for name in ("other", "locked", "none", "rubbish")}

    silent = await refusal(desk.line(**{name: value.format(**paths) for name, value in changed.items()}))

    assert words in silent.words
    assert "ws1" in silent.words
    assert silent.is_lasting


async def test_a_name_that_no_computer_has_is_not_waited_for(desk: Desk) -> None:
    try:
        socket.getaddrinfo("ws1.lab.invalid", 22)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            pytest.skip("there is nobody to ask for names")

    silent = await refusal(desk.line(address="ws1.lab.invalid"))

    assert "no computer is known as 'ws1.lab.invalid'; correct its address in [their table]" in silent.words
    assert silent.is_lasting


async def test_a_host_that_is_not_up_may_come_back(desk: Desk) -> None:
    silent = await refusal(desk.line(port=1))

    assert "ws1 can't be reached at 127.0.0.1 port 1" in silent.words
    assert not silent.is_lasting


def fingerprint(key: Path) -> str:
    done = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


async def test_a_host_whose_key_is_not_known_is_refused_with_its_fingerprint_and_the_line_to_check(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "known").write_text("")

    silent = await refusal(desk.line(known_hosts=tmp_path / "known"))

    assert fingerprint(desk.server.directory / "host_key.pub") in silent.words
    assert f"`ssh-keyscan -p {desk.server.port} 127.0.0.1 >> {tmp_path / 'known'}`" in silent.words
    assert silent.is_lasting


async def test_who_never_used_ssh_is_told_to_make_its_directory_first(desk: Desk, tmp_path: Path) -> None:
    silent = await refusal(desk.line(known_hosts=tmp_path / "never-used-ssh" / "absent"))

    assert f"`mkdir -p -m 700 {tmp_path / 'never-used-ssh'} && ssh-keyscan" in silent.words


async def test_a_host_that_shows_another_key_than_before_is_refused_as_such(desk: Desk, tmp_path: Path) -> None:
    other = keygen(tmp_path / "another").with_suffix(".pub").read_text().split()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{desk.server.port} {other[0]} {other[1]}\n")

    assert "somebody may stand in between" in (await refusal(desk.line(known_hosts=tmp_path / "known"))).words
