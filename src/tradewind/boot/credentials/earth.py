"""Archives of Earth observation: NASA Earthdata, and the Copernicus Data Space."""

from __future__ import annotations

import json
import netrc
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from tradewind.boot.credentials.aws import read_profile
from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.boot.credentials.tokens import expiry_of
from tradewind.model.secret import Secret

URS = "urs.earthdata.nasa.gov"
CDSE_SIGN_IN = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"
CDSE_CLIENT = "cdse-public"
CDSE_PROFILES = ("cdse", "copernicus", "eodata")
TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Earthdata:
    """NASA Earthdata: a token, or name and password from a netrc file or variables.

    Where both are there, both go: earthaccess takes the token, and what follows redirections (GDAL, curl, OPeNDAP)
    can use name and password alone.
    """

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "earthdata"

    def find(self, caller: Caller) -> str | None:
        """Return where they are."""
        if caller.variable("EARTHDATA_TOKEN"):
            return "EARTHDATA_TOKEN"
        if caller.variable("EARTHDATA_USERNAME") and caller.variable("EARTHDATA_PASSWORD"):
            return "EARTHDATA_USERNAME"
        return str(caller.file("NETRC", ".netrc")) if _from_netrc(caller) else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return them. Name and password don't end by themselves; a token says when it does."""
        token = caller.variable("EARTHDATA_TOKEN")
        user, password = caller.variable("EARTHDATA_USERNAME"), caller.variable("EARTHDATA_PASSWORD")
        if not (user and password):
            user, password = _from_netrc(caller) or (None, None)
        secrets = {"EARTHDATA_TOKEN": Secret(token)} if token else {}
        if user and password:
            secrets |= {"user": Secret(user), "password": Secret(password)}
        if not secrets:
            raise CantForward(
                f"no Earthdata login: set EARTHDATA_TOKEN, or put a line for {URS} into ~/.netrc "
                "(earthaccess.login(persist=True) does)."
            )
        ends = expiry_of(token) if token else None
        if ends is not None and ends <= now:
            raise CantForward(
                f"the token in EARTHDATA_TOKEN ended on {ends:%Y-%m-%d}: make a new one at https://{URS}."
            )
        return Grant(name=self.name, door="earthdata", secrets=secrets, issued_at=now, expires_at=ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copernicus:
    """The Copernicus Data Space: keys of its S3 store, and a token of minutes for its other services."""

    sign_in: str = CDSE_SIGN_IN

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "copernicus"

    def find(self, caller: Caller) -> str | None:
        """Return where they are."""
        if caller.variable("CDSE_S3_ACCESS_KEY") and caller.variable("CDSE_S3_SECRET_KEY"):
            return "CDSE_S3_ACCESS_KEY"
        if caller.variable("CDSE_REFRESH_TOKEN"):
            return "CDSE_REFRESH_TOKEN"
        if caller.variable("CDSE_USERNAME") and caller.variable("CDSE_PASSWORD"):
            return "CDSE_USERNAME"
        return next((f"profile {name!r}" for name in CDSE_PROFILES if _s3_profile(caller, name)), None)

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return them. The keys don't end by themselves; who can sign in leaves password and refresh token at home."""
        access, secret = caller.variable("CDSE_S3_ACCESS_KEY"), caller.variable("CDSE_S3_SECRET_KEY")
        if not (access and secret):
            access, secret = next(
                (found for name in CDSE_PROFILES if (found := _s3_profile(caller, name))), (None, None)
            )
        secrets = {"AccessKeyId": Secret(access), "SecretAccessKey": Secret(secret)} if access and secret else {}
        ends = None
        if form := _sign_in_form(caller):
            token, life = self._signed_in(form)
            secrets["CDSE_ACCESS_TOKEN"] = Secret(token)
            ends = now + life
        if not secrets:
            raise CantForward(
                "no keys of the Copernicus Data Space: set CDSE_S3_ACCESS_KEY and CDSE_S3_SECRET_KEY, "
                "or make a profile 'cdse' in ~/.aws/credentials."
            )
        return Grant(name=self.name, door="copernicus", secrets=secrets, issued_at=now, expires_at=ends)

    def _signed_in(self, form: dict[str, str]) -> tuple[str, timedelta]:
        request = urllib.request.Request(self.sign_in, data=urlencode({"client_id": CDSE_CLIENT, **form}).encode())
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                said = json.load(answer)
            return str(said["access_token"]), timedelta(seconds=float(said["expires_in"]))
        except urllib.error.HTTPError as error:
            raise CantForward(f"the Copernicus Data Space refuses the sign-in ({error.code}): sign in anew.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CantForward(f"the Copernicus Data Space gives no token: {error}.") from None


def _sign_in_form(caller: Caller) -> dict[str, str] | None:
    if refresh := caller.variable("CDSE_REFRESH_TOKEN"):
        return {"grant_type": "refresh_token", "refresh_token": refresh}
    user, password = caller.variable("CDSE_USERNAME"), caller.variable("CDSE_PASSWORD")
    return {"grant_type": "password", "username": user, "password": password} if user and password else None


def _s3_profile(caller: Caller, name: str) -> tuple[str, str] | None:
    settings = read_profile(caller, name)
    access, secret = settings.get("aws_access_key_id"), settings.get("aws_secret_access_key")
    return (access, secret) if access and secret else None


def _from_netrc(caller: Caller) -> tuple[str, str] | None:
    try:
        # The standard reader refuses a file that others may read only at the default place, and so do we nowhere.
        found = netrc.netrc(str(caller.file("NETRC", ".netrc"))).authenticators(URS)
    except (OSError, UnicodeDecodeError):
        return None
    except netrc.NetrcParseError as error:
        raise CantForward(f"{error.filename}, line {error.lineno}, isn't as a netrc file must be: mend it.") from None
    return (found[0], found[2]) if found and found[0] and found[2] else None
