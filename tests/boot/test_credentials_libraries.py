"""The doors, opened by the libraries that scientists use; each is tried where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tradewind.boot.credentials.aws import Aws
from tradewind.boot.credentials.doorway import Doorway
from tradewind.boot.credentials.grant import Caller, Grant
from tradewind.model.secret import Secret

NOW = datetime.now(UTC)
OWN = (
    "AWS",
    "GOOGLE",
    "AZURE",
    "GCE",
    "CPL",
    "CLOUDSDK",
    "IDENTITY",
    "GDAL",
    "NETRC",
    "EARTHDATA",
    "CDSE",
    "HTTP",
    "http",
)


class Store(ThreadingHTTPServer):
    """Speaks enough of every object store to see who asks; what it was asked is the witness."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        server = self

        class Seen(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.seen.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST = do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Seen)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Open the doors for grants in this process, whose variables are set back afterwards."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(OWN)]:
        del os.environ[name]
    os.environ["HOME"] = str(tmp_path)
    doorway = Doorway()
    yield lambda *grants: doorway.update({grant.name: grant for grant in grants})
    doorway.close()
    os.environ.clear()
    os.environ.update(before)


def grant(name: str, door: str, *, ends: timedelta | None = timedelta(hours=1), **secrets: str) -> Grant:
    return Grant(
        name=name,
        door=door,
        secrets={key: Secret(value) for key, value in secrets.items()},
        issued_at=NOW,
        expires_at=None if ends is None else NOW + ends,
    )


def aws(*, ends: timedelta | None = timedelta(hours=1)) -> Grant:
    return grant("aws", "aws", ends=ends, AccessKeyId="ASIAFORWARDED", SecretAccessKey="hush", Token="session-token")


def run(code: str, store: Store, **environ: str) -> str:
    """Run a program as a task's child would: it has nothing but this process's variables."""
    program = textwrap.dedent(code).replace("STORE", store.url)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )
    return done.stdout + done.stderr


S3 = {
    "boto3": """
        import boto3, botocore.config
        config = botocore.config.Config(retries={"max_attempts": 0})
        boto3.client("s3", endpoint_url="STORE", region_name="us-east-1", config=config).get_object(Bucket="b", Key="k")
        """,
    "s3fs": """
        import s3fs
        s3fs.S3FileSystem(client_kwargs={"endpoint_url": "STORE", "region_name": "us-east-1"}).cat("b/k")
        """,
    "obstore": """
        from obstore.store import S3Store
        S3Store("b", endpoint="STORE", region="us-east-1", client_options={"allow_http": True}).get("k")
        """,
    "icechunk": """
        import icechunk
        icechunk.Repository.open(icechunk.s3_storage(bucket="b", prefix="p", region="us-east-1", endpoint_url="STORE",
            allow_http=True, force_path_style=True, from_env=True))
        """,
    "rasterio": """
        import os, rasterio
        os.environ |= {"AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "NO"}
        os.environ["AWS_S3_ENDPOINT"] = "STORE".removeprefix("http://")
        rasterio.open("/vsis3/b/k.tif")
        """,
}


