"""CloudFormation: the stack operations as AWS answers them.

Modelled: CreateStack answers with the id and the work goes on in the background (cfn_work); what a
request alone shows to be wrong is refused at once (cfn_template); idempotency by
ClientRequestToken; termination protection; an update without changes is a ValidationError.
"""

from __future__ import annotations

import re
from typing import Any

from moto.cloudformation import urls
from moto.cloudformation.models import Stack
from moto.cloudformation.utils import generate_stack_id
from moto.core.responses import ActionResult, EmptyResult

import cfn_template as templates
from cfn_changes import ChangeSetCalls, forget_all
from cfn_progress import PROGRESS, Progress, Row, hide_outputs, named
from cfn_update import check_changeable, start
from cfn_work import Worker, run
from errors import Refusal

NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


class StackCalls(ChangeSetCalls):
    """moto's operations, with those replaced that it gets wrong."""

    def create_stack(self) -> ActionResult:
        name, token = self._get_param("StackName"), self._get_param("ClientRequestToken")
        if not NAME.fullmatch(name or ""):
            raise templates.validation_error(
                f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        backend = self.cloudformation_backend
        if existing := named(backend, name):
            if token and PROGRESS[existing.stack_id].token == token:
                return ActionResult({"StackId": existing.stack_id})
            raise Refusal("AlreadyExistsException", f"Stack [{name}] already exists", 400)
        stack = self._parsed_stack(name, self.template_body())
        templates.check(stack.template_dict, stack.template, self._get_param("Capabilities", []))
        progress = Progress(stack, token, self._on_failure())
        PROGRESS[stack.stack_id] = progress
        backend.stacks[stack.stack_id] = stack
        hide_outputs(stack)
        progress.say("CREATE_IN_PROGRESS", "User Initiated")
        run(progress, Worker.create)
        return ActionResult({"StackId": stack.stack_id})

    def _on_failure(self) -> str:
        if self._get_bool_param("DisableRollback"):
            return "DO_NOTHING"
        return self._get_param("OnFailure") or "ROLLBACK"

    def _parsed_stack(self, name: str, body: str) -> Stack:
        """moto's stack, made only so far as the template and its parameters are read."""
        protected = bool(self._get_bool_param("EnableTerminationProtection"))
        try:
            stack = Stack(
                stack_id=generate_stack_id(name, self.region, self.current_account),
                name=name,
                template=body,
                parameters=self._get_params_from_list(self._get_param("Parameters", [])),
                account_id=self.current_account,
                region_name=self.region,
                tags={tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])},
                role_arn=self._get_param("RoleARN"),
                cross_stack_resources=self.cloudformation_backend.exports,
                enable_termination_protection=protected,
                timeout_in_mins=self._get_param("TimeoutInMinutes"),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as bad:
            raise templates.validation_error(f"Template format error: {bad}") from bad
        stack.disable_rollback = self._on_failure() == "DO_NOTHING"
        return stack

    def update_stack(self) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        progress = PROGRESS[stack.stack_id]
        token = self._get_param("ClientRequestToken")
        if token and token == progress.token and stack.status.startswith("UPDATE"):
            return ActionResult({"StackId": stack.stack_id})
        change = self.change_of(stack)
        changed = change.check(stack, self._get_param("Capabilities", []))
        check_changeable(stack)
        if not changed:
            raise templates.validation_error("No updates are to be performed.")
        start(progress, change, token)
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self) -> ActionResult:
        """Also of a stack that is being created: the creation stops. No stack: nothing to do."""
        backend, wanted = self.cloudformation_backend, self._get_param("StackName")
        stack = backend.stacks.get(wanted) or named(backend, wanted)
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return EmptyResult()
        if stack.enable_termination_protection:
            raise templates.validation_error(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        progress = PROGRESS[stack.stack_id]
        progress.token = self._get_param("ClientRequestToken")
        for export in stack.exports:
            backend.exports.pop(export.name, None)
        hide_outputs(stack)
        progress.say("DELETE_IN_PROGRESS", "User Initiated")
        retain = set(self._get_param("RetainResources", []))
        run(progress, lambda worker: worker.delete(retain))
        return EmptyResult()

    def validate_template(self) -> ActionResult:
        """The checks of CreateStack, without cfn-lint, which moto would need for it."""
        body = self.template_body()
        template = templates.parsed(body)
        templates.check(template, body, ["CAPABILITY_NAMED_IAM"])
        parameters = [
            {"ParameterKey": name, "DefaultValue": given.get("Default"), "NoEcho": False}
            for name, given in (template.get("Parameters") or {}).items()
        ]
        needed = templates.needed_capability(template["Resources"])
        answer = {"Parameters": parameters, "Description": template.get("Description")}
        return ActionResult(answer | {"Capabilities": [needed] if needed else []})

    def update_termination_protection(self) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        on = self._get_bool_param("EnableTerminationProtection")
        stack.enable_termination_protection = bool(on)
        return ActionResult({"StackId": stack.stack_id})

    def describe_stack_resources(self) -> ActionResult:
        wanted = self._get_param("LogicalResourceId")
        stack, rows = self._rows(self._get_param("StackName"))
        shown = [row_view(stack, r) for r in rows if wanted in (None, r.logical_id)]
        return ActionResult({"StackResources": shown})

    def describe_stack_resource(self) -> ActionResult:
        name, wanted = self._get_param("StackName"), self._get_param("LogicalResourceId")
        stack, rows = self._rows(name)
        for row in rows:
            if row.logical_id == wanted:
                return ActionResult({"StackResourceDetail": row_view(stack, row)})
        text = f"Resource {wanted} does not exist for stack {name}"
        raise templates.validation_error(text)

    def list_stack_resources(self) -> ActionResult:
        stack, rows = self._rows(self._get_param("StackName"))
        shown = [row_view(stack, row) for row in rows]
        return ActionResult({"StackResourceSummaries": shown})

    def _rows(self, name: str) -> tuple[Stack, list[Row]]:
        stack = self.cloudformation_backend.get_stack(name)
        progress = PROGRESS.get(stack.stack_id)
        return stack, list(progress.rows.values()) if progress else []


def row_view(stack: Stack, row: Row) -> dict[str, Any]:
    """As the three resource operations show it."""
    return {
        "StackName": stack.name,
        "StackId": stack.stack_id,
        "LogicalResourceId": row.logical_id,
        "PhysicalResourceId": row.physical_id,
        "ResourceType": row.type,
        "Timestamp": row.changed,
        "LastUpdatedTimestamp": row.changed,
        "ResourceStatus": row.status,
        "ResourceStatusReason": row.reason,
    }


def install() -> None:
    """Route CloudFormation to the operations above."""
    urls.url_paths["{0}/$"] = StackCalls.dispatch


def reset() -> None:
    PROGRESS.clear()
    forget_all()
