"""The indexes that pip and uv ask are known, and nothing that is secret in their addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind import wire
from tradewind.boot.environment.capture import describe
from tradewind.boot.environment.indexes import Index, Indexes, bare, configured, has_secret
from tradewind.boot.environment.sources import CondaRecord, Found, Installed, _origin

LAB = "https://pypi.lab.example.org/simple"
PYPI = "https://pypi.org/simple"

ADDRESSES = [
    (LAB, LAB),
    ("https://ada:hunter2@pypi.lab.example.org/simple", LAB),
    ("https://hunter2@pypi.lab.example.org/simple", LAB),
    ("https://ada:hun/ter#2@pypi.lab.example.org/simple", LAB),
    ("https://ada:h@unter2@pypi.lab.example.org/simple", LAB),
    (LAB + "?token=hunter2", LAB),
    (LAB + "#hunter2", LAB),
    ("https://host/t/hunter2/channel", "https://host/t/***/channel"),
    (
        "https://dl.cloudsmith.io/hunter2/lab/repo/python/simple/",
        "https://dl.cloudsmith.io/***/lab/repo/python/simple/",
    ),
    ("https://dl.cloudsmith.io/public/lab/repo/simple/", "https://dl.cloudsmith.io/public/lab/repo/simple/"),
    ("file:///home/a@b/wheels", "file:///home/a@b/wheels"),
    ("ada:hunter2@host/simple", "host/simple"),
    ("git@github.com:lab/tool.git", "github.com:lab/tool.git"),
    ("https://[bad/simple", "https://[bad/simple"),
    ("", ""),
]


@pytest.mark.parametrize(("address", "expected"), ADDRESSES)
def test_an_address_loses_its_secrets(address: str, expected: str) -> None:
    assert bare(address) == expected
    assert bare(expected) == expected


def ask(tmp_path: Path, environ: dict[str, str] | None = None, **files: str) -> Indexes:
    """Return what is configured where ``files`` lie: ``pip`` and ``uv`` of the user, ``project`` and ``own``."""
    home = tmp_path / "home"
    work = home / "work" / "inner"
    work.mkdir(parents=True)
    places = {
        "pip": home / ".config/pip/pip.conf",
        "uv": home / ".config/uv/uv.toml",
        "project": home / "work/pyproject.toml",
        "own": tmp_path / "prefix/pip.conf",
    }
    for word, text in files.items():
        places[word].parent.mkdir(parents=True, exist_ok=True)
        places[word].write_text(text)
    environ = {"HOME": str(home), **(environ or {})}
    return configured(environ=environ, prefix=str(tmp_path / "prefix"), working_directory=work)


def urls(found: Indexes) -> list[str]:
    """Return the addresses, without those that a machine's own settings give to everybody."""
    nowhere = {"environ": {"HOME": "/nowhere"}, "prefix": "/nowhere", "working_directory": Path("/nowhere")}
    of_all = {index.url for index in configured(**nowhere).asked} - {PYPI}  # type: ignore[arg-type]
    return [index.url for index in found.asked if index.url not in of_all]


