"""What is taken from a caller, from a home and variables of their own."""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tradewind.boot.credentials import aws as aws_module
from tradewind.boot.credentials import sts
from tradewind.boot.credentials.aws import Aws, AwsAsTheyAre
from tradewind.boot.credentials.earth import Copernicus, Earthdata
from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.boot.credentials.sources import KNOWN, sources_from
from tradewind.boot.credentials.tokens import Arraylake, PlanetaryComputer, Variable
from tradewind.errors import BadRequest
from tradewind.model.secret import Secret

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEYS = "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n"


@pytest.fixture(autouse=True)
def _without_boto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files as a caller does who has no boto3; with it, its own chain is taken, which is not ours to test."""
    monkeypatch.setattr(aws_module.importlib.util, "find_spec", lambda name: None)


def caller(home: Path, files: dict[str, str] | None = None, **environ: str) -> Caller:
    for name, text in (files or {}).items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return Caller(environ=environ, home=home)


def revealed(grant: Grant) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in grant.secrets.items()}


def jwt(ends: datetime) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(ends.timestamp())}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{claims}.sig"


class Issuer(HTTPServer):
    """Issues what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, ""
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                server.asked.append(dict(urllib.parse.parse_qsl(body)))
                server.headers.append({name.lower(): text for name, text in self.headers.items()})
                self.send_response(server.status)
                self.end_headers()
                self.wfile.write(server.body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    yield server
    server.shutdown()
    server.server_close()


SESSION = """<GetSessionTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetSessionTokenResult><Credentials>
<AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>session-secret</SecretAccessKey><SessionToken>session-token
</SessionToken><Expiration>2026-07-01T13:00:00Z</Expiration></Credentials></GetSessionTokenResult>
</GetSessionTokenResponse>"""
DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error>
</ErrorResponse>"""


def test_long_lived_keys_stay_at_home_and_a_session_of_theirs_goes(tmp_path: Path, issuer: Issuer) -> None:
    issuer.body = SESSION
    who = caller(tmp_path, {".aws/credentials": KEYS}, AWS_ENDPOINT_URL_STS=issuer.url, AWS_REGION="eu-central-1")
    grant = Aws(duration=timedelta(hours=2)).grant(who, NOW)
    assert revealed(grant) == {
        "AccessKeyId": "ASIASESSION",
        "SecretAccessKey": "session-secret",
        "Token": "session-token",
    }
    assert grant.expires_at == NOW + timedelta(hours=1)
    assert grant.plain == {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}
    assert issuer.asked == [{"Action": "GetSessionToken", "Version": "2011-06-15", "DurationSeconds": "7200"}]


def test_what_the_service_refuses_is_told_in_its_own_words(tmp_path: Path, issuer: Issuer) -> None:
    issuer.status, issuer.body = 403, DENIED
    who = caller(tmp_path, {".aws/credentials": KEYS}, AWS_ENDPOINT_URL_STS=issuer.url)
    with pytest.raises(CantForward, match="The security token included in the request is invalid"):
        Aws().grant(who, NOW)


def test_the_signature_is_the_one_that_botocore_makes(issuer: Issuer) -> None:
    awsrequest = pytest.importorskip("botocore.awsrequest")
    auth = pytest.importorskip("botocore.auth")
    credentials = pytest.importorskip("botocore.credentials")
    issuer.body = SESSION
    keys = sts.AwsKeys(access_key=Secret("AKIAX"), secret_key=Secret("hush"))
    now = datetime.now(UTC)
    sts.get_session(keys, endpoint=issuer.url, region="eu-central-1", duration=timedelta(hours=1), now=now)
    sent = issuer.headers[0]
    theirs = awsrequest.AWSRequest(
        method="POST",
        url=issuer.url + "/",
        data=urllib.parse.urlencode(issuer.asked[0]),
        headers={name: sent[name] for name in ("content-type", "host")},
    )
    theirs.context["timestamp"] = sent["x-amz-date"]
    theirs.headers["X-Amz-Date"] = sent["x-amz-date"]
    signer = auth.SigV4Auth(credentials.Credentials("AKIAX", "hush"), "sts", "eu-central-1")
    signature = signer.signature(signer.string_to_sign(theirs, signer.canonical_request(theirs)), theirs)
    assert sent["authorization"].endswith(f"Signature={signature}")


def test_a_session_goes_as_it_is_since_it_can_make_no_other(tmp_path: Path) -> None:
    who = caller(tmp_path, AWS_ACCESS_KEY_ID="ASIA1", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="t")
    grant = Aws().grant(who, NOW)
    assert revealed(grant)["AccessKeyId"] == "ASIA1"
    assert grant.expires_at is not None, "an end that isn't known is assumed to be near"


def test_a_profile_is_heeded(tmp_path: Path) -> None:
    files = {
        ".aws/credentials": KEYS + "[lab]\naws_access_key_id=AKIALAB\naws_secret_access_key=s\n",
        ".aws/config": "[profile lab]\nregion = us-west-2\n",
    }
    grant = AwsAsTheyAre().grant(caller(tmp_path, files, AWS_PROFILE="lab"), NOW)
    assert revealed(grant)["AccessKeyId"] == "AKIALAB"
    assert grant.plain == {"AWS_DEFAULT_REGION": "us-west-2"}
    assert grant.expires_at is None


def test_a_sign_in_that_needs_boto3_says_so(tmp_path: Path) -> None:
    who = caller(tmp_path, {".aws/config": "[default]\nsso_session = lab\n"})
    assert Aws().find(who) == "profile 'default'"
    with pytest.raises(CantForward, match="pip install boto3"):
        Aws().grant(who, NOW)


NETRC = "machine urs.earthdata.nasa.gov login ada password lovelace\nmachine other.org login x password other-hush\n"


def test_earthdata_takes_its_own_line_of_the_netrc_file_and_no_other(tmp_path: Path) -> None:
    who = caller(tmp_path, {".netrc": NETRC})
    assert Earthdata().find(who) == str(tmp_path / ".netrc")
    assert revealed(Earthdata().grant(who, NOW)) == {"user": "ada", "password": "lovelace"}


def test_a_token_of_earthdata_ends_when_it_says(tmp_path: Path) -> None:
    ends = NOW + timedelta(days=3)
    assert Earthdata().grant(caller(tmp_path, EARTHDATA_TOKEN=jwt(ends)), NOW).expires_at == ends
    with pytest.raises(CantForward, match="ended on 2026-07-04"):
        Earthdata().grant(caller(tmp_path, EARTHDATA_TOKEN=jwt(ends)), NOW + timedelta(days=4))


def test_who_can_sign_in_to_copernicus_keeps_the_password_at_home(tmp_path: Path, issuer: Issuer) -> None:
    issuer.body = json.dumps({"access_token": "ten-minutes", "expires_in": 600, "refresh_token": "stays"})
    files = {".aws/credentials": "[cdse]\naws_access_key_id=C\naws_secret_access_key=c\n"}
    who = caller(tmp_path, files, CDSE_USERNAME="ada", CDSE_PASSWORD="lovelace")
    grant = Copernicus(sign_in=issuer.url).grant(who, NOW)
    assert revealed(grant) == {"AccessKeyId": "C", "SecretAccessKey": "c", "CDSE_ACCESS_TOKEN": "ten-minutes"}
    assert grant.renew_at() == NOW + timedelta(minutes=5)
    assert issuer.asked[0]["grant_type"] == "password"


def test_a_sign_in_to_arraylake_goes_without_what_would_renew_it(tmp_path: Path) -> None:
    token = jwt(NOW + timedelta(hours=1))
    files = {".arraylake/token.json": json.dumps({"access_token": token, "refresh_token": "stays"})}
    grant = Arraylake().grant(caller(tmp_path, files), NOW)
    assert revealed(grant) == {"ARRAYLAKE_TOKEN": token}
    assert grant.expires_at == NOW + timedelta(hours=1)
    with pytest.raises(CantForward, match="arraylake auth login"):
        Arraylake().grant(caller(tmp_path), NOW + timedelta(hours=2))


def test_a_key_of_the_planetary_computer_is_read_from_its_file(tmp_path: Path) -> None:
    who = caller(tmp_path, {".planetarycomputer/settings.env": "PC_SDK_SUBSCRIPTION_KEY='pc'\n"})
    assert revealed(PlanetaryComputer().grant(who, NOW)) == {"PC_SDK_SUBSCRIPTION_KEY": "pc"}


def test_a_variable_that_is_not_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(CantForward, match="MY_TOKEN isn't set"):
        Variable(variable="MY_TOKEN").grant(caller(tmp_path, MY_TOKEN=" "), NOW)


@pytest.mark.parametrize("name", KNOWN)
def test_a_bare_home_has_none(name: str, tmp_path: Path) -> None:
    assert KNOWN[name].find(caller(tmp_path)) is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["asw"], "did you mean 'aws'"),
        (["my token"], "there are aws, gcp"),
        (["aws", "s3-keys"], "the same door"),
        ([3], "nothing is known by 3"),
    ],
)
def test_names_that_nobody_knows_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        sources_from(names)
