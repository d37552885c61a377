"""Who is calling: the keys that exist from the start, keys made through IAM, sessions made by STS.

Modelled: an unknown, inactive or expired key is refused by every service in its own words; a
session key without its session token too; signatures are checked (``check_signatures``).
Assumptions: JSON services answer 400 UnrecognizedClientException; EC2 answers 401 AuthFailure.
"""

from __future__ import annotations

import copy
import datetime
import json
from dataclasses import dataclass

from moto.core.utils import utcnow
from moto.iam.models import (
    AccessKey,
    IAMBackend,
    ManagedPolicy,
    get_account_id_from,
    iam_backends,
)
from moto.sts.models import AssumedRole, sts_backends

import state
from errors import QUERY_SERVICES, Refusal
from signature import Environ, Signed, from_header
from state import ACCOUNT, PARTITION, STATE

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
POLICIES: dict[str, list[ManagedPolicy]] = {}
UNSIGNED_OPERATIONS = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}
INVALID_TOKEN = "The security token included in the request is invalid"
EXPIRED_TOKEN = "The security token included in the request is expired"
BAD_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method."
)


@dataclass(frozen=True)
class Caller:
    """A known key. `arn` is what GetCallerIdentity says, `principal_arn` the IAM user or role that an
    access entry names (a session's role, with its path)."""

    key: AccessKey
    account: str
    user_id: str
    arn: str
    principal_arn: str
    session: AssumedRole | None


def install() -> None:
    """Load AWS's managed policies once, in the one partition that is used: moto would build all 1500
    of them eight times at every reset."""
    original = IAMBackend._init_aws_policies

    def once_and_only_here(self: IAMBackend) -> list[ManagedPolicy]:
        if self.partition != PARTITION:
            return []
        if self.account_id not in POLICIES:
            POLICIES[self.account_id] = original(self)
        return [copy.copy(policy) for policy in POLICIES[self.account_id]]

    IAMBackend._init_aws_policies = once_and_only_here


def seed() -> None:
    """Make the static users in the account, with fixed keys instead of moto's random ones."""
    iam = iam_backends[ACCOUNT][PARTITION]
    for name, key_id in (
        (state.ADMIN_USER, state.ADMIN_KEY_ID),
        (state.NOBODY_USER, state.NOBODY_KEY_ID),
    ):
        user = iam.create_user(region_name="us-east-1", user_name=name)
        key = user.create_access_key(prefix="AKIA")
        key.access_key_id, key.secret_access_key = key_id, state.SECRET
        iam.access_keys[key_id] = key
    iam.attach_user_policy(ADMINISTRATOR, state.ADMIN_USER)


def caller_of(key_id: str) -> Caller | None:
    """The identity behind an access key id, None when there is no active one."""
    account = get_account_id_from(key_id)
    iam, sts = iam_backends[account][PARTITION], sts_backends[account][PARTITION]
    key = iam.access_keys.get(key_id)
    if key is None or key.status != "Active":
        return None
    session = sts.get_assumed_role_from_access_key(key_id)
    if session:
        arn, role = session.arn, session.role_arn
        return Caller(key, account, session.user_id, arn, role, session)
    user = iam.get_user_from_access_key_id(key_id)
    return Caller(key, account, user.id, user.arn, user.arn, None) if user else None


def authenticate(service: str, signed: Signed, environ: Environ) -> Caller:
    """The caller of a signed request; Refusal when it cannot be believed."""
    query = service in QUERY_SERVICES or service in ("ec2", "s3")
    caller = caller_of(signed.key_id)
    session = caller.session if caller else None
    if caller is None or (session and signed.session_token != session.session_token):
        if service == "ec2":
            text = "AWS was not able to validate the provided access credentials"
            raise Refusal("AuthFailure", text, 401)
        code = "InvalidClientTokenId" if query else "UnrecognizedClientException"
        raise Refusal(code, INVALID_TOKEN + ".", 403 if query else 400)
    if session and session.expiration < utcnow():
        code = "ExpiredToken" if query else "ExpiredTokenException"
        raise Refusal(code, EXPIRED_TOKEN, 403 if query else 400)
    if service == "s3" or not STATE.config.check_signatures:
        return caller
    if not signed.verified_by(caller.key.secret_access_key, environ):
        code = "SignatureDoesNotMatch" if query else "InvalidSignatureException"
        raise Refusal(code, BAD_SIGNATURE, 403)
    return caller


def check_request(service: str, operation: str, environ: Environ, body: bytes) -> None:
    """Refuse a request that is not signed by a known key."""
    signed = from_header(environ, body)
    if signed is not None:
        authenticate(service, signed, environ)
    elif operation not in UNSIGNED_OPERATIONS:
        query = service in QUERY_SERVICES or service == "ec2"
        code = "MissingAuthenticationToken" if query else "MissingAuthenticationTokenException"
        raise Refusal(code, "Request is missing Authentication Token", 403)


def presigned_identity(signed: Signed, environ: Environ) -> Caller:
    """The caller of a presigned GetCallerIdentity, the form of an EKS token.

    The signature covers ``x-k8s-aws-id``, so a token for another cluster fails here. STS ignores
    X-Amz-Expires (60 s in EKS tokens) and accepts a request for 15 minutes after its date.
    """
    try:
        age = signed.age(datetime.datetime.now(datetime.UTC))
    except ValueError:
        raise Refusal("IncompleteSignature", "X-Amz-Date is malformed", 400) from None
    if not -300 < age < 900:
        text = f"Signature expired: {signed.date} is not within 15 minutes of the current time"
        raise Refusal("SignatureDoesNotMatch", text, 403)
    caller = authenticate("sts", signed, environ)
    if not signed.verified_by(caller.key.secret_access_key, environ):
        raise Refusal("SignatureDoesNotMatch", BAD_SIGNATURE, 403)
    return caller


def identity_document(caller: Caller, as_json: bool) -> str:
    """The answer of GetCallerIdentity, in JSON as aws-iam-authenticator asks for it."""
    values = {"Account": caller.account, "Arn": caller.arn, "UserId": caller.user_id}
    request = "00000000-0000-0000-0000-000000000000"
    if as_json:
        metadata = {"RequestId": request}
        result = {"GetCallerIdentityResult": values, "ResponseMetadata": metadata}
        return json.dumps({"GetCallerIdentityResponse": result})
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult>{fields}</GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
