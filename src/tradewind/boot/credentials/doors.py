"""By which standard doors a machine's libraries find what was granted. Decides, and does nothing.

What each library reads was tried with the library itself, and is listed in the guide on credentials. Where a protocol
lets a program ask for credentials, it asks on loopback with a random token, and no variable or file holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tradewind.boot.credentials.grant import Grant

URS = "urs.earthdata.nasa.gov"
LOOPBACK = ("127.0.0.1", "localhost")
PROXIED = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
AZURE_STORAGE = "https://storage.azure.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the doors of one process stand."""

    address: str
    """Host and port on loopback."""
    token: str
    """What a program must show; random, good for this process alone."""
    directory: str
    """For files; of this user alone, in memory where the machine allows."""
    python: str
    """An interpreter, for what must be a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the door answers at one path."""

    body: Mapping[str, object]
    until: float | None = None
    """Seconds of the epoch; afterwards it answers ``ended``. None has no end."""
    ended: str = ""
    seconds_left: str | None = None
    """Key under which the body says how long it holds, in seconds."""
    only: tuple[str, str] | None = None
    """A parameter of the question, and how it must begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Everything that makes grants found."""

    variables: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set where the machine has none of its own."""
    hidden: frozenset[str] = frozenset()
    """Variables that are taken away: libraries would heed them before these doors."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Text by name, in the place's directory."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """By path."""
    profiles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of AWS's settings file."""


def open_for(grants: Sequence[Grant], place: Place) -> Opening:
    """Return all doors for ``grants``; a later one wins over an earlier."""
    each = [DOORS[grant.door](grant, place) for grant in grants]
    profiles = {name: settings for one in each for name, settings in one.profiles.items()}
    files = {name: text for one in each for name, text in one.files.items()}
    variables = {name: text for one in each for name, text in one.variables.items()}
    if profiles:
        files["aws-config"] = "".join(
            f"[{'default' if name == 'default' else f'profile {name}'}]\n"
            + "".join(f"{key} = {value}\n" for key, value in settings.items())
            for name, settings in profiles.items()
        )
        variables["AWS_CONFIG_FILE"] = f"{place.directory}/aws-config"
    return Opening(
        variables=variables,
        defaults={name: text for one in each for name, text in one.defaults.items()},
        hidden=frozenset().union(*(one.hidden for one in each)),
        files=files,
        answers={path: answer for one in each for path, answer in one.answers.items()},
        profiles=profiles,
    )


