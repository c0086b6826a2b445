"""A real sshd on loopback, for this user alone, with keys and settings of its own."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import tradewind

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
KEYGEN = shutil.which("ssh-keygen")
MISSING = "" if SSHD and KEYGEN else "there is no sshd or no ssh-keygen on this machine"

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
LogLevel ERROR
MaxStartups 100:30:200
"""


@dataclass
class Sshd:
    """One server; hosts of an inventory may share it, with directories of their own."""

    directory: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def key(self) -> Path:
        return self.directory / "key"

    def start(self) -> None:
        assert SSHD is not None
        log = (self.directory / "sshd.log").open("ab")
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.directory / "sshd_config")],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        self.started.append(self.process)
        until = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert time.monotonic() < until, (self.directory / "sshd.log").read_text()
            time.sleep(0.02)

    def cut(self) -> None:
        """End all connections: their programs see that nobody is there any more."""
        for connection in self._connections():
            with contextlib.suppress(psutil.NoSuchProcess):
                connection.kill()

    def stop(self) -> None:
        """Let nobody in any more, and end all connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)  # or it would let somebody in meanwhile
        connections = self._connections()
        self.process.kill()
        self.process.wait()
        for connection in connections:
            with contextlib.suppress(psutil.NoSuchProcess):
                connection.kill()

    def _connections(self) -> list[psutil.Process]:
        assert self.process is not None
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        found = []
        for child in children:
            # Below them stand stations, and keepers that must stay.
            with contextlib.suppress(psutil.NoSuchProcess):
                if "sshd" in child.name():
                    found.append(child)
        return found

    def trust(self) -> None:
        public = (self.directory / "host_key.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")


def keygen(path: Path, passphrase: str = "") -> Path:
    assert KEYGEN is not None
    subprocess.run([KEYGEN, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path


@contextlib.contextmanager
def sshd(directory: Path, more: str = "") -> Iterator[Sshd]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Sshd(directory, port)
    keygen(directory / "host_key")
    keygen(directory / "key")
    shutil.copy(directory / "key.pub", directory / "authorized_keys")
    (directory / "sshd_config").write_text(CONFIG.format(port=port, directory=directory) + more)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server.trust()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def environment(directory: Path) -> Path:
    """Return an environment that has what this one has, with the Tradewind that is tested: nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = str(Path(tradewind.__file__).parents[1])
    lines = [home, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (directory / "lib" / version / "site-packages" / "here.pth").write_text("\n".join(lines) + "\n")
    return directory


USER = getpass.getuser()
