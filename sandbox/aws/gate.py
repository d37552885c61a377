"""The gate in front of every AWS operation: credentials, faults, journal, and a proper error.

It hooks moto where moto itself knows service and operation, so that its serializer renders every
error in the protocol of the service.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import moto.settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import _RESTError
from moto.core.responses import ActionResult, BaseResponse
from moto.iam.access_control import IAMRequestBase

import identity
from errors import Refusal, not_implemented
from faults import FAULTS
from journal import JOURNAL
from state import STATE

MotoAnswer = tuple[int, dict[str, Any], Any]
# moto answers these with fixed keys that nothing accepts afterwards
UNUSABLE = {("sts", "GetSessionToken"), ("sts", "GetFederationToken")}
REQUEST = threading.local()  # .environ and .body of the request of this thread


def install() -> None:
    """Put the gate into moto."""
    original = BaseResponse.call_action

    def call_action(self: BaseResponse) -> MotoAnswer:
        return guarded(self, lambda: original(self))

    BaseResponse.call_action = call_action  # type: ignore[method-assign]
    serialized = BaseResponse.serialized

    def serialized_with_status(self: BaseResponse, result: ActionResult) -> MotoAnswer:
        # an operation's Refusal comes here too, and the model knows no status for some errors
        status, headers, body = serialized(self, result)
        refused = result.result
        if isinstance(refused, Refusal) and refused.status:
            status, headers = refused.status, {**headers, "status": str(refused.status)}
        return status, headers, body

    BaseResponse.serialized = serialized_with_status  # type: ignore[method-assign]
    # identity.py checks signatures, and before moto does; moto's own check fails on EKS's paths
    IAMRequestBase.check_signature = lambda self: None  # type: ignore[method-assign]
    authorize = BaseResponse._authenticate_and_authorize_normal_action

    def authorize_in_protocol(self: BaseResponse, resource: str = "*") -> None:
        # moto raises XML errors for every protocol; JSON clients would see no code in them
        try:
            authorize(self, resource)
        except _RESTError as error:
            code = error.error_type + ("" if query_protocol(self) else "Exception")
            raise Refusal(code, error.message, 403 if query_protocol(self) else 400) from None

    BaseResponse._authenticate_and_authorize_normal_action = authorize_in_protocol  # type: ignore[method-assign]


def query_protocol(response: BaseResponse) -> bool:
    return response.service_name in identity.QUERY_SERVICES or response.service_name == "ec2"


def enforce_iam(on: bool) -> None:
    """Switch moto's evaluation of IAM policies."""
    moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if on else float("inf")
    ActionAuthenticatorMixin.request_count = 0


def guarded(response: BaseResponse, work: Callable[[], MotoAnswer]) -> MotoAnswer:
    """One operation behind the gate."""
    service, operation = response.service_name or "-", response._get_action()
    entry = JOURNAL.current
    entry.service = service
    if operation:
        entry.operation = operation
    try:
        identity.check_request(service, operation, REQUEST.environ, REQUEST.body)
        return FAULTS.around(service, operation or "", lambda: checked(response, work))
    except Refusal as refusal:
        return rendered(response, refusal)


def checked(response: BaseResponse, work: Callable[[], MotoAnswer]) -> MotoAnswer:
    """The work itself; what moto lacks or trips over becomes a Refusal. Every answer is made under
    the one lock: moto's stores are not made for threads."""
    service, operation = response.service_name or "-", response._get_action()
    if not operation or (service, operation) in UNUSABLE:
        raise not_implemented(service, operation or "?")
    try:
        with STATE.lock:
            return work()
    except NotImplementedError:
        raise not_implemented(service, operation) from None
    except (Refusal, ConnectionError):
        raise
    except Exception as bug:
        traceback.print_exc(file=sys.stderr)
        raise Refusal("InternalFailure", f"the sandbox failed: {bug!r}", 500) from bug


def rendered(response: BaseResponse, refusal: Refusal) -> MotoAnswer:
    """The refusal as moto's serializer writes errors of this service."""
    status, headers, body = response.serialized(ActionResult(refusal))
    headers, body = response._enrich_response(headers, body)  # the request id
    return status, {**headers, "status": str(status)}, body
