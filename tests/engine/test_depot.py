"""Where files for machines are kept: the same in a directory and in an object store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tradewind.boot.process import Publishing
from tradewind.boot.restore.fetch import opened, put
from tradewind.config import SoftwareSettings
from tradewind.engine import depot as depots
from tradewind.engine.depot import Depot, Depots
from tradewind.errors import ConfigError, Unavailable

pytest.importorskip("obstore")
CIRCLE = ("lab", "ada")
HASH = "ab" * 32
LONG_RECORD = '{"name": "NAME", "sha256": "%s", "size": 10}' + " " * depots.LONGEST_RECORD
"""Good but for its length."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server", reason="moto[server], which stands in for S3, isn't installed")
    running = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty store."""
    if request.param == "file":
        return f"file://{tmp_path}/the%20depot"
    endpoint = request.getfixturevalue("server")
    bucket = f"b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIATESTING",
        "AWS_SECRET_ACCESS_KEY": "never-told-to-a-machine",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/some/prefix"


def wheel(directory: Path, text: bytes = b"a wheel") -> tuple[str, Path]:
    path = directory / "mine-1.0-py3-none-any.whl"
    path.write_bytes(text)
    return hashlib.sha256(text).hexdigest(), path


def read(address: str) -> bytes:
    """Read an address as a machine does."""
    with opened(address) as file:
        return file.read()


async def end(url: str, key: str) -> None:
    """Remove a file as a bucket's own rules do."""
    import obstore

    await obstore.delete_async(Depot(url)._store, key)


async def publish(one: Depot, directory: Path, text: bytes = b"everything", size: int = 10) -> Publishing:
    """Put an archive and its record there, as a machine does."""
    told = await one.publishing(CIRCLE, HASH)
    archive, record = directory / "archive", directory / "record"
    archive.write_bytes(text)
    record.write_text(json.dumps({"name": told.name, "sha256": "c" * 64, "size": size, "files": 1}))
    put(str(archive), told.archive)
    put(str(record), told.record)
    return told


async def test_a_machine_reads_what_was_given_by_its_address_alone(url: str, tmp_path: Path) -> None:
    sha256, path = wheel(tmp_path)

    addresses = await Depot(url).give({sha256: str(path)})

    assert read(addresses[sha256]) == b"a wheel"
    assert "never-told-to-a-machine" not in addresses[sha256]
    assert addresses[sha256].startswith("http") == url.startswith("s3")


async def test_a_file_is_put_there_once_and_need_not_be_here_again(url: str, tmp_path: Path) -> None:
    sha256, path = wheel(tmp_path)
    await Depot(url).give({sha256: str(path)})
    path.unlink()

    addresses = await Depot(url).give({sha256: str(path)})

    assert read(addresses[sha256]) == b"a wheel"


async def test_all_that_wait_for_one_file_at_once_get_it(url: str, tmp_path: Path) -> None:
    sha256, path = wheel(tmp_path)
    one = Depot(url)

    found = await asyncio.gather(*(one.give({sha256: str(path)}) for _ in range(4)))

    assert [read(addresses[sha256]) for addresses in found] == [b"a wheel"] * 4


async def test_all_that_wait_for_a_file_hear_why_it_does_not_come(url: str, tmp_path: Path) -> None:
    one = Depot(url)
    asked = (one.give({"a" * 64: str(tmp_path / "nothing.whl")}) for _ in range(3))

    found = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(error) for error in found] == [FileNotFoundError] * 3