def past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that lead to doors on loopback past the machine's proxy; none where it has none.

    Some libraries read one spelling, some the other, and a proxy would ask its own loopback for our credentials.
    """
    if not any(environ.get(name) for name in PROXIED):
        return {}
    known = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip() for name in known.split(",") if name.strip()]
    if "*" in names:
        return {}
    text = ",".join([*names, *(name for name in LOOPBACK if name not in names)])
    return {"no_proxy": text, "NO_PROXY": text}


def _aws(grant: Grant, place: Place) -> Opening:
    """The container-credentials protocol. object_store and GDAL want the token in a file, older clients in a variable.

    Keys in variables and files come before it in every client's chain, so this machine's own are hidden.
    """
    said: dict[str, object] = {name: secret.reveal() for name, secret in grant.secrets.items()}
    said.setdefault("Token", "")
    return Opening(
        variables={
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{place.address}/aws",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": place.token,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{place.directory}/token",
            "AWS_SHARED_CREDENTIALS_FILE": f"{place.directory}/aws-credentials",
            "CPL_AWS_CREDENTIALS_FILE": f"{place.directory}/aws-credentials",
        },
        defaults=grant.plain,
        hidden=frozenset(
            {
                *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
                *("AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            }
        ),
        files={"token": place.token, "aws-credentials": ""},
        answers={"/aws": _answer(grant, said, end="Expiration")},
        profiles={"default": {}},
    )


def _copernicus(grant: Grant, place: Place) -> Opening:
    """A profile of boto3 for the S3 store, whose keys a command gets at the door; the token as a variable."""
    secrets = dict(grant.secrets)
    token = secrets.pop("CDSE_ACCESS_TOKEN", None)
    variables = {} if token is None else {"CDSE_ACCESS_TOKEN": token.reveal()}
    if not secrets:
        return Opening(variables=variables)
    keys = {name: secret.reveal() for name, secret in secrets.items()}
    return Opening(
        variables=variables,
        files={"token": place.token, "cdse-keys.py": ASKS.format(url=f"http://{place.address}/cdse")},
        answers={"/cdse": Answer(body={"Version": 1, **keys})},
        profiles={
            "cdse": {
                "credential_process": f'"{place.python}" -I -S "{place.directory}/cdse-keys.py"',
                "endpoint_url": "https://eodata.dataspace.copernicus.eu",
                "region": "default",
            }
        },
    )


ASKS = """\
import pathlib, sys, urllib.request
token = (pathlib.Path(__file__).parent / "token").read_text()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
request = urllib.request.Request("{url}", headers={{"Authorization": token}})
sys.stdout.write(opener.open(request, timeout=10).read().decode())
"""


def _gcp(grant: Grant, place: Place) -> Opening:
    """Two doors, since no one door serves all.

    google-auth takes an external-account file from gcloud's directory, and exchanges nothing of worth for the token.
    object_store can't read such a file, and GDAL heeds none but a service account's: both ask a metadata server. Its
    protocol has no place for a token, so the token is part of its address.
    """
    token = grant.secrets["access_token"].reveal()
    body: dict[str, object] = {
        "access_token": token,
        "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    answer = _answer(grant, body, seconds_left="expires_in")
    root, path = f"{place.address}/{place.token}", "/computeMetadata/v1/instance/service-accounts/default/token"
    account = EXTERNAL_ACCOUNT % {"url": f"http://{root}/gcp", "file": f"{place.directory}/token"}
    return Opening(
        variables={
            "CLOUDSDK_CONFIG": place.directory,
            "GCE_METADATA_HOST": root,
            "CPL_MACHINE_IS_GCE": "YES",
            "CPL_GCE_CREDENTIALS_URL": f"http://{root}{path}",
        },
        defaults=grant.plain,
        hidden=frozenset({"GOOGLE_APPLICATION_CREDENTIALS"}),
        files={"token": place.token, "application_default_credentials.json": account},
        answers={path: answer, "/gcp": answer},
    )


EXTERNAL_ACCOUNT = """\
{
  "type": "external_account",
  "audience": "tradewind",
  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
  "token_url": "%(url)s",
  "credential_source": {"file": "%(file)s", "format": {"type": "text"}}
}
"""


def _azure(grant: Grant, place: Place) -> Opening:
    """The managed identity of App Service, for azure-identity and object_store; that of a virtual machine, for GDAL."""
    ends = int(grant.expires_at.timestamp()) if grant.expires_at is not None else 0
    body: dict[str, object] = {
        "access_token": grant.secrets["access_token"].reveal(),
        "token_type": "Bearer",
        "resource": AZURE_STORAGE,
        "expires_on": str(ends),
    }
    answer = _answer(grant, body, seconds_left="expires_in", only=("resource", AZURE_STORAGE))
    return Opening(
        variables={
            "IDENTITY_ENDPOINT": f"http://{place.address}/azure",
            "IDENTITY_HEADER": place.token,
            "CPL_AZURE_VM_API_ROOT_URL": f"http://{place.address}/{place.token}",
        },
        defaults=grant.plain,
        hidden=frozenset(
            {
                *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
                *("AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME", "AZURE_PASSWORD"),
            }
        ),
        answers={"/azure": answer, "/metadata/identity/oauth2/token": answer},
    )


def _earthdata(grant: Grant, place: Place) -> Opening:
    """The token as a variable; name and password in a netrc file, with a jar for the cookies that spare sign-ins."""
    secrets = dict(grant.secrets)
    user, password = secrets.pop("user", None), secrets.pop("password", None)
    variables = {name: secret.reveal() for name, secret in secrets.items()}
    if user is None or password is None:
        return Opening(variables=variables)
    jar = f"{place.directory}/cookies"
    return Opening(
        variables={
            **variables,
            "NETRC": f"{place.directory}/netrc",
            "GDAL_HTTP_NETRC_FILE": f"{place.directory}/netrc",
            "GDAL_HTTP_COOKIEFILE": jar,
            "GDAL_HTTP_COOKIEJAR": jar,
        },
        files={
            "netrc": f"machine {URS} login {_netrc_word(user.reveal())} password {_netrc_word(password.reveal())}\n",
        },
    )


def _netrc_word(text: str) -> str:
    """Return a word of a netrc file. What is quoted needs a curl of 2022 or later, so all else stays as it is."""
    if not re.search(r'[\s"\\#]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _variables(grant: Grant, place: Place) -> Opening:
    """The variables themselves: there is no protocol to ask by."""
    return Opening(variables={name: secret.reveal() for name, secret in grant.secrets.items()}, defaults=grant.plain)


DOORS: Mapping[str, Callable[[Grant, Place], Opening]] = {
    "aws": _aws,
    "azure": _azure,
    "copernicus": _copernicus,
    "earthdata": _earthdata,
    "gcp": _gcp,
    "variables": _variables,
}


def _answer(
    grant: Grant,
    body: Mapping[str, object],
    *,
    end: str | None = None,
    seconds_left: str | None = None,
    only: tuple[str, str] | None = None,
) -> Answer:
    ended = ""
    if grant.expires_at is not None:
        moment = grant.expires_at.astimezone(UTC)
        ended = (
            f"the {grant.name} credentials of this cluster ended at {moment:%Y-%m-%d %H:%M} UTC, and the program that "
            "started it has sent no others. If it still runs, it says there why; else attach to the cluster with "
            f"Cluster.from_name(..., credentials=[{grant.name!r}])."
        )
        if end is not None:
            body = {**body, end: moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
    elif end is not None:
        # Clients want an end, and ask again before it. Far enough that none takes these for about to end.
        body = {**body, end: datetime(9999, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    until = grant.expires_at.timestamp() if grant.expires_at is not None else None
    return Answer(body=body, until=until, ended=ended, seconds_left=seconds_left, only=only)
