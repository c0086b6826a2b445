"""One call of Amazon's Security Token Service: from long-lived keys to a session that ends by itself.

Signed here, so that a caller without boto3 has short-lived credentials too.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from tradewind.boot.credentials.grant import CantForward
from tradewind.model.secret import Secret

TIMEOUT_S = 10.0
SHORTEST, LONGEST = timedelta(minutes=15), timedelta(hours=36)
"""What the service takes for a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKeys:
    """What signs requests."""

    access_key: Secret
    secret_key: Secret
    token: Secret | None = None
    """None for long-lived keys."""
    expires_at: datetime | None = None
    """None is unknown, or never."""


def get_session(
    keys: AwsKeys, *, endpoint: str, region: str, duration: timedelta, now: datetime, authorities: str | None = None
) -> AwsKeys:
    """Return a session of long-lived ``keys``.

    Parameters
    ----------
    keys : AwsKeys
        Without a token: a session can't make another.
    endpoint : str
        URL of the service.
    region : str
        The endpoint's, for the signature.
    duration : timedelta
        How long it shall hold; brought between 15 minutes and 36 hours.
    now : datetime
        For the signature; the service refuses what is some minutes off.
    authorities : str, optional
        File of certificates to trust in place of this machine's.

    Raises
    ------
    CantForward
        The service refuses or doesn't answer.
    """
    seconds = int(max(SHORTEST, min(LONGEST, duration)).total_seconds())
    body = urlencode({"Action": "GetSessionToken", "Version": "2011-06-15", "DurationSeconds": seconds})
    request = urllib.request.Request(
        endpoint.rstrip("/") + "/",
        data=body.encode(),
        headers=_signed(keys, body, endpoint=endpoint, region=region, now=now),
    )
    trust = ssl.create_default_context(cafile=authorities) if urlsplit(endpoint).scheme == "https" else None
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trust) as answer:
            return _session(answer.read())
    except urllib.error.HTTPError as error:
        raise CantForward(
            f"{urlsplit(endpoint).netloc} refuses a session: {_reason(error.read()).rstrip('.')}. "
            "If the keys are for another store that speaks S3, name them 's3-keys'."
        ) from None
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise CantForward(f"{urlsplit(endpoint).netloc} gives no session: {error}") from None


def _signed(keys: AwsKeys, body: str, *, endpoint: str, region: str, now: datetime) -> dict[str, str]:
    """Return the headers of a request with Amazon's Signature Version 4."""
    day, second = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": urlsplit(endpoint).netloc,
        "x-amz-date": second,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
    scope = f"{day}/{region}/sts/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{second}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_key.reveal()}".encode()
    for part in (day, region, "sts", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    who = f"Credential={keys.access_key.reveal()}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {who}"}


def _session(answer: bytes) -> AwsKeys:
    said = _texts(answer)
    return AwsKeys(
        access_key=Secret(said["AccessKeyId"]),
        secret_key=Secret(said["SecretAccessKey"]),
        token=Secret(said["SessionToken"]),
        expires_at=datetime.fromisoformat(said["Expiration"]),
    )


def _reason(answer: bytes) -> str:
    try:
        said = _texts(answer)
    except ElementTree.ParseError:
        return "it doesn't say why"
    return said.get("Message") or said.get("Code") or "it doesn't say why"


def _texts(answer: bytes) -> dict[str, str]:
    tree = ElementTree.fromstring(answer)
    return {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in tree.iter()}