async def test_a_file_that_the_store_has_ended_is_put_there_anew(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, path = wheel(tmp_path)
    one = Depot(url)
    monkeypatch.setattr(depots, "BELIEVED_FOR_S", 0.0)
    await one.give({sha256: str(path)})
    await end(url, f"artifacts/{sha256}/{path.name}")

    addresses = await one.give({sha256: str(path)})

    assert read(addresses[sha256]) == b"a wheel"


async def test_a_file_that_is_there_is_not_asked_for_at_each_launch(url: str, tmp_path: Path) -> None:
    sha256, path = wheel(tmp_path)
    one = Depot(url)
    await one.give({sha256: str(path)})
    await end(url, f"artifacts/{sha256}/{path.name}")
    path.unlink()

    assert await one.give({sha256: str(path)}), "believed for an hour"


async def test_a_file_that_is_not_what_its_name_says_is_never_put_there(url: str, tmp_path: Path) -> None:
    _, path = wheel(tmp_path, b"changed since")
    one = Depot(url)

    with pytest.raises(OSError, match="isn't the file that was made"):
        await one.give({"a" * 64: str(path)})
    with pytest.raises(OSError, match="isn't the file that was made"):  # not remembered as being there
        await one.give({"a" * 64: str(path)})


async def test_what_a_machine_packed_is_found_by_the_next(url: str, tmp_path: Path) -> None:
    one = Depot(url)
    assert await one.packed(CIRCLE, HASH) is None
    told = await one.publishing(CIRCLE, HASH)
    archive, record = tmp_path / "archive", tmp_path / "record"
    archive.write_bytes(b"everything")
    record.write_text(json.dumps({"name": told.name, "sha256": "c" * 64, "size": 10, "files": 1}))

    put(str(archive), told.archive)
    assert await one.packed(CIRCLE, HASH) is None, "until the record says so"
    put(str(record), told.record)

    packed = await Depot(url).packed(CIRCLE, HASH)
    assert packed is not None
    assert (read(packed.address), packed.sha256, packed.size) == (b"everything", "c" * 64, 10)
    assert await one.packed(("lab", "eve"), HASH) is None
    assert await one.packed(CIRCLE, "cd" * 32) is None


async def test_an_archive_that_the_store_has_ended_is_packed_anew(url: str, tmp_path: Path) -> None:
    one = Depot(url)
    told = await publish(one, tmp_path)
    assert await one.packed(CIRCLE, HASH) is not None
    place = urllib.parse.urlsplit(told.archive).path.partition("/packed/")[2]
    await end(url, f"packed/{place}")

    assert await one.packed(CIRCLE, HASH) is None

    await publish(one, tmp_path)
    assert await one.packed(CIRCLE, HASH) is not None


async def test_an_archive_of_another_size_than_its_record_says_is_as_none(url: str, tmp_path: Path) -> None:
    one = Depot(url)
    await publish(one, tmp_path, size=11)

    assert await one.packed(CIRCLE, HASH) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"name": "./NAME", "sha256": "%s", "size": 10}',
        '{"name": "NAME", "sha256": "short", "size": 10}',
        '{"name": "NAME", "sha256": "%s", "size": null}',
        '{"name": "NAME\\n", "sha256": "%s", "size": 10}',
        '{"name": "NAME", "sha256": "%s", "size": 1e999}',
        '{"name": "NAME", "sha256": "%s", "size": ' + "9" * 5000 + "}",
        '{"name": "NAME", "sha256": "%s", "size": true}',
        "[" * 9000,
        '{"name": "NAME", "sha256": "%s", "size": 10, "more": ' + "[" * 9000,
        LONG_RECORD,
    ],
)
async def test_a_record_that_makes_no_sense_is_as_none(url: str, tmp_path: Path, text: str) -> None:
    one = Depot(url)
    told = await publish(one, tmp_path)
    assert await one.packed(CIRCLE, HASH) is not None
    record = tmp_path / "record"
    record.write_text(text.replace("%s", "c" * 64).replace("NAME", told.name))
    put(str(record), told.record)

    assert await one.packed(CIRCLE, HASH) is None


async def test_an_address_to_write_to_writes_nothing_else(url: str, tmp_path: Path) -> None:
    if url.startswith("file"):
        pytest.skip("paths aren't signed: who reaches the disk has its rights")
    told = await Depot(url).publishing(CIRCLE, HASH)

    assert "X-Amz-Expires=21600" in told.archive
    assert told.archive.partition("?")[2] != told.record.partition("?")[2], "each is signed by itself"
    with pytest.raises(urllib.error.HTTPError):
        read(told.archive)  # nothing is there yet


async def test_what_takes_long_goes_on_while_the_round_comes_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, path = wheel(tmp_path, b"x" * 1_000_000)
    one = Depot(url)
    monkeypatch.setattr(depots, "GIVEN_WITHIN_S", 0.0)

    with pytest.raises(Unavailable, match="mine-1.0-py3-none-any.whl: on the way"):
        await one.give({sha256: str(path)})
    monkeypatch.setattr(depots, "GIVEN_WITHIN_S", 6.0)

    assert len(read((await one.give({sha256: str(path)}))[sha256])) == 1_000_000


@pytest.mark.parametrize(
    "url",
    [
        "http://host/x",
        "ftp://x",
        "bucket",
        "s3://user:secret@bucket/x",
        "s3://user:se/secret@bucket/x",
        "s3://secret@bucket/x",
        "s3://bucket/x#secret",
        "s3://user:secret@[bucket/x",
        "file:///",
        "file://host/x",
        "s3://b/x?token=secret",
    ],
)
def test_what_is_no_store_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="artifacts_url") as caught:
        Depot(url)
    assert "secret" not in str(caught.value)


