import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.providers.local.orders import order
from tradewind.boot.serve import prepare_process, security_of
from tradewind.boot.unwritten import read_once, unwritten
from tradewind.model.instance import Role


def test_a_prepared_process_does_not_go_on_with_the_random_numbers_it_inherited() -> None:
    np.random.seed(0)
    inherited = np.random.random()
    np.random.seed(0)
    prepare_process(order(Role.WORKER, "c", python_path=()).boot)
    assert np.random.random() != inherited


def test_keys_make_a_security_that_requires_encryption_for_every_role() -> None:
    boot = order(Role.WORKER, "c").boot
    security = security_of(boot.keys)
    assert security.require_encryption
    for role in ("client", "scheduler", "worker"):
        config = security.get_tls_config_for_role(role)
        assert config["ca_file"].startswith("-----BEGIN")
        assert boot.keys.key.reveal() in _text(config["key"])
        assert boot.keys.certificate in _text(config["cert"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are on disks")
def test_dask_connects_and_a_server_listens_with_keys_that_are_written_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", None)
    keys = order(Role.WORKER, "c").boot.keys
    security = security_of(keys)
    for role in ("client", "scheduler", "worker"):
        assert security.get_connection_args(role)["ssl_context"] is not None
        assert security.get_listen_args(role)["ssl_context"] is not None
    with read_once(keys.key.reveal()) as path:
        assert _text(path) == keys.key.reveal()
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0 or path.startswith("/proc/self/fd/")
    assert not os.path.exists(path)


def test_a_file_that_is_on_no_disk_is_not_handed_on() -> None:
    path = unwritten("the key")
    if path is None:
        pytest.skip("this machine has no such files")
    said = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True, close_fds=False)
    assert "memfd:tradewind" not in said.stdout
    assert _text(path) == _text(path) == "the key"


def test_where_files_are_on_disks_one_is_this_users_alone_and_gone_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert unwritten("the key") is None
    with read_once("the key") as path:
        assert _text(path) == "the key"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert not os.path.exists(path)
    assert "BEGIN" in security_of(order(Role.WORKER, "c").boot.keys).get_tls_config_for_role("worker")["key"]


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
