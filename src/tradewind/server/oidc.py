"""Sign-in with an OpenID provider: authorization code with PKCE, state, nonce, and every claim that counts checked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from tradewind.config import OidcSettings
from tradewind.engine.access.people import Arrival
from tradewind.engine.clock import Clock
from tradewind.errors import SignInNeeded, Unavailable
from tradewind.server.journey import Journey

SCOPE = "openid email profile"
PATIENCE_S = 10.0
LEEWAY_S = 120
"""How far the provider's clock may be from ours."""
KEPT = timedelta(hours=1)
"""How long its metadata and keys are believed; a key that isn't among them is looked for at once."""
LOOK_AGAIN = timedelta(seconds=30)
"""How often strange keys make us look at most: tokens with made-up key ids must not have us ask all day."""
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Signatures that a public key checks. Never "none", and never one whose key is a secret that we share."""
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenIdProvider:
    """One provider.

    Parameters
    ----------
    settings : OidcSettings
        With an issuer and a client id.
    clock : Clock
        Says what time it is.
    """

    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        assert settings.issuer is not None
        self.issuer = settings.issuer
        self._settings = settings
        self._clock = clock
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None
        self._metadata_at = self._keys_at = datetime.min.replace(tzinfo=clock.now().tzinfo)
        self._looking = asyncio.Lock()

    async def depart(self, redirect_uri: str) -> Journey:
        """Return where to send a browser, and what to remember until it is back. Raises Unavailable."""
        metadata = await self._known()
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        async with self._client(redirect_uri) as client:
            url, state = client.create_authorization_url(
                metadata["authorization_endpoint"],
                nonce=nonce,
                state=secrets.token_urlsafe(32),
                code_verifier=verifier,
            )
        return Journey(url=url, state=state, nonce=nonce, verifier=verifier)

    async def arrived(self, journey: Journey, redirect_uri: str, code: str) -> Arrival:
        """Return whom the provider vouches for, from the code that the browser came back with.

        The caller has compared the state.

        Raises
        ------
        SignInNeeded
            The provider refuses the code, or its token isn't meant for us, not for this journey, or not its own.
        Unavailable
            The provider doesn't answer, or not as one.
        """
        metadata = await self._known()
        try:
            async with self._client(redirect_uri) as client:
                answer = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=journey.verifier,
                )
        except AuthlibBaseError as error:
            raise SignInNeeded(f"{self._settings.name} refuses this sign-in ({error.error}); sign in again") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise self._silent(error) from None
        text = answer.get("id_token")
        if not isinstance(text, str):
            raise self._no_provider("its answer holds no id_token")
        access_token = answer.get("access_token")
        claims = await self._checked(text, journey.nonce, access_token)
        if isinstance(access_token, str) and not {"email", self._settings.name_claim} <= claims.keys():
            # Many providers say in the token who somebody is, and only here what they are called.
            claims = {**await self._told(access_token, claims.get("sub")), **claims}
        return self._arrival(claims)

    # What the above have in common

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        secret = self._settings.client_secret
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=secret.reveal() if secret is not None else None,
            token_endpoint_auth_method="client_secret_basic" if secret is not None else "none",
            scope=SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=PATIENCE_S,
            follow_redirects=False,
        )

    async def _checked(self, text: str, nonce: str, access_token: object) -> dict[str, Any]:
        metadata = await self._known()
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(algorithms=sorted(ALGORITHMS & set(offered)), strict_check_header=False)
        try:
            try:
                token = jwt.decode(text, await self._key_set(), registry=registry)
            except InvalidKeyIdError:
                # Keys are rotated: the one it was signed with may be newer than our last look.
                token = jwt.decode(text, await self._key_set(is_stale=True), registry=registry)
            options = {
                "iss": {"essential": True, "value": metadata["issuer"]},
                # Authlib alone would take a token for somebody else whose "azp" is us.
                "aud": {"essential": True, "value": self._settings.client_id},
                "sub": {"essential": True},
                "nonce": {"essential": True},
            }
            params = {"nonce": nonce, "client_id": self._settings.client_id, "access_token": access_token}
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
            raise SignInNeeded(f"what {self._settings.name} says can't be trusted ({why}); sign in again") from None
        return dict(claims)

    async def _told(self, access_token: str, subject: object) -> dict[str, Any]:
        """Return what the provider tells about a person beside its token; nothing, where it doesn't."""
        url = (await self._known()).get("userinfo_endpoint")
        if not _is_safe(url, self.issuer):
            return {}
        told = await self._get(str(url), {"Authorization": f"Bearer {access_token}"})
        # Its answer isn't signed: about another subject, it says nothing about this one.
        return told if told.get("sub") == subject else {}

    def _arrival(self, claims: dict[str, Any]) -> Arrival:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise self._no_provider("its sub is no text of up to 255 characters")
        email = claims.get("email")
        email = email if isinstance(email, str) else None
        name = claims.get(self._settings.name_claim)
        return Arrival(
            issuer=self.issuer,
            subject=subject,
            name=name if isinstance(name, str) and name else (email or "").partition("@")[0] or "user",
            email=email,
            # True and nothing else: some providers write the word.
            is_email_verified=claims.get("email_verified") is True,
        )

    async def _known(self) -> dict[str, Any]:
        async with self._looking:
            if self._metadata is None or self._clock.now() - self._metadata_at > KEPT:
                found = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.issuer:
                    raise self._no_provider(
                        f"it calls itself {str(found.get('issuer'))[:100]!r}; set oidc.issuer to that"
                    )
                for name in NEEDED:
                    if not _is_safe(found.get(name), self.issuer):
                        raise self._no_provider(f"its {name} is no https address")
                self._metadata, self._metadata_at = found, self._clock.now()
            return self._metadata

    async def _key_set(self, *, is_stale: bool = False) -> KeySet:
        metadata = await self._known()
        async with self._looking:
            age = self._clock.now() - self._keys_at
            if self._keys is None or age > KEPT or (is_stale and age > LOOK_AGAIN):
                self._keys = KeySet.import_key_set(await self._get(metadata["jwks_uri"]))  # type: ignore[arg-type]
                self._keys_at = self._clock.now()
            return self._keys

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            async with httpx2.AsyncClient(timeout=PATIENCE_S, follow_redirects=False) as client:
                answer = await client.get(url, headers={"Accept": "application/json", **(headers or {})})
            answer.raise_for_status()
            found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._silent(error) from None
        if not isinstance(found, dict):
            raise self._no_provider("it answers no JSON object")
        return found

    def _silent(self, error: Exception) -> Unavailable:
        words = f"{self._settings.name} doesn't answer ({type(error).__name__}); try again, or use a token"
        return Unavailable(words, timedelta(seconds=10))

    def _no_provider(self, why: str) -> Unavailable:
        return Unavailable(f"{self.issuer} doesn't answer as an OpenID provider: {why}", timedelta(minutes=1))


def _is_safe(url: object, issuer: str) -> bool:
    """Whether what is sent there is read by the provider alone: TLS, or this very machine."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in LOOPBACK and issuer.startswith("http:")
    )