CONFIGURED = [
    ("pip's variables", {"PIP_INDEX_URL": "https://u:p@a/s", "PIP_EXTRA_INDEX_URL": LAB}, {}, ["https://a/s", LAB]),
    ("uv's variables", {"UV_INDEX": f"lab={LAB} https://b/s/"}, {}, [LAB, "https://b/s", PYPI]),
    ("uv's default", {"UV_DEFAULT_INDEX": LAB}, {}, [LAB]),
    ("pip's file", {}, {"pip": f"[global]\nextra-index-url =\n    {LAB}\n    https://b/%40s\n"}, [PYPI, LAB, "https://b/%40s"]),
    ("pip's file of this Python", {}, {"own": "[install]\nindex_url=https://a/s\n"}, ["https://a/s"]),
    ("a stronger file of pip", {}, {"pip": f"[global]\nindex-url={LAB}", "own": "[global]\nindex-url=https://a/s"}, ["https://a/s"]),
    ("uv's file", {}, {"uv": f'extra-index-url = ["{LAB}"]'}, [PYPI, LAB]),
    ("a project", {}, {"project": f'[[tool.uv.index]]\nname = "lab"\nurl = "{LAB}"'}, [LAB, PYPI]),
    ("a project's default", {}, {"project": f'[[tool.uv.index]]\nurl = "{LAB}"\ndefault = true'}, [LAB]),
    ("poetry", {}, {"project": f'[[tool.poetry.source]]\nname = "lab"\nurl = "{LAB}"'}, [LAB, PYPI]),
    ("uv without its files", {"UV_NO_CONFIG": "1"}, {"uv": f'extra-index-url = ["{LAB}"]'}, None),
    ("broken files", {}, {"pip": "no section\n", "uv": "[[", "project": "[tool.uv"}, None),
    ("wrong types", {}, {"uv": 'index = 5\nextra-index-url = "x"', "project": "tool.uv = 3"}, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "files", "expected"), [case[1:] for case in CONFIGURED], ids=[case[0] for case in CONFIGURED]
)
def test_indexes_are_found(
    environ: dict[str, str], files: dict[str, str], expected: list[str] | None, tmp_path: Path
) -> None:
    found = ask(tmp_path, environ, **files)

    # This machine may have settings for everybody: what comes of those alone counts as none.
    assert urls(found) == (expected or urls(ask(tmp_path / "other")))
    assert "u:p" not in repr(found)


def test_an_index_with_a_password_needs_one(tmp_path: Path) -> None:
    found = ask(tmp_path, {"PIP_INDEX_URL": "https://ada:hunter2@pypi.lab.example.org/simple"})

    assert found.asked[0] == Index(url=LAB, needs_password=True)


def test_a_project_says_which_package_is_of_which_index(tmp_path: Path) -> None:
    text = f'[[tool.uv.index]]\nname = "lab"\nurl = "{LAB}"\n[tool.uv.sources]\nLab_Tool = {{ index = "lab" }}\n'

    assert ask(tmp_path, project=text).by_package == {"lab-tool": LAB}


# A space in an address ends it, for every tool that reads one.
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF).filter(lambda letter: not letter.isspace()))


@given(
    user=st.text(st.sampled_from("abc:@/#?%é"), max_size=6),
    secret=secrets,
    place=st.sampled_from(["password", "user", "query", "fragment", "conda"]),
)
def test_no_secret_of_an_address_is_left_anywhere(user: str, secret: str, place: str) -> None:
    secret = f"hunter2{secret}hunter2"
    part = re.sub("[/@#?]", "", secret)
    url = {
        "password": f"https://{user}:{secret}@host.example.org/simple",
        "user": f"https://{secret}@host.example.org/simple",
        "query": f"https://host.example.org/simple?token={part}",
        "fragment": f"https://host.example.org/simple#{part}",
        "conda": f"https://host.example.org/t/{part}/lab",
    }[place]
    assert has_secret(url) or place == "fragment"  # which nobody is ever sent
    origins = [
        {"url": url, "vcs_info": {"vcs": "git", "commit_id": "f00d"}},
        {"url": url, "archive_info": {}},
        {"url": url, "dir_info": {}},
    ]
    read = [_origin(origin) for origin in origins]
    installed = tuple(
        Installed(name=f"p{at}", version="1", directory=Path("x"), files=frozenset(), source=source, url=address)
        for at, (source, address, _) in enumerate(read)
    )
    indexes = configured(
        environ={"PIP_EXTRA_INDEX_URL": url, "UV_DEFAULT_INDEX": url, "HOME": "/nowhere"},
        prefix="/nowhere",
        working_directory=Path("/nowhere"),
    )
    conda = CondaRecord(name="c", version="1", build="", subdir="", channel=bare(url), sha256="", is_requested=False)

    environment = describe(
        Found(installed=installed, conda=(conda,)), indexes, python="3.11.7", platform="linux-x86_64"
    )

    for text in (repr(environment), repr(indexes), wire.dump_json(environment)):
        assert "hunter2" not in text
