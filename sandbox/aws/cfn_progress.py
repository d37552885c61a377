"""What is known about a stack while work goes on: its resources, its events, its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation.models import (
    CloudFormationBackend,
    Event,
    Stack,
    cloudformation_backends,
)
from moto.cloudformation.parsing import OutputMap
from moto.core.utils import utcnow

from cfn_template import ordered


@dataclass
class Row:
    """A resource of a stack, as DescribeStackResources shows it."""

    logical_id: str
    type: str
    physical_id: str = ""
    status: str = ""
    reason: str | None = None
    changed: Any = field(default_factory=utcnow)


@dataclass
class Progress:
    """What is remembered per stack beside moto's own object. `turn` counts the operations, so that
    a deletion stops a creation that is still going on."""

    stack: Stack
    token: str | None = None
    on_failure: str = "ROLLBACK"
    turn: int = 0
    rows: dict[str, Row] = field(default_factory=dict)

    def say(self, status: str, reason: str | None = None) -> None:
        """The state of the stack itself, with its event."""
        self.stack.status, self.stack.stack_status_reason = status, reason
        self.stack._add_stack_event(status, resource_status_reason=reason)
        self.stack.events[-1].client_request_token = self.token

    def note(self, row: Row, status: str, reason: str | None = None) -> None:
        """The state of one resource, with its event."""
        row.status, row.reason, row.changed = status, reason, utcnow()
        event = Event(
            stack_id=self.stack.stack_id,
            stack_name=self.stack.name,
            logical_resource_id=row.logical_id,
            physical_resource_id=row.physical_id,
            resource_type=row.type,
            resource_status=status,
            resource_status_reason=reason,
            resource_properties=None,
        )
        event.client_request_token = self.token
        self.stack.events.append(event)

    @property
    def made(self) -> list[str]:
        """Resources that exist, in the order in which they may be deleted."""
        present = {i for i, r in self.rows.items() if r.physical_id}
        return [i for i in reversed(ordered(self.stack.template_dict)) if i in present]


PROGRESS: dict[str, Progress] = {}


def named(backend: CloudFormationBackend, name: str) -> Stack | None:
    return next((s for s in backend.stacks.values() if s.name == name), None)


def reason_of(error: Exception, kind: str) -> str:
    """In the words of CloudFormation's resource handlers."""
    text = getattr(error, "message", None) or getattr(error, "description", None) or str(error)
    code, service = getattr(error, "code", type(error).__name__), kind.split("::")[1].title()
    details = f"(Service: {service}, Status Code: 400, Error Code: {code})"
    return f'Resource handler returned message: "{text} {details}"'


def condition_holds(stack: Stack, name: str) -> bool:
    condition = stack.template_dict["Resources"][name].get("Condition")
    return not condition or bool(stack.resource_map.lazy_condition_map[condition])


def hide_outputs(stack: Stack) -> None:
    """No outputs but in a COMPLETE state; moto would make resources to compute them."""
    nothing = {"Resources": {}, "Outputs": {}}
    stack.output_map = OutputMap(stack.resource_map, nothing, stack.stack_id)


def backend_of(stack: Stack) -> CloudFormationBackend:
    return cloudformation_backends[stack.account_id][stack.region_name]


def complete(progress: Progress, status: str) -> None:
    """All resources are there: outputs and exports appear."""
    stack = progress.stack
    stack.output_map = stack._create_output_map()
    for export in stack.exports:
        backend_of(stack).exports[export.name] = export
    progress.say(status)


def finish(progress: Progress, state: str, left: list[str]) -> None:
    """The end of a rollback or deletion."""
    stack, backend = progress.stack, backend_of(progress.stack)
    if left:
        reason = f"The following resource(s) failed to delete: [{', '.join(left)}]. "
        progress.say(f"{state}_FAILED", reason)
        return
    progress.say(f"{state}_COMPLETE")
    if state == "DELETE":
        stack.deletion_time = utcnow()
        backend.stacks.pop(stack.stack_id, None)
        backend.deleted_stacks[stack.stack_id] = stack
