"""The CA under which the endpoint speaks TLS as ``sts.*.amazonaws.com``.

The CA is made once per state directory, because aws-iam-authenticator reads it only when it starts;
server certificates are made per host when they are first asked for, and last as long as the process.
"""

from __future__ import annotations

import datetime
import os
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CA_NAME = "sandbox AWS CA"
YEARS = datetime.timedelta(days=3650)


class Authority:
    """A CA in `directory`: ``aws-ca.pem`` (certificate) and ``aws-ca-key.pem``, mode 0600."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        certificate, key = directory / "aws-ca.pem", directory / "aws-ca-key.pem"
        if not (certificate.exists() and key.exists()):
            self._make(certificate, key)
        self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded

    def context(self, host: str) -> ssl.SSLContext:
        """A server context with a certificate for `host`."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._context(host)
            return self._contexts[host]

    def _make(self, certificate: Path, key: Path) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, CA_NAME)])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        signed = (
            builder(name, name, private.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(private, hashes.SHA256())
        )
        write_private(key, private_pem(private))
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _context(self, host: str) -> ssl.SSLContext:
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        signed = (
            builder(name, self._certificate.subject, private.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        chain = self._directory / f"aws-server-{os.getpid()}.pem"
        pem = signed.public_bytes(serialization.Encoding.PEM) + private_pem(private)
        write_private(chain, pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(chain)
        finally:
            chain.unlink()
        return context


def builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """What all certificates share; valid from an hour ago, for clocks that differ."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + YEARS)
    )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
