"""``/_sandbox/*``: how tests look at the endpoint and change its behaviour.

=======  ===================  ===========================================================
method   path                 what
=======  ===================  ===========================================================
GET      /_sandbox/health     ``{"status": "ok"}``
GET      /_sandbox/requests   the journal: array of time, service, operation, status, ...
DELETE   /_sandbox/requests   forget it
GET      /_sandbox/inventory  what is left in the account, ``{}`` for nothing
GET      /_sandbox/faults     the faults in force
POST     /_sandbox/faults     replace them by the array in the body
GET      /_sandbox/config     the configuration
POST     /_sandbox/config     merge the object in the body into it
POST     /_sandbox/reset      everything as after the start
=======  ===================  ===========================================================

In the sandbox the front stands before this (``sandbox/src/front/control.rs``): it adds the calls and
faults of Kubernetes and the registry, and ``hold``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from moto.moto_api._internal import moto_api_backend

import cloudformation
import ecr
import eks
import gate
import identity
from errors import Answer
from faults import FAULTS
from inventory import inventory
from journal import JOURNAL
from state import STATE, Config


def health(_: Any) -> Any:
    return {"status": "ok"}


def requests(_: Any) -> Any:
    return JOURNAL.entries()


def forget_requests(_: Any) -> Any:
    JOURNAL.clear()
    return {}


def left(_: Any) -> Any:
    with STATE.lock:
        return inventory()


def faults(_: Any) -> Any:
    return FAULTS.listed()


def replace_faults(body: Any) -> Any:
    FAULTS.replace(body)
    return FAULTS.listed()


def config(_: Any) -> Any:
    return asdict(STATE.config)


def merge_config(body: Any) -> Any:
    if not isinstance(body, dict):
        raise TypeError("the configuration must be an object")
    with STATE.lock:
        STATE.config = STATE.config.merged(body)
        gate.enforce_iam(STATE.config.enforce_iam)
        return asdict(STATE.config)


def reset(_: Any) -> Any:
    """The account is empty but for the sandbox's users; running background work stops."""
    with STATE.lock:
        STATE.generation += 1
        STATE.config = Config()
        FAULTS.replace([])
        JOURNAL.clear()
        gate.enforce_iam(False)
        moto_api_backend.reset()
        cloudformation.reset()
        ecr.SEEN.clear()
        identity.seed()
        eks.reset()
    return {}


ROUTES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "health": {"GET": health},
    "requests": {"GET": requests, "DELETE": forget_requests},
    "inventory": {"GET": left},
    "faults": {"GET": faults, "POST": replace_faults},
    "config": {"GET": config, "POST": merge_config},
    "reset": {"POST": reset},
}


def answer(method: str, path: str, body: bytes) -> Answer:
    """One control request; problems are JSON with an `error`."""
    methods = ROUTES.get(path.removeprefix("/_sandbox/").rstrip("/"))
    if methods is None:
        known = ", ".join(f"/_sandbox/{name}" for name in ROUTES)
        return Answer.of_json({"error": f"no such path {path}, known: {known}"}, 404)
    if method not in methods:
        return Answer.of_json({"error": f"{path} takes {', '.join(methods)}"}, 405)
    try:
        wanted = json.loads(body) if body.strip() else None
        return Answer.of_json(methods[method](wanted))
    except (ValueError, TypeError) as bad:
        return Answer.of_json({"error": str(bad)}, 400)
