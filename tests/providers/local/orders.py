"""Orders for real local processes, with keys of their own authority."""

import datetime as dt
import ipaddress
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tradewind.boot.process import Boot, KeyPair
from tradewind.model.instance import Marks, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.secret import Secret
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.local.offers import Machine
from tradewind.providers.local.provider import LocalProvider

INSTALLATION = "test-installation"


@cache
def keys() -> KeyPair:
    now = dt.datetime.now(dt.UTC)
    authority_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, public: ec.EllipticCurvePublicKey, is_authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    def pem(item: x509.Certificate) -> str:
        return item.public_bytes(serialization.Encoding.PEM).decode()

    key = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(
        authority=pem(certificate("authority", authority_key.public_key(), True)),
        certificate=pem(certificate("leaf", leaf_key.public_key(), False)),
        key=Secret(key.decode()),
    )


def order(
    role: Role, cluster: str, *, expires_at: dt.datetime | None = None, order_id: str | None = None, **boot: Any
) -> Order:
    instance = f"i-{uuid4().hex[:8]}"
    marks = Marks(
        installation=INSTALLATION,
        workspace="w",
        cluster=cluster,
        instance=instance,
        order=order_id or f"o-{uuid4().hex[:8]}",
        role=role,
    )
    resources = Resources(cpus=1, memory=2 * GIB)
    offer = Offer(provider="local", vm_type="process", resources=resources, price=Price(per_hour=0))  # type: ignore
    full = Boot(
        role=role,
        cluster_id=cluster,
        instance_id=instance,
        keys=keys(),
        agent_token=Secret("the-agents-own-token"),
        threads=1,
        memory=2 * GIB,
        python_path=tuple(sys.path),
    )
    return Order(marks=marks, offer=offer, boot=replace(full, **boot), expires_at=expires_at)


def provider(state: Path, installation: str = INSTALLATION, **options: object) -> LocalProvider:
    settings = ProviderSettings(installation=installation, state_directory=str(state), options=options)
    return LocalProvider(settings, machine=Machine(cpus=2, memory=8 * GIB))
