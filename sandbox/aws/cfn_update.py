"""The update of a stack: what differs, and moto's work on it.

Assumption: a failed update keeps what it had changed, where AWS would change it back; the state is
UPDATE_ROLLBACK_COMPLETE all the same.
"""

from __future__ import annotations

import re
from typing import Any

from moto.cloudformation.models import Stack

import cfn_template as templates
from cfn_progress import Progress, Row, complete, reason_of
from cfn_work import Worker, run
from state import STATE


class Change:
    """What an update asks for."""

    def __init__(self, body: str, parameters: dict[str, Any], tags: dict[str, str] | None) -> None:
        self.body, self.parameters, self.tags = body, parameters, tags

    def check(self, stack: Stack, capabilities: list[str]) -> bool:
        """Whether anything differs; Refusal when the template itself is wrong."""
        template = templates.parsed(self.body)
        templates.check(template, self.body, capabilities)
        same_parameters = all(
            stack.stack_parameters.get(name) == value for name, value in self.parameters.items()
        )
        same_tags = self.tags is None or self.tags == stack.tags
        same = template == templates.parsed(stack.template)  # moto changes its own copy
        return not (same and same_parameters and same_tags)


def check_changeable(stack: Stack) -> None:
    """Only a stack that is complete can be updated."""
    if not re.fullmatch(r"(CREATE|UPDATE|UPDATE_ROLLBACK)_COMPLETE", stack.status):
        text = f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
        raise templates.validation_error(text)


def start(progress: Progress, change: Change, token: str | None) -> None:
    """Begin the update in the background."""
    progress.token = token
    progress.stack.status = "UPDATE_IN_PROGRESS"
    run(progress, lambda worker: update(worker, change))


def update(worker: Worker, change: Change) -> None:
    """Let moto update the resources."""
    progress = worker.progress
    stack = progress.stack
    with STATE.lock:
        worker.check()
        progress.say("UPDATE_IN_PROGRESS", "User Initiated")
    worker.pause(STATE.config.cfn_update_s)
    with STATE.lock:
        worker.check()
        template = templates.parsed(change.body)
        try:
            stack.resource_map.update(template, {**stack.parameters, **change.parameters})
        except Exception as error:  # noqa: BLE001 moto raises whatever it likes here
            reason = reason_of(error, "AWS::CloudFormation::Stack")
            progress.say("UPDATE_ROLLBACK_IN_PROGRESS", reason)
            progress.say("UPDATE_ROLLBACK_COMPLETE")
            return
        stack.template, stack.template_dict = change.body, template
        stack.parameters = {**stack.parameters, **change.parameters}
        stack.tags = change.tags if change.tags is not None else stack.tags
        refresh_rows(progress)
        complete(progress, "UPDATE_COMPLETE")


def refresh_rows(progress: Progress) -> None:
    """Rows after an update: those that went are dropped, new ones appear."""
    resources = progress.stack.template_dict["Resources"]
    made = progress.stack.resource_map._parsed_resources
    progress.rows = {i: row for i, row in progress.rows.items() if i in resources}
    for name, definition in resources.items():
        if name not in progress.rows and made.get(name) is not None:
            physical = getattr(made[name], "physical_resource_id", None) or name
            row = Row(name, definition["Type"], physical)
            progress.rows[name] = row
            progress.note(row, "CREATE_COMPLETE")
