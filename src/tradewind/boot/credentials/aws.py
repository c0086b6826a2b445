"""AWS: a session of the caller's own keys, or the session that the caller already has."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.boot.credentials.sts import AwsKeys, get_session
from tradewind.model.secret import Secret

USUAL_DURATION = timedelta(hours=1)
ASSUMED_LIFE = timedelta(minutes=20)
"""Of a session that doesn't say when it ends, from each time it is read anew."""
ALONG = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""No secrets, and without them the keys may lead elsewhere."""
NEEDS_BOTO = (
    "role_arn",
    "sso_session",
    "sso_start_url",
    "credential_process",
    "web_identity_token_file",
    "source_profile",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """Session credentials by the caller's own chain: variables, profile, single sign-on, role.

    Long-lived keys never leave: what leaves is a session of theirs. A session can't make another, so the caller's own
    goes as it is, and is taken anew when the caller's chain has renewed it.
    """

    duration: timedelta = USUAL_DURATION
    """Of a new session."""

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "aws"

    def find(self, caller: Caller) -> str | None:
        """Return where keys or a way to them are; see :class:`~tradewind.boot.credentials.grant.Source`."""
        if caller.variable("AWS_ACCESS_KEY_ID"):
            return "AWS_ACCESS_KEY_ID"
        for variable in ("AWS_WEB_IDENTITY_TOKEN_FILE", *CONTAINER):
            if caller.variable(variable):
                return variable
        settings = read_profile(caller)
        if any(name in settings for name in ("aws_access_key_id", *NEEDS_BOTO)):
            return f"profile {_profile(caller)!r}"
        return None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return a session; see :class:`~tradewind.boot.credentials.grant.Source`."""
        keys, region = _keys(caller)
        if keys.token is None:
            region = region or "us-east-1"
            keys = get_session(
                keys,
                endpoint=caller.variable("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL") or _endpoint(region),
                region=region,
                duration=self.duration,
                now=now,
                authorities=caller.variable("AWS_CA_BUNDLE"),
            )
        assert keys.token is not None
        along = {name: text for name in ALONG if (text := caller.variable(name))}
        if region:
            along.setdefault("AWS_DEFAULT_REGION", region)
        return Grant(
            name=self.name,
            door="aws",
            secrets={"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key, "Token": keys.token},
            plain=along,
            issued_at=now,
            expires_at=keys.expires_at or now + ASSUMED_LIFE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAsTheyAre:
    """The caller's keys themselves, for stores that speak S3 and know no sessions: MinIO, Ceph, a university's own."""

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "s3-keys"

    def find(self, caller: Caller) -> str | None:
        """Return where they are."""
        return Aws().find(caller)

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return them; they don't end by themselves."""
        keys, region = _keys(caller)
        secrets = {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}
        along = {name: text for name in ALONG if (text := caller.variable(name))}
        if region:
            along.setdefault("AWS_DEFAULT_REGION", region)
        return Grant(
            name=self.name,
            door="aws",
            secrets=secrets if keys.token is None else {**secrets, "Token": keys.token},
            plain=along,
            issued_at=now,
            expires_at=keys.expires_at,
        )


CONTAINER = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")


def _keys(caller: Caller) -> tuple[AwsKeys, str | None]:
    """Return what the caller signs with, and the region."""
    if importlib.util.find_spec("botocore") is not None:
        return _from_botocore(importlib.import_module("botocore.session"))
    return _from_files(caller)


def _from_botocore(module: Any) -> tuple[AwsKeys, str | None]:
    try:
        session = module.Session()
        found = session.get_credentials()
        keys = found.get_frozen_credentials() if found is not None else None
        region = session.get_config_variable("region")
    except Exception as error:
        # Of many kinds, some of them from libraries for single sign-on; each is a sentence for the user.
        raise CantForward(f"{error} If you sign in to AWS, do it again (`aws sso login`).") from error
    if keys is None or not keys.access_key:
        raise CantForward(_nothing())
    return (
        AwsKeys(
            access_key=Secret(keys.access_key),
            secret_key=Secret(keys.secret_key),
            token=Secret(keys.token) if keys.token else None,
            # Only those that botocore itself renews know their end, and it has no public name.
            expires_at=_aware(getattr(found, "_expiry_time", None)),
        ),
        region,
    )


def _from_files(caller: Caller) -> tuple[AwsKeys, str | None]:
    settings = read_profile(caller)
    region = caller.variable("AWS_REGION", "AWS_DEFAULT_REGION") or settings.get("region")
    access, secret = caller.variable("AWS_ACCESS_KEY_ID"), caller.variable("AWS_SECRET_ACCESS_KEY")
    token = caller.variable("AWS_SESSION_TOKEN")
    if not (access and secret):
        access, secret = settings.get("aws_access_key_id"), settings.get("aws_secret_access_key")
        token = settings.get("aws_session_token")
    if not (access and secret):
        if any(name in settings for name in NEEDS_BOTO) or any(caller.variable(name) for name in CONTAINER):
            raise CantForward(
                f"profile {_profile(caller)!r} signs in by roles, single sign-on or a program, which needs boto3: "
                "pip install boto3."
            )
        raise CantForward(_nothing())
    keys = AwsKeys(access_key=Secret(access), secret_key=Secret(secret), token=Secret(token) if token else None)
    return keys, region


def read_profile(caller: Caller, profile: str | None = None) -> dict[str, str]:
    """Return what the shared files say of a profile, by default the caller's own; nothing where they don't."""
    profile = profile or _profile(caller)
    settings: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", profile if profile == "default" else f"profile {profile}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile),
    ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(caller.file(variable, ".aws", file), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise CantForward(f"{caller.file(variable, '.aws', file)} can't be read: mend it.") from error
        if parser.has_section(section):
            settings.update(parser.items(section))
    return settings


def _profile(caller: Caller) -> str:
    return caller.variable("AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"


def _endpoint(region: str) -> str:
    return f"https://sts.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


def _nothing() -> str:
    return (
        "no AWS keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in (`aws configure`, `aws sso login`)."
    )