@pytest.mark.parametrize("library", S3)
def test_a_session_of_aws_is_found_by(library: str, opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip(library)
    # What the machine has of its own would come first.
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIAOFTHEMACHINE", "AWS_SECRET_ACCESS_KEY": "other"}
    Path(os.environ["HOME"], ".aws").mkdir()
    Path(os.environ["HOME"], ".aws", "credentials").write_text(
        "[default]\naws_access_key_id = AKIAOFTHEFILE\naws_secret_access_key = other\n"
    )
    opened(aws())
    said = run(S3[library], store)
    assert store.seen, said
    assert all("Credential=ASIAFORWARDED/" in seen["authorization"] for seen in store.seen), store.seen
    assert all(seen["x-amz-security-token"] == "session-token" for seen in store.seen)


def test_keys_that_do_not_end_are_used_as_they_are(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("boto3")
    opened(grant("s3-keys", "aws", ends=None, AccessKeyId="AKIALONG", SecretAccessKey="hush"))
    said = run(S3["boto3"], store)
    assert store.seen, said
    assert "Credential=AKIALONG/" in store.seen[0]["authorization"]


GS = {
    "gcsfs": """
        import os
        os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # asks over gRPC, which the store here can't
        import gcsfs
        gcsfs.GCSFileSystem(endpoint_url="STORE", cache_timeout=0).cat("b/k")
        """,
    "obstore": """
        from obstore.store import GCSStore
        GCSStore("b", config={"base_url": "STORE"}, client_options={"allow_http": True}).get("k")
        """,
    "rasterio": """
        import os, rasterio
        os.environ["CPL_GS_ENDPOINT"] = "STORE/"
        rasterio.open("/vsigs/b/k.tif")
        """,
}


@pytest.mark.parametrize("library", GS)
def test_a_token_of_google_cloud_is_found_by(library: str, opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip(library)
    opened(grant("gcp", "gcp", access_token="ya29.forwarded"))
    said = run(GS[library], store)
    assert store.seen, said
    assert all(seen["authorization"] == "Bearer ya29.forwarded" for seen in store.seen), store.seen


def test_google_auth_has_the_token_and_its_end(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("google.auth")
    opened(grant("gcp", "gcp", access_token="ya29.forwarded"))
    said = run(
        """
        import datetime, google.auth, google.auth.transport.requests as transport
        found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_only"])
        found.refresh(transport.Request())
        left = found.expiry - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        print(found.token, 3400 < left.total_seconds() <= 3600)
        """,
        store,
    )
    assert said.strip().endswith("ya29.forwarded True")


AZ = {
    "obstore": """
        from obstore.store import AzureStore
        AzureStore(container_name="c", account_name="a", config={"endpoint": "STORE"},
                   client_options={"allow_http": True}).get("k")
        """,
    "rasterio": """
        import os, rasterio
        os.environ |= {"AZURE_STORAGE_ACCOUNT": "a", "CPL_AZURE_ENDPOINT": "STORE", "CPL_AZURE_USE_HTTPS": "NO"}
        rasterio.open("/vsiaz/c/k.tif")
        """,
}


@pytest.mark.parametrize("library", AZ)
def test_a_token_of_azure_is_found_by(library: str, opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip(library)
    opened(grant("azure", "azure", access_token="eyJ-forwarded"))
    said = run(AZ[library], store)
    assert store.seen, said
    assert all(seen["authorization"] == "Bearer eyJ-forwarded" for seen in store.seen), store.seen


def test_azure_identity_has_the_token_for_storage_and_a_reason_for_all_else(
    opened: Callable[..., None], store: Store
) -> None:
    pytest.importorskip("azure.identity")
    opened(grant("azure", "azure", access_token="eyJ-forwarded"))
    said = run(
        """
        from azure.identity import DefaultAzureCredential
        found = DefaultAzureCredential()
        print(found.get_token("https://storage.azure.com/.default").token)
        try:
            found.get_token("https://management.azure.com/.default")
        except Exception as error:
            print(error)
        """,
        store,
    )
    assert said.startswith("eyJ-forwarded\n")
    assert "only credentials for https://storage.azure.com were forwarded" in said


def test_adlfs_has_the_token_for_storage(opened: Callable[..., None], store: Store) -> None:
    """It asks with TLS alone, so the store here can't be the witness: what it would show is."""
    pytest.importorskip("adlfs")
    opened(grant("azure", "azure", access_token="eyJ-forwarded"))
    said = run(
        """
        import adlfs, fsspec.asyn
        files = adlfs.AzureBlobFileSystem(account_name="a", anon=False)
        asked = files.credential.get_token
        print(fsspec.asyn.sync(files.loop, asked, "https://storage.azure.com/.default").token)
        """,
        store,
    )
    assert said.startswith("eyJ-forwarded\n")


def test_name_and_password_of_earthdata_go_to_earthdata_alone(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("rasterio")
    opened(grant("earthdata", "earthdata", ends=None, user="ada", password="lovelace"))
    code = """
        import rasterio
        for host in ("urs.earthdata.nasa.gov", "elsewhere.example.org"):
            try:
                rasterio.open(f"/vsicurl/http://{host}/k.tif")
            except rasterio.errors.RasterioIOError:
                pass
        """
    said = run(code, store, GDAL_HTTP_PROXY=store.url)
    asked = {(seen["host"], seen.get("authorization")) for seen in store.seen}
    # "Basic", and ada:lovelace in base64.
    assert asked == {
        ("urs.earthdata.nasa.gov", "Basic YWRhOmxvdmVsYWNl"),
        ("elsewhere.example.org", None),
    }, said


def test_earthaccess_signs_in_with_what_was_forwarded(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("earthaccess")
    opened(grant("earthdata", "earthdata", ends=None, EARTHDATA_TOKEN="edl", user="ada", password="lovelace"))
    said = run(
        """
        import earthaccess, requests
        print(earthaccess.Auth().login(strategy="environment").token["access_token"])
        print(requests.utils.get_netrc_auth("https://urs.earthdata.nasa.gov/oauth"))
        """,
        store,
    )
    assert said.splitlines()[-2:] == ["edl", "('ada', 'lovelace')"]


def test_the_copernicus_profile_has_the_keys_and_the_endpoint(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("boto3")
    opened(aws(), grant("copernicus", "copernicus", ends=None, AccessKeyId="CDSEKEY", SecretAccessKey="hush"))
    said = run(
        """
        import boto3
        session = boto3.Session(profile_name="cdse")
        print(session.get_credentials().get_frozen_credentials()[:2], session.client("s3").meta.endpoint_url)
        print(boto3.Session().get_credentials().access_key)
        """,
        store,
    )
    assert said.splitlines() == [
        "('CDSEKEY', 'hush') https://eodata.dataspace.copernicus.eu",
        "ASIAFORWARDED",
    ]


def test_the_libraries_of_arraylake_and_the_planetary_computer_read_their_variables(
    opened: Callable[..., None], store: Store
) -> None:
    pytest.importorskip("arraylake")
    pytest.importorskip("planetary_computer")
    opened(
        grant("arraylake", "variables", ends=None, ARRAYLAKE_TOKEN="ema_forwarded"),
        grant("planetary-computer", "variables", ends=None, PC_SDK_SUBSCRIPTION_KEY="pc"),
    )
    said = run(
        """
        import arraylake, planetary_computer.settings
        print(arraylake.Client().token, planetary_computer.settings.Settings.get().subscription_key)
        """,
        store,
    )
    assert said.splitlines()[-1] == "ema_forwarded pc"


def test_credentials_that_have_ended_say_so_in_the_error_of_the_task(opened: Callable[..., None], store: Store) -> None:
    pytest.importorskip("boto3")
    opened(aws(ends=timedelta(seconds=-1)))
    said = run(S3["boto3"], store)
    assert "the aws credentials of this cluster ended at" in said
    assert "Cluster.from_name(..., credentials=['aws'])" in said
    assert not store.seen


def test_renewed_credentials_are_taken_by_a_client_that_is_open(opened: Callable[..., None], store: Store) -> None:
    boto3 = pytest.importorskip("boto3")
    opened(aws(ends=timedelta(minutes=5)))  # botocore asks again when less than ten minutes are left
    session = boto3.Session()
    assert session.get_credentials().get_frozen_credentials().access_key == "ASIAFORWARDED"
    opened(grant("aws", "aws", AccessKeyId="ASIARENEWED", SecretAccessKey="hush", Token="t"))
    assert session.get_credentials().get_frozen_credentials().access_key == "ASIARENEWED"


def test_no_variable_or_file_holds_a_secret_where_the_protocol_asks(opened: Callable[..., None]) -> None:
    secrets = ["hush", "session-token", "ya29.forwarded", "eyJ-forwarded"]
    opened(
        aws(), grant("gcp", "gcp", access_token="ya29.forwarded"), grant("azure", "azure", access_token="eyJ-forwarded")
    )
    directory = Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).parent
    told = json.dumps(dict(os.environ)) + "".join(path.read_text() for path in directory.iterdir())
    assert [secret for secret in secrets if secret in told] == []


MOTO = {
    "boto3": """
        import boto3
        s3 = boto3.client("s3")
        s3.put_object(Bucket="bucket", Key="boto3", Body=b"read back")
        print(s3.get_object(Bucket="bucket", Key="boto3")["Body"].read().decode())
        """,
    "s3fs": """
        import s3fs
        fs = s3fs.S3FileSystem()
        fs.pipe("bucket/s3fs", b"read back")
        print(fs.cat("bucket/s3fs").decode())
        """,
    "obstore": """
        import os
        from obstore.store import S3Store
        store = S3Store("bucket", endpoint=os.environ["AWS_ENDPOINT_URL"], client_options={"allow_http": True})
        store.put("obstore", b"read back")
        print(bytes(store.get("obstore").bytes()).decode())
        """,
    "icechunk": """
        import os, icechunk
        storage = icechunk.s3_storage(bucket="bucket", prefix="ice", endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            region="us-west-2", allow_http=True, force_path_style=True, from_env=True)
        icechunk.Repository.create(storage)
        print("read back" if "main" in icechunk.Repository.open(storage).list_branches() else "lost")
        """,
    "rasterio": """
        import os, numpy, rasterio
        address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        os.environ |= {"AWS_S3_ENDPOINT": address, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
        os.environ["CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE"] = "YES"
        how = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
        with rasterio.open("/vsis3/bucket/k.tif", "w", **how) as file:
            file.write(numpy.full((1, 4, 4), 7, "uint8"))
        with rasterio.open("/vsis3/bucket/k.tif") as file:
            print("read back" if (file.read() == 7).all() else "lost")
        """,
}


def test_a_session_from_a_token_service_reads_and_writes_a_store(opened: Callable[..., None], store: Store) -> None:
    """From the caller's keys to the bytes in the store, against a server that speaks both services."""
    moto = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        own = {"AWS_ACCESS_KEY_ID": "AKIAHOME", "AWS_SECRET_ACCESS_KEY": "home", "AWS_DEFAULT_REGION": "us-west-2"}
        os.environ |= {**own, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
        where = {"LocationConstraint": "us-west-2"}
        boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=where)
        session = Aws(duration=timedelta(hours=1)).grant(Caller.here(), datetime.now(UTC))
        assert session.expires_at is not None
        assert timedelta(minutes=58) < session.expires_at - datetime.now(UTC) <= timedelta(minutes=61)
        opened(session)
        assert "AWS_ACCESS_KEY_ID" not in os.environ
        said = {library: run(code, store) for library, code in MOTO.items() if importlib.util.find_spec(library)}
        assert {library: text for library, text in said.items() if "read back\n" not in text} == {}
    finally:
        server.stop()