async def test_a_store_that_refuses_is_quoted_in_one_line(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    sha256, path = wheel(tmp_path)

    with pytest.raises(OSError, match="no-such-bucket") as caught:
        await Depot("s3://no-such-bucket/x").give({sha256: str(path)})
    assert "\n" not in str(caught.value)


async def test_a_store_that_can_not_be_opened_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "depot").write_text("no directory")
    several = Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot"))
    with pytest.raises(ConfigError) as first:
        await several.of("lab")
    (tmp_path / "depot").unlink()

    with pytest.raises(ConfigError) as second:
        await several.of("lab")
    assert str(second.value) == str(first.value)
    monkeypatch.setattr(depots, "TRIED_AGAIN_AFTER_S", 0.0)
    assert await several.of("lab") is not None


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return an environment in which nobody is signed in to any store."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The config profile (absent) could not be found"),
        ("[profile absent\n", "Unable to parse config file"),
        ("[profile absent]\nsource_profile = nobody\nrole_arn = arn:aws:iam::1:role/x\n", "nobody"),
    ],
)
def test_a_sign_in_that_is_set_to_what_is_not_there_is_a_fault_of_the_settings(
    away: pytest.MonkeyPatch, tmp_path: Path, text: str, words: str
) -> None:
    pytest.importorskip("boto3")
    away.setenv("AWS_PROFILE", "absent")
    away.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(text)

    with pytest.raises(ConfigError, match="artifacts_url 's3://b/p' can't be used") as caught:
        Depot("s3://b/p")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def service_account(directory: Path) -> str:
    """Return the path of a key such as Google gives, made here: it signs, and opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    facts = {
        "type": "service_account",
        "private_key": key.decode(),
        "private_key_id": "1",
        "client_email": "tests@none.invalid",
        "client_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }
    path = directory / "key.json"
    path.write_text(json.dumps(facts))
    return str(path)


@pytest.mark.parametrize("scheme", ["az", "gs"])
async def test_a_key_of_azures_or_googles_signs_an_address_that_is_for_one_file(
    away: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    secret = base64.b64encode(b"k" * 32).decode()
    away.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lab")
    away.setenv("AZURE_STORAGE_ACCOUNT_KEY", secret)
    away.setenv("GOOGLE_APPLICATION_CREDENTIALS", service_account(tmp_path))

    told = await Depot(f"{scheme}://things/prefix").publishing(CIRCLE, HASH)

    address = urllib.parse.urlsplit(told.archive)
    assert address.scheme == "https"
    assert address.path.startswith("/things/prefix/packed/")
    assert {"az": "sig=", "gs": "X-Goog-Signature="}[scheme] in address.query
    assert secret not in told.archive


def test_who_can_read_and_sign_nothing_is_told_what_signs(away: pytest.MonkeyPatch) -> None:
    away.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lab")
    away.setenv("AZURE_STORAGE_SAS_KEY", "sv=2023-11-03&sp=rw&sig=c2VjcmV0")

    with pytest.raises(OSError, match="AZURE_STORAGE_ACCOUNT_KEY, and no SAS token") as caught:
        Depot("az://things/prefix")
    assert "c2VjcmV0" not in str(caught.value)


class Metadata(BaseHTTPRequestHandler):
    """Gives a container's credentials, as clouds do, once it may."""

    may = threading.Event()

    def do_GET(self) -> None:
        self.may.wait(10)
        answer = {"AccessKeyId": "AKIA", "SecretAccessKey": "x", "Token": "y", "Expiration": "2099-01-01T00:00:00Z"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def slow_sign_in(away: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Return what lets a sign-in to S3 go on."""
    pytest.importorskip("boto3")
    Metadata.may.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=running.serve_forever, args=(0.05,)).start()
    away.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{running.server_port}/credentials")
    yield Metadata.may
    Metadata.may.set()
    running.shutdown()
    running.server_close()


async def test_a_store_whose_sign_in_is_slow_opens_once_for_all_who_ask(
    slow_sign_in: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Depots(SoftwareSettings(artifacts_url="s3://b/p"))
    monkeypatch.setattr(depots, "ANSWER_WITHIN_S", 0.1)

    asked = await asyncio.gather(several.of("lab"), several.of("other"), return_exceptions=True)
    slow_sign_in.set()
    monkeypatch.setattr(depots, "ANSWER_WITHIN_S", 10.0)
    found = await asyncio.gather(several.of("lab"), several.of("other"))

    assert ["sign-in doesn't answer" in str(error) for error in asked] == [True, True]
    assert found[0] is found[1] is not None


async def test_a_workspace_may_have_a_depot_of_its_own(tmp_path: Path) -> None:
    usual, other = f"file://{tmp_path}/usual", f"file://{tmp_path}/climate"
    both = Depots(SoftwareSettings(artifacts_url=usual, artifacts_urls={"climate": other}))

    found = [await both.of(name) for name in ("climate", "lab", "climate")]

    assert [one.url for one in found if one is not None] == [other, usual, other]
    assert found[0] is found[2]
    assert await Depots(SoftwareSettings()).of("lab") is None
