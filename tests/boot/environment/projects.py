"""Small projects that need nothing to be built, and environments with what real installers wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from pathlib import Path

UV = shutil.which("uv", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))

# A builder of its own in the project: uv and pip run it as any other, and fetch nothing.
BUILDER = """
import os, pathlib, zipfile

NAME, VERSION = "{name}", "{version}"
INFO = f"{{NAME}}-{{VERSION}}.dist-info"

def _write(directory, members):
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / wheel, "w") as archive:
        for name, text in members.items():
            # No two builds are alike: most builders write the time into the archive.
            archive.writestr(zipfile.ZipInfo(name, (1990 + os.urandom(1)[0] % 99, 1, 1, 0, 0, 0)), text)
        said = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n{requires}"
        archive.writestr(f"{{INFO}}/METADATA", said)
        said = "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        archive.writestr(f"{{INFO}}/WHEEL", said)
        archive.writestr(f"{{INFO}}/entry_points.txt", f"[console_scripts]\\n{{NAME}}-cmd = {{NAME}}:main\\n")
        names = [*members, f"{{INFO}}/METADATA", f"{{INFO}}/WHEEL", f"{{INFO}}/entry_points.txt", f"{{INFO}}/RECORD"]
        archive.writestr(f"{{INFO}}/RECORD", "".join(f"{{name}},,\\n" for name in names))
    return wheel

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("building", NAME)
    root = pathlib.Path("src")
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return _write(wheel_directory, {{path.relative_to(root).as_posix(): path.read_bytes() for path in files}})

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _write(wheel_directory, {{f"_editable_{{NAME}}.pth": str(pathlib.Path("src").resolve()) + "\\n"}})
"""


def project(directory: Path, name: str, *, version: str = "1.0", requires: str = "", text: str = "") -> Path:
    """Write a project with one package, and return its directory."""
    package = directory / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text or f"def main():\n    print('{name} runs')\n")
    (package / "table.csv").write_text("a,b\n1,2\n")
    (directory / "builder.py").write_text(BUILDER.format(name=name, version=version, requires=requires))
    (directory / "pyproject.toml").write_text(
        textwrap.dedent(f"""\
        [build-system]
        requires = []
        build-backend = "builder"
        backend-path = ["."]
        [project]
        name = "{name}"
        version = "{version}"
        """)
    )
    return directory


def virtual_environment(directory: Path) -> Path:
    """Make an environment without any package, and return its directory of packages."""
    run(UV or "uv", "venv", "-q", "--python", sys.executable, str(directory))
    return next(directory.glob("lib/python3*/site-packages"))


def install(environment: Path, *words: str) -> None:
    """Install into an environment with uv, without any network."""
    run(
        UV or "uv", "pip", "install", "-q", "--offline", "--no-index", "--no-deps", "--python", str(environment), *words
    )


def git(directory: Path, *words: str) -> str:
    """Run git as nobody in particular."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    return run("git", "-C", str(directory), *who, *words)


def commit(directory: Path) -> str:
    """Put a directory under git, and return the commit."""
    git(directory, "init", "-q")
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "All")
    return git(directory, "rev-parse", "HEAD").strip()


def run(*command: str) -> str:
    """Run a command that has to succeed, and return what it said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "GIT_"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def distribution(
    site: Path, name: str, version: str = "1.0", *, metadata: bytes | None = None, record: bool = True, **notes: object
) -> Path:
    """Write a distribution as an installer would: one module, and ``notes``, files by name with ``.`` as ``_``."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(f"version = '{version}'\n")
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    (info / "METADATA").write_bytes(metadata)
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    for note, content in notes.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (info / {"direct_url": "direct_url.json"}.get(note, note)).write_text(text)
    if record:
        files = [f"{name}.py", *(f"{info.name}/{path.name}" for path in info.iterdir()), f"{info.name}/RECORD"]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return info


def conda_record(prefix: Path, name: str, version: str, *, owns: str = "", **more: object) -> None:
    """Write what conda keeps of one package, with as many files as usual."""
    directory = prefix / "conda-meta"
    directory.mkdir(parents=True, exist_ok=True)
    files = [f"lib/{name}/file{number}.py" for number in range(50)]
    if owns:
        files.append(f"lib/python3.11/site-packages/{owns}/METADATA")
    record: Mapping[str, object] = {
        "build": "py311_0",
        "channel": "https://conda.example.org/forge",
        "files": files,
        "name": name,
        "paths_data": {"paths": [{"_path": file, "sha256": "0" * 64} for file in files], "paths_version": 1},
        "requested_spec": "",
        "sha256": "ab" * 32,
        "subdir": "linux-64",
        "url": f"https://conda.example.org/forge/linux-64/{name}-{version}-py311_0.conda",
        "version": version,
        **more,
    }
    (directory / f"{name}-{version}-py311_0.json").write_text(json.dumps(record, indent=2))
