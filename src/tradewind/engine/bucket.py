"""What ``artifacts_url`` names: a directory, or a bucket that some store keeps. How one is opened."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tradewind.boot.restore.addresses import bare
from tradewind.errors import ConfigError, MissingExtra

SCHEMES = ("file", "s3", "gs", "az")
SIGNED_BY = {
    "s3": (
        "an access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or install boto3 and choose a profile that is "
        "signed in (AWS_PROFILE)"
    ),
    "gs": "a service account's key: name its file in GOOGLE_APPLICATION_CREDENTIALS; a user's login signs none",
    "az": (
        "the account's key: set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, and no SAS token, which "
        "signs none"
    ),
}
"""What can sign, by scheme."""


def directory_of(url: str) -> Path | None:
    """Return the directory that a ``file://`` URL names; None for any other. Raises ConfigError."""
    forms = "file:///shared/depot, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"artifacts_url is no address; write {forms}, without a password in it") from None
    # A password with a "/" in it isn't in the netloc any more, so no prefix has an "@" either.
    may_be_secret = parts.query or parts.fragment or (parts.scheme != "file" and "@" in url)
    if parts.scheme not in SCHEMES or may_be_secret:
        raise ConfigError(f"artifacts_url is {bare(url)!r}; write {forms}, without a password in it")
    if parts.scheme != "file":
        return None
    if parts.netloc not in {"", "localhost"} or not parts.path.strip("/"):
        raise ConfigError(f"artifacts_url is {url!r}; write the absolute path of a directory, as file:///shared/depot")
    return Path(url2pathname(parts.path))


def opened(url: str) -> tuple[Any, Any]:
    """Return the library that speaks with stores, and the store that ``url`` names; nothing is asked of it.

    Raises
    ------
    ConfigError
        What it takes to use it isn't set, or is set to what can't be.
    MissingExtra
        The library isn't installed.
    """
    try:
        import obstore
        from obstore.store import from_url
    except ImportError:
        raise MissingExtra("artifacts_url needs obstore: pip install 'tradewind[software]'") from None
    words: dict[str, Any] = {}
    if url.startswith("file:"):
        words["mkdir"] = True
    else:
        words["retry_config"] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        words["client_options"] = {"allow_http": url.startswith("s3:") and endpoint.startswith("http://")}
    try:
        if url.startswith("s3:") and "AWS_ACCESS_KEY_ID" not in os.environ:
            words |= _sign_in()
        return obstore, from_url(url, **words)
    except Exception as error:
        # Each sign-in fails in words of its own library's kind; whatever it is, this store can't be opened.
        raise ConfigError(f"artifacts_url {url!r} can't be used: {first_line(error)}") from None


def check_signs(url: str, library: Any, store: Any) -> None:
    """Sign once, since a store may open with credentials that can read and write, and sign nothing.

    Raises
    ------
    OSError
        Machines couldn't be given an address, now or ever: in the store's words, with what can sign.
    """
    try:
        library.sign(store, "GET", "any", timedelta(minutes=1))
    except Exception as error:  # of the sign-in's library, of the store's, or of the network between
        by = SIGNED_BY[url.partition(":")[0]]
        raise OSError(f"{url}: {first_line(error)}. Addresses for machines are signed with {by}") from None


def first_line(error: BaseException) -> str:
    """Return what a store says, without what its library adds for its own makers."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:400].rstrip(": ")


def _sign_in() -> dict[str, Any]:
    """Return who signs in to S3: with boto3 there, the user's own settings count as they do everywhere."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return {"credential_provider": Boto3CredentialProvider()}
    except (ImportError, ValueError):
        return {}  # what else there is: a machine's or a pod's own identity
