"""The two things everything else is made with: uv, and a Python of the right version."""

from __future__ import annotations

import configparser
import html
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from tradewind.boot.restore.addresses import bare, login_in, with_login_of
from tradewind.boot.restore.fetch import BROKEN, cause_of, fetched, page_at
from tradewind.boot.restore.report import CantRestore

OLDEST_UV = (0, 5)
"""Before it, options that are used here are missing."""
SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


def run(
    words: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float = 600.0,
    hold: int = -1,
    listen: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Run a command to its end; return its exit code and the last lines it wrote.

    ``hold`` is the file whose lock the command keeps should this process be killed: nobody then begins to make what it
    is still making.
    """
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environ or {})},
        pass_fds=(hold,) if hold >= 0 else (),
        text=True,
        errors="replace",
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    tail: deque[str] = deque(maxlen=60)
    try:
        assert process.stdout is not None
        if given:
            assert process.stdin is not None
            process.stdin.write(given)
            process.stdin.close()
        for line in process.stdout:
            tail.append(line)
            if listen is not None:
                listen(line)
        code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if late.is_set():
        name = os.path.basename(words[0])
        raise CantRestore("timeout", f"{name} didn't end within {timeout_s:.0f} s on this machine", "".join(tail))
    return code, "".join(tail)


def usual_indexes() -> list[str]:
    """Return the indexes that this machine was set up to ask, the first one first; none if it says nothing."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return [os.environ[name]]
    home = os.path.expanduser("~")
    for path in (f"{home}/.config/pip/pip.conf", f"{home}/.pip/pip.conf", "/etc/pip.conf"):
        settings = configparser.RawConfigParser(strict=False)
        try:
            settings.read(path, encoding="utf-8")
            return [settings.get("global", "index-url").strip()]
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
    return []


def find_uv(cache: str, given: str, indexes: Sequence[str]) -> str:
    """Return the path of a uv that runs here: the machine's, an earlier fetched one, or one fetched now."""
    places = [os.environ.get("PATH", ""), os.path.expanduser("~/.local/bin"), os.path.expanduser("~/.cargo/bin")]
    known = shutil.which("uv", path=os.pathsep.join(places))
    for path in filter(None, (known, os.path.join(cache, "tools", "uv"))):
        if _runs(path):
            used(path, cache)
            return path
    if given:
        name = os.path.basename(given.partition("?")[0])
        wheel = fetched(given, os.path.join(cache, "tools"), name)
    else:
        wheel = _wheel_from_index(cache, indexes)
    try:
        return _unpacked_uv(wheel, os.path.join(cache, "tools", "uv"))
    finally:
        if wheel != given:
            with suppress(FileNotFoundError):  # another was faster
                os.unlink(wheel)


def used(path: str, cache: str) -> None:
    """Let a file or directory of the cache count as used now; one that isn't of the cache is nobody's business."""
    if path.startswith(cache):
        with suppress(OSError):  # one that others made for everybody can't be touched
            os.utime(path)


def _runs(path: str) -> bool:
    try:
        code, text = run([path, "--version"], timeout_s=20)
    except (OSError, CantRestore):
        return False
    found = re.match(r"uv (\d+)\.(\d+)", text)
    return code == 0 and found is not None and (int(found[1]), int(found[2])) >= OLDEST_UV


def _wheel_from_index(cache: str, indexes: Sequence[str]) -> str:
    if not indexes:
        raise CantRestore(
            "no_uv",
            "This machine has no uv, and nothing says from which index to fetch it. Install uv on the machine "
            "(it is one file), or set an index: `index-url` in the pip.conf of this or of the other machine.",
        )
    last = "none of the indexes is one of the network"
    for index in indexes:
        page = index.rstrip("/") + "/uv/"
        if not page.startswith(("http://", "https://")):
            continue  # a directory of the caller's machine
        if urlsplit(login_in(index)[0]).netloc != urlsplit(bare(index)).netloc:
            last = f"the login in the address of {bare(index)} needs %2F for each /, %23 for each #"
            continue
        try:
            text = page_at(page, SIMPLE).decode("utf-8", "replace")
        except (*BROKEN, OSError) as error:
            last = f"{bare(index)} can't be asked: {cause_of(error)}"
            continue
        files = [file for file in _listed(text, page) if _fits(file[0])]
        if files:
            name, address, sha256 = max(files, key=lambda file: (_uv_version(file[0]), "musllinux" in file[0]))
            return fetched(with_login_of(page, address), os.path.join(cache, "tools"), name, sha256)
        last = f"{bare(index)} has no uv for {platform.system()} {platform.machine()}"
    raise CantRestore("no_uv", f"This machine has no uv, and none can be fetched: {last}. Install uv on the machine.")


def _listed(text: str, page: str) -> list[tuple[str, str, str]]:
    """Return file name, address and sha256 (or nothing) of each file on an index page, JSON or HTML."""
    if text.lstrip().startswith("{"):
        return [
            (file["filename"], urljoin(page, file["url"]), file.get("hashes", {}).get("sha256", ""))
            for file in json.loads(text)["files"]
            if not file.get("yanked")
        ]
    found = []
    for reference, shown in re.findall(r"<a\s[^>]*?href=[\"']([^\"']+)[\"'][^>]*>([^<]+)</a>", text, re.IGNORECASE):
        address = urljoin(page, html.unescape(reference))
        mark = re.search(r"sha256=([0-9a-f]{64})", urlsplit(address).fragment)
        found.append((shown.strip(), address.partition("#")[0], mark[1] if mark else ""))
    return found


def _uv_version(name: str) -> tuple[int, ...]:
    found = re.match(r"uv-(\d+)\.(\d+)\.(\d+)-", name)
    return tuple(int(number) for number in found.groups()) if found else ()


def _fits(name: str) -> bool:
    """Whether a wheel of uv is for this machine; which Linux it is doesn't matter where there is one for musl."""
    if not name.endswith(".whl") or _uv_version(name) < OLDEST_UV:
        return False
    system = "macosx" if sys.platform == "darwin" else "linux_"
    return system in name and name[: -len(".whl")].endswith((platform.machine().lower(), "universal2"))


def _unpacked_uv(wheel: str, path: str) -> str:
    beside = f"{path}.{os.getpid()}"
    try:
        with zipfile.ZipFile(wheel) as files:
            inside = next(name for name in files.namelist() if name.endswith("/scripts/uv"))
            with files.open(inside) as source, open(beside, "wb") as target:
                shutil.copyfileobj(source, target)
        os.chmod(beside, 0o755)
        os.replace(beside, path)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise CantRestore("no_uv", f"{os.path.basename(wheel)} isn't a wheel of uv: {error or 'no uv in it'}") from None
    finally:
        with suppress(FileNotFoundError):  # what fills a disk must not stay on it
            os.unlink(beside)
    if not _runs(path):
        raise CantRestore(
            "no_uv", f"The uv of {os.path.basename(wheel)} doesn't run on this machine; install uv on it."
        )
    return path


def minor_of(version: str) -> str:
    """Return ``3.11`` of ``3.11.7``: what a wheel for Python 3.11 fits."""
    return ".".join(version.split(".")[:2])


def own_python(version: str) -> str:
    """Return a Python of the machine with the same minor version; empty if there is none."""
    minor = minor_of(version)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    # Of a virtual environment the Python it was made from: the environment may be gone tomorrow.
    candidates = [os.path.join(sys.base_exec_prefix, "bin", f"python{minor}")] if here == minor else []
    candidates.append(shutil.which(f"python{minor}") or "")
    candidates.extend(f"{place}/python{minor}" for place in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"))
    for path in candidates:
        if path and os.access(path, os.X_OK) and python_version(path) == minor:
            return path
    return ""


def python_version(path: str) -> str:
    """Return the minor version of a Python, as ``3.11``; empty if it doesn't run or isn't CPython."""
    asked = "import sys; print(*sys.version_info[:2], sys.implementation.name)"
    try:
        code, text = run([path, "-I", "-S", "-c", asked], timeout_s=20)
    except (OSError, CantRestore):
        return ""
    words = text.split()
    return f"{words[0]}.{words[1]}" if code == 0 and words[2:] == ["cpython"] else ""


def find_python(version: str, uv: str, environ: Mapping[str, str], timeout_s: float) -> str:
    """Return a Python of the same minor version: the machine's own, or one that uv downloads."""
    if own := own_python(version):
        return own
    minor = minor_of(version)
    words = [uv, "python", "find", "--no-project", minor]
    code, text = run(words, environ={**environ, "UV_PYTHON_DOWNLOADS": "never"}, timeout_s=60)
    if code != 0:
        code, why = run([uv, "python", "install", "--no-bin", minor], environ=environ, timeout_s=timeout_s)
        if code == 0:
            code, text = run(words, environ=environ, timeout_s=60)
        else:
            text = why
    path = text.strip().splitlines()[-1] if text.strip() else ""
    if code == 0 and python_version(path) == minor:
        return path
    causes = re.findall(r"cause: (.*)", text)
    raise CantRestore(
        "no_python",
        f"The environment is of Python {version}, and this machine has Python {platform.python_version()} "
        f"({sys.executable}) and none of {minor}; one couldn't be downloaded: {causes[-1] if causes else path}. "
        f"Ways out: install python{minor} on the machine, let it reach the downloads (UV_PYTHON_INSTALL_MIRROR names "
        f"another place), or start from an environment of a Python that the machine has.",
        text,
    )


def own_glibc() -> str:
    """Return the version of the C library here, as ``2.36``; empty where it is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):
        return ""
    return ".".join(version.split(".")[:2]) if name == "glibc" else ""
