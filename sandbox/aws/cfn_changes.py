"""CloudFormation change sets of existing stacks: what an update would do, without doing it.

Modelled: CREATE_COMPLETE with one change per resource, or FAILED where nothing would change;
Replacement by the properties in `REPLACING`; changed stack tags reach every resource that carries
tags; an executed change set takes the others of its stack along. Assumptions: a change set is
computed at once; those that would create a stack are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from moto.cloudformation.models import Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

import cfn_template as templates
from cfn_progress import PROGRESS
from cfn_update import Change, check_changeable, start
from eks_store import new_id
from errors import Refusal
from state import PARTITION

# Properties that cannot be changed in place, from the resource reference; types that are missing
# are taken to be replaced by any change but that of their tags.
REPLACING = {
    "AWS::EC2::VPC": {"CidrBlock", "InstanceTenancy"},
    "AWS::EC2::Subnet": {"VpcId", "CidrBlock", "AvailabilityZone"},
    "AWS::EC2::InternetGateway": set(),
    "AWS::EC2::RouteTable": {"VpcId"},
    "AWS::EC2::NatGateway": {"SubnetId", "AllocationId", "ConnectivityType"},
    "AWS::EC2::EIP": {"Domain", "InstanceId"},
    "AWS::IAM::Role": {"RoleName", "Path"},
}
NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a "
    "change set."
)


@dataclass
class ChangeSet:
    """A change set that was computed."""

    name: str
    stack: Stack
    change: Change
    changes: list[dict[str, Any]]
    token: str | None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        place = f"{self.stack.region_name}:{self.stack.account_id}"
        self.id = f"arn:{PARTITION}:cloudformation:{place}:changeSet/{self.name}/{new_id()}"
        self.created = utcnow()

    def view(self) -> dict[str, Any]:
        """As DescribeChangeSet shows it."""
        failed = {} if self.changes else {"StatusReason": NO_CHANGES}
        return {
            "ChangeSetName": self.name,
            "ChangeSetId": self.id,
            "StackId": self.stack.stack_id,
            "StackName": self.stack.name,
            "CreationTime": self.created,
            "Parameters": self.change.parameters,  # moto makes the list of it
            "Status": "CREATE_COMPLETE" if self.changes else "FAILED",
            "ExecutionStatus": "AVAILABLE" if self.changes else "UNAVAILABLE",
            "Changes": self.changes,
            **failed,
        }


SETS: dict[tuple[str, str], ChangeSet] = {}


class ChangeSetCalls(CloudFormationResponse):
    """Create, describe, execute and delete change sets."""

    # moto would look for its own kind of change
    RESPONSE_KEY_PATH_TO_TRANSFORMER: ClassVar[dict[str, Any]] = {
        path: transform
        for path, transform in CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
        if path != "DescribeChangeSetOutput.Changes"
    }

    def template_body(self) -> str:
        url = self._get_param("TemplateURL")
        return self._get_stack_from_s3_url(url) if url else self._get_param("TemplateBody") or ""

    def change_of(self, stack: Stack) -> Change:
        """What the request wants of a stack."""
        previous = self._get_bool_param("UsePreviousTemplate")
        given = self._get_param("Parameters", [])
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])}
        return Change(
            stack.template if previous else self.template_body(),
            self._get_param_values(given, stack.stack_parameters),
            tags or None,
        )

    def create_change_set(self) -> ActionResult:
        if self._get_param("ChangeSetType") != "UPDATE":
            raise NotImplementedError
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        name, token = self._get_param("ChangeSetName"), self._get_param("ClientToken")
        if existing := SETS.get((stack.stack_id, name)):
            if token and token == existing.token:
                return ActionResult({"Id": existing.id, "StackId": stack.stack_id})
            raise Refusal("AlreadyExistsException", f"ChangeSet {name} already exists", 400)
        check_changeable(stack)
        change = self.change_of(stack)
        change.check(stack, self._get_param("Capabilities", []))
        made = ChangeSet(name, stack, change, difference(stack, change), token)
        SETS[stack.stack_id, name] = made
        return ActionResult({"Id": made.id, "StackId": stack.stack_id})

    def describe_change_set(self) -> ActionResult:
        return ActionResult(self._change_set().view())

    def execute_change_set(self) -> ActionResult:
        wanted = self._change_set()
        if not wanted.changes:
            text = f"ChangeSet [{wanted.id}] cannot be executed in its current status of [FAILED]"
            raise Refusal("InvalidChangeSetStatus", text, 400)
        check_changeable(wanted.stack)
        progress = PROGRESS[wanted.stack.stack_id]
        start(progress, wanted.change, self._get_param("ClientRequestToken"))
        for key in [key for key in SETS if key[0] == wanted.stack.stack_id]:
            del SETS[key]
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        """Also of one that does not exist, as on AWS."""
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        SETS.pop((stack.stack_id, self._get_param("ChangeSetName")), None)
        return EmptyResult()

    def _change_set(self) -> ChangeSet:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        name = self._get_param("ChangeSetName")
        found = SETS.get((stack.stack_id, name))
        if found is None:
            raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)
        return found


def difference(stack: Stack, change: Change) -> list[dict[str, Any]]:
    """One change per resource that differs."""
    old = templates.parsed(stack.template)["Resources"]
    new = templates.parsed(change.body)["Resources"]
    retagged = change.tags is not None and change.tags != stack.tags
    made = PROGRESS[stack.stack_id].rows
    changes = [shown("Add", name, new[name]) for name in new if name not in old]
    changes += [
        shown("Remove", name, old[name]) for name in old if name not in new and name in made
    ]
    for name in (name for name in new if name in old and name in made):
        if old[name] != new[name]:
            replaced = replaces(old[name], new[name])
            changes.append(shown("Modify", name, new[name], replaced))
        elif retagged and new[name]["Type"] in REPLACING:
            changes.append(shown("Modify", name, new[name], replaced=False))
    return changes


def replaces(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the change of a resource means another one in its place."""
    if old["Type"] != new["Type"]:
        return True
    before, after = old.get("Properties") or {}, new.get("Properties") or {}
    differing = {key for key in {*before, *after} if before.get(key) != after.get(key)} - {"Tags"}
    fixed = REPLACING.get(new["Type"])
    return bool(differing if fixed is None else differing & fixed)


def shown(
    action: str, name: str, definition: dict[str, Any], replaced: bool | None = None
) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": definition["Type"]}
    if replaced is not None:
        change["Replacement"] = str(replaced)
    return {"Type": "Resource", "ResourceChange": change}


def forget_all() -> None:
    SETS.clear()
