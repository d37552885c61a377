"""One request to the endpoint: control, presigned identity, or one of moto's services."""

from __future__ import annotations

import io
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

import control
import gate
import identity
import signature
from errors import Answer, Refusal, not_implemented, render
from faults import FAULTS, ConnectionLost
from journal import JOURNAL, attempt_of
from signature import Environ, Signed

# apart from GetCallerIdentity, so that faults and counts for one do not meet the other
PRESIGNED = "PresignedGetCallerIdentity"
REQUEST_ID = "00000000-0000-0000-0000-000000000000"
DROPPED = {"content-length", "connection", "server", "date", "transfer-encoding"}


class Shell:
    """Answers requests given as WSGI environments. `answer` raises ConnectionLost where the
    connection must be reset instead."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def answer(self, environ: dict[str, Any]) -> Answer:
        body = read_body(environ)
        path = environ["PATH_INFO"]
        if path.startswith("/_sandbox"):
            return control.answer(environ["REQUEST_METHOD"], path, body)
        if path.startswith("/moto-api"):
            return Answer.of_json({"error": "use /_sandbox/ instead"}, 404)
        header = signature.from_header(environ, body)
        query = None if header else signature.from_query(environ)
        if query and dict(query.query).get("Action") == "GetCallerIdentity":
            return journalled(environ, "sts", PRESIGNED, lambda: presigned(query, environ))
        service = (header or query).service if header or query else unsigned_service(body)
        operation = f"{environ['REQUEST_METHOD']} {path}"
        return journalled(
            environ, service, operation, lambda: self._aws(environ, body, service, header)
        )

    def _aws(self, environ: dict[str, Any], body: bytes, service: str, signed: Any) -> Answer:
        """moto's answer; whatever it does not know or fails at is an error of the protocol."""
        if service == "-" or not (signed or service == "sts"):
            text = "Request is missing Authentication Token"
            return render("sts", Refusal("MissingAuthenticationToken", text, 403))
        gate.REQUEST.environ, gate.REQUEST.body = environ, body
        operation = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        try:
            chunks, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        except (ConnectionLost, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 every failure must reach the client
            if not known(self._moto, service):
                return self._unknown(environ, body, service, operation)
            traceback.print_exc(file=sys.stderr)
            text = f"the sandbox failed: {error!r}"
            return render(service, Refusal("InternalFailure", text, 500))
        code, content = int(status.split()[0]), headers.get("Content-Type", "")
        if content.startswith("text/html") and code in (404, 405, 500, 501):
            return self._unknown(environ, body, service, operation)
        kept = [(k, v) for k, v in headers.items() if k.lower() not in DROPPED]
        return Answer(code, kept, b"".join(chunks))

    @staticmethod
    def _unknown(environ: Environ, body: bytes, service: str, operation: str) -> Answer:
        """A service or route that moto does not have: credentials first, as everywhere."""
        try:
            identity.check_request(service, operation, environ, body)
        except Refusal as refusal:
            return render(service, refusal)
        return render(service, not_implemented(service, operation))


def known(moto: DomainDispatcherApplication, service: str) -> bool:
    return any(service == name for name in moto.app_instances if name)


def read_body(environ: dict[str, Any]) -> bytes:
    """The whole body, put back for moto."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = stream.read()
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def unsigned_service(body: bytes) -> str:
    """STS takes its web identity operations unsigned; nothing else is."""
    wanted = "|".join(identity.UNSIGNED_OPERATIONS).encode()
    return "sts" if re.search(rb"(?:^|&)Action=(?:" + wanted + rb")(?:&|$)", body) else "-"


def journalled(
    environ: Environ, service: str, operation: str, work: Callable[[], Answer]
) -> Answer:
    """Do `work` under a journal entry."""
    entry = JOURNAL.begin(service, operation, attempt_of(environ))
    status = 0
    try:
        answer = work()
        status = answer.status
        return answer
    finally:
        JOURNAL.end(entry, status)


def presigned(signed: Signed, environ: Environ) -> Answer:
    """STS for a presigned GetCallerIdentity; moto would take it for an S3 request."""
    as_json = "application/json" in environ.get("HTTP_ACCEPT", "")
    kind = "application/json" if as_json else "text/xml"

    def work() -> Answer:
        caller = identity.presigned_identity(signed, environ)
        document = identity.identity_document(caller, as_json)
        return Answer(200, [("Content-Type", kind)], document.encode())

    try:
        return FAULTS.around("sts", PRESIGNED, work)
    except Refusal as refusal:
        if not as_json:
            return render("sts", refusal)
        error = {"Code": refusal.code, "Message": refusal.message, "Type": "Sender"}
        return Answer.of_json({"Error": error, "RequestId": REQUEST_ID}, refusal.status or 400)
