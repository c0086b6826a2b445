"""The rig itself: machines that hold nothing of this one."""

from __future__ import annotations

import subprocess

import pytest

from tests.hosts.bare import BareHost, BareHosts

pytestmark = pytest.mark.rig


def ssh(hosts: BareHosts, host: BareHost, command: str, seconds: int = 5) -> str:
    done = subprocess.run(
        [
            "ssh",
            "-i",
            str(hosts.key),
            "-o",
            f"UserKnownHostsFile={hosts.known_hosts}",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"ConnectTimeout={seconds}",
            f"root@{host.address}",
            command,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_each_host_has_its_own_name_home_and_bare_python(hosts: BareHosts) -> None:
    for host in hosts.hosts:
        assert ssh(hosts, host, "hostname").strip() == host.name
        host.home.joinpath("note").write_text(host.name)
        assert ssh(hosts, host, "cat note").strip() == host.name
        assert ssh(hosts, host, "python3 -c 'import pip' 2>&1 || true").endswith("No module named 'pip'\n")
        assert ssh(hosts, host, "ls /usr/lib/python3/dist-packages") == ""


def test_hosts_reach_each_other_and_see_nothing_of_each_other(hosts: BareHosts) -> None:
    first, second, _ = hosts.hosts
    assert ssh(hosts, first, f"exec 3<>/dev/tcp/{second.address}/22 && head -c 4 <&3") == "SSH-"
    second.home.joinpath("secret").touch()
    assert "secret" not in ssh(hosts, first, "ls /root")


def test_a_cut_host_is_not_reached_and_a_rebooted_one_has_forgotten_its_processes(hosts: BareHosts) -> None:
    host = hosts.hosts[2]
    ssh(hosts, host, "nohup sleep 1000 >/dev/null 2>&1 & touch /tmp/there")
    assert any("sleep 1000" in line for line in host.processes())
    with host.unplugged(), pytest.raises(subprocess.CalledProcessError):
        ssh(hosts, host, "true", seconds=1)
    assert any("sleep 1000" in line for line in host.processes())
    host.reboot()
    assert host.processes() == []
    assert "there" not in ssh(hosts, host, "ls /tmp")
