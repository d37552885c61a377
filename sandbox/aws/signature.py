"""Signature Version 4, the checking side.

Modelled: canonical request, string to sign and signing key as in the AWS Signature Version 4
reference, for signatures in the Authorization header and in the query (presigned URLs). Not
modelled: S3's rules (single URI encoding, chunked payloads); its requests are not checked.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

Environ = Mapping[str, Any]


@dataclass(frozen=True)
class Signed:
    """The signed parts of one request. `date` is X-Amz-Date; `session_token` None without one."""

    key_id: str
    scope: tuple[str, ...]
    date: str
    headers: tuple[str, ...]
    signature: str
    query: tuple[tuple[str, str], ...]
    payload_hash: str
    session_token: str | None

    @property
    def service(self) -> str:
        return self.scope[2] if len(self.scope) == 4 else ""

    @property
    def region(self) -> str:
        return self.scope[1] if len(self.scope) == 4 else "us-east-1"

    def age(self, now: datetime.datetime) -> float:
        """Seconds since the request was signed; ValueError when the date is malformed."""
        signed = datetime.datetime.strptime(self.date, "%Y%m%dT%H%M%SZ")
        return (now - signed.replace(tzinfo=datetime.UTC)).total_seconds()

    def verified_by(self, secret: str, environ: Environ) -> bool:
        return hmac.compare_digest(self._expected(secret, environ), self.signature)

    def _expected(self, secret: str, environ: Environ) -> str:
        canonical = self._canonical_request(environ).encode()
        scope = "/".join(self.scope)
        digest = hashlib.sha256(canonical).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.date}\n{scope}\n{digest}"
        key = ("AWS4" + secret).encode()
        for part in self.scope:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def _canonical_request(self, environ: Environ) -> str:
        # every service but S3 signs the path as sent, encoded once more
        path = quote(raw_path(environ), safe="/-_.~") or "/"
        pairs = sorted((encode(name), encode(value)) for name, value in self.query)
        query = "&".join(f"{name}={value}" for name, value in pairs)
        headers = "".join(f"{name}:{header(environ, name)}\n" for name in self.headers)
        method, names = environ["REQUEST_METHOD"], ";".join(self.headers)
        return f"{method}\n{path}\n{query}\n{headers}\n{names}\n{self.payload_hash}"


def encode(text: str) -> str:
    return quote(text, safe="-_.~")


def raw_path(environ: Environ) -> str:
    """The path as sent, still percent-encoded; also from an absolute request target."""
    target = environ.get("RAW_URI") or quote(environ.get("PATH_INFO", "/"))
    return re.sub(r"^https?://[^/?]*", "", target).split("?", 1)[0] or "/"


def header(environ: Environ, name: str) -> str:
    """A header's value with its white space collapsed, "" when missing."""
    key = name.upper().replace("-", "_")
    plain = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    return " ".join(str(environ.get(key if plain else f"HTTP_{key}", "")).split())


def from_header(environ: Environ, body: bytes) -> Signed | None:
    """The signature of an Authorization header, None without a well-formed one."""
    value = header(environ, "authorization")
    fields = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]+)", value))
    if not value.startswith("AWS4-HMAC-SHA256") or len(fields) < 3:
        return None
    key_id, *scope = fields["Credential"].split("/")
    sent_hash = header(environ, "x-amz-content-sha256")
    return Signed(
        key_id=key_id,
        scope=tuple(scope),
        date=header(environ, "x-amz-date"),
        headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        query=tuple(query_pairs(environ)),
        payload_hash=sent_hash or hashlib.sha256(body).hexdigest(),
        session_token=header(environ, "x-amz-security-token") or None,
    )


def from_query(environ: Environ) -> Signed | None:
    """The signature of a presigned URL, None without a complete one."""
    pairs = query_pairs(environ)
    values = dict(pairs)
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date")
    if any(name not in values for name in names):
        return None
    key_id, *scope = values["X-Amz-Credential"].split("/")
    return Signed(
        key_id=key_id,
        scope=tuple(scope),
        date=values["X-Amz-Date"],
        headers=tuple(values["X-Amz-SignedHeaders"].split(";")),
        signature=values["X-Amz-Signature"],
        query=tuple(pair for pair in pairs if pair[0] != "X-Amz-Signature"),
        payload_hash=hashlib.sha256(b"").hexdigest(),
        session_token=values.get("X-Amz-Security-Token"),
    )


def query_pairs(environ: Environ) -> list[tuple[str, str]]:
    return parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
