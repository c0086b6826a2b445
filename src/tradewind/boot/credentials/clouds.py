"""Google Cloud and Azure: access tokens of about an hour, by the caller's own sign-in."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.model.secret import Secret

GCP_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
AZURE_SCOPE = "https://storage.azure.com/.default"
USUAL_LIFE = timedelta(minutes=50)
"""Of a token whose end isn't told: they hold for an hour, and it may have been some minutes old."""
COMMAND_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gcp:
    """An access token of Google Cloud: by google-auth, or else by the command ``gcloud``."""

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "gcp"

    def find(self, caller: Caller) -> str | None:
        """Return where the caller's own are; see :class:`~tradewind.boot.credentials.grant.Source`."""
        if caller.variable("GOOGLE_APPLICATION_CREDENTIALS"):
            return "GOOGLE_APPLICATION_CREDENTIALS"
        directory = caller.file("CLOUDSDK_CONFIG", ".config", "gcloud")
        return "gcloud" if (directory / "application_default_credentials.json").is_file() else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return a token; see :class:`~tradewind.boot.credentials.grant.Source`."""
        if importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.auth") is not None:
            token, ends, project = _by_google_auth()
        else:
            words = ("gcloud", "auth", "application-default", "print-access-token")
            token, ends, project = _command(words, "google-auth").strip(), None, None
        project = caller.variable("GOOGLE_CLOUD_PROJECT") or project
        return Grant(
            name=self.name,
            door="gcp",
            secrets={"access_token": Secret(token)},
            plain={"GOOGLE_CLOUD_PROJECT": project} if project else {},
            issued_at=now,
            expires_at=ends or now + USUAL_LIFE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Azure:
    """An access token for Azure's storage: by azure-identity, or else by the command ``az``."""

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "azure"

    def find(self, caller: Caller) -> str | None:
        """Return where the caller's own are; see :class:`~tradewind.boot.credentials.grant.Source`."""
        for variable in ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"):
            if caller.variable(variable):
                return variable
        directory = caller.file("AZURE_CONFIG_DIR", ".azure")
        return "az" if (directory / "msal_token_cache.json").is_file() else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return a token; see :class:`~tradewind.boot.credentials.grant.Source`."""
        if importlib.util.find_spec("azure") is not None and importlib.util.find_spec("azure.identity") is not None:
            token, ends = _by_azure_identity()
        else:
            words = ("az", "account", "get-access-token", "--scope", AZURE_SCOPE, "--output", "json")
            said = json.loads(_command(words, "azure-identity"))
            token, ends = said["accessToken"], said.get("expires_on")
        account = caller.variable("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
        return Grant(
            name=self.name,
            door="azure",
            secrets={"access_token": Secret(token)},
            plain={"AZURE_STORAGE_ACCOUNT": account, "AZURE_STORAGE_ACCOUNT_NAME": account} if account else {},
            issued_at=now,
            expires_at=datetime.fromtimestamp(int(ends), UTC) if ends else now + USUAL_LIFE,
        )


def _by_google_auth() -> tuple[str, datetime | None, str | None]:
    try:
        credentials, project = importlib.import_module("google.auth").default(scopes=[GCP_SCOPE])
        credentials.refresh(importlib.import_module("google.auth.transport.requests").Request())
    except Exception as error:
        # Of many kinds; each is a sentence for the user.
        raise CantForward(f"{error} Sign in again: `gcloud auth application-default login`.") from error
    # It keeps times without a zone, and means UTC.
    ends = credentials.expiry.replace(tzinfo=UTC) if credentials.expiry is not None else None
    return credentials.token, ends, project


def _by_azure_identity() -> tuple[str, int]:
    try:
        # Several sign-ins are tried; one that would open a browser isn't among them.
        answer = importlib.import_module("azure.identity").DefaultAzureCredential().get_token(AZURE_SCOPE)
    except Exception as error:
        lines = str(error).strip().splitlines() or ["Azure gives no token."]
        raise CantForward(f"{lines[0]} Sign in again: `az login`.") from error
    return answer.token, answer.expires_on


def _command(words: tuple[str, ...], library: str) -> str:
    if shutil.which(words[0]) is None:
        raise CantForward(f"there is neither {library} nor the command `{words[0]}`: pip install {library}.")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise CantForward(f"`{' '.join(words)}` doesn't end: run it yourself, to see what it asks.") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it doesn't say why"])[-1]
        raise CantForward(f"`{words[0]}` gives no token: {last}")
    return done.stdout
