"""Errors in the form that each AWS protocol gives them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException

QUERY_SERVICES = frozenset({"sts", "iam", "cloudformation", "elasticloadbalancing", "elbv2"})


class Refusal(ServiceException):
    """An error that moto's serializer renders for the service at hand. `status` overrides the
    HTTP status of the service model; `members` are further fields of the error shape."""

    def __init__(self, code: str, message: str, status: int | None = None, **members: Any) -> None:
        super().__init__(code, message)
        self.status = status
        for name, value in members.items():
            setattr(self, name, value)


def not_implemented(service: str, operation: str) -> Refusal:
    """What nothing here models. Status 400, not 501, so that no SDK retries it."""
    text = f"{service}:{operation} is not implemented by the sandbox"
    return Refusal("NotImplemented", text, 400)


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of_json(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, [("Content-Type", "application/json")], json.dumps(value).encode())


def render(service: str, error: Refusal) -> Answer:
    """An error for requests that never reach one of moto's services, by the service's protocol."""
    number = str(uuid.uuid4())
    status, code, message = error.status or 400, error.code, error.message
    if service not in QUERY_SERVICES | {"ec2", "s3"}:
        body = json.dumps({"__type": code, "message": message}).encode()
        kind = "application/x-amz-json-1.1"
        return Answer(
            status,
            [("Content-Type", kind), ("x-amzn-ErrorType", code), ("x-amzn-RequestId", number)],
            body,
        )
    inner = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    request = f"<RequestId>{number}</RequestId>"
    if service == "ec2":
        errors = f"<Errors><Error>{inner}</Error></Errors>"
        text = f"<Response>{errors}{request.replace('RequestId', 'RequestID')}</Response>"
    elif service == "s3":
        text = f"<Error>{inner}{request}</Error>"
    else:
        error_xml = f"<Error><Type>Sender</Type>{inner}</Error>"
        text = f"<ErrorResponse>{error_xml}{request}</ErrorResponse>"
    return Answer(status, [("Content-Type", "text/xml")], text.encode())
