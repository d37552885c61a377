"""CloudFormation templates: functions, checks before anything is made, and the order of resources.

Modelled: Fn::Cidr and Fn::GetAZs (moto lacks or mistakes them); unknown resource types, unresolved
and circular dependencies, capabilities, and the size limit are refused by CreateStack itself.
Assumption: types that moto cannot also delete, nested stacks and custom resources count as unknown,
so that nothing leaks silently.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import Stack
from moto.ec2.models import ec2_backends

from errors import Refusal

Template = dict[str, Any]
NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::Policy": None,
}
MAX_BODY = 51_200
# deleted by cfn_resources, although moto's classes have no way to
DELETABLE = {
    "AWS::EC2::RouteTable",
    "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::EC2::NatGateway",
    "AWS::EC2::EIP",
    "AWS::IAM::ManagedPolicy",
}


def install() -> None:
    """Teach moto's evaluation of templates the two functions."""
    original = parsing.clean_json

    def clean_json(node: Any, resources: Any) -> Any:
        if isinstance(node, dict) and "Fn::GetAZs" in node:
            region = parsing.clean_json(node["Fn::GetAZs"], resources) or resources["AWS::Region"]
            return zones(resources._account_id, region)
        if isinstance(node, dict) and "Fn::Cidr" in node:
            block, count, *bits = (parsing.clean_json(part, resources) for part in node["Fn::Cidr"])
            return cidrs(block, int(count), int(bits[0]) if bits else 8)
        return original(node, resources)

    parsing.clean_json = clean_json


def zones(account: str, region: str) -> list[str]:
    """The availability zones of a region, in order."""
    return sorted(zone.name for zone in ec2_backends[account][region].describe_availability_zones())


def cidrs(block: str, count: int, bits: int) -> list[str]:
    """Fn::Cidr: the first `count` blocks with `bits` host bits inside `block`."""
    network = ipaddress.ip_network(block)
    parts = network.subnets(new_prefix=network.max_prefixlen - bits)
    return [str(part) for part in itertools.islice(parts, count)]


def validation_error(message: str) -> Refusal:
    return Refusal("ValidationError", message, 400)


def check(template: Template, body: str, capabilities: list[str]) -> None:
    """What CreateStack and UpdateStack refuse at once."""
    if len(body) > MAX_BODY:
        raise validation_error(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BODY}"
        )
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not resources:
        raise validation_error(
            "Template format error: At least one Resources member must be defined."
        )
    types = {r.get("Type", "") for r in resources.values()}
    if unknown := sorted(kind for kind in types if not supported(kind)):
        names = ", ".join(unknown)
        raise validation_error(f"Template format error: Unrecognized resource types: [{names}]")
    ordered(template)
    check_capabilities(resources, set(capabilities))


def supported(kind: str) -> bool:
    """Whether moto can make resources of this type and something here can delete them."""
    model = parsing.get_model_map().get(kind)
    if kind in parsing.NULL_MODELS:
        return True
    if model is None or kind == "AWS::CloudFormation::Stack":
        return False
    by_class = not hasattr(model.delete_from_cloudformation_json, "__isabstractmethod__")
    return by_class or hasattr(model, "delete") or kind in DELETABLE


def parsed(body: str) -> Template:
    """A template as moto reads it, JSON or YAML."""
    try:
        return Stack.parse_template(body)
    except Exception as bad:
        raise validation_error(f"Template format error: {bad}") from bad


def needed_capability(resources: Template) -> str | None:
    """IAM resources need CAPABILITY_IAM, those with a name of their own CAPABILITY_NAMED_IAM."""
    iam = [r for r in resources.values() if r["Type"] in NAMED]
    if any(NAMED[r["Type"]] in (r.get("Properties") or {}) for r in iam):
        return "CAPABILITY_NAMED_IAM"
    return "CAPABILITY_IAM" if iam else None


def check_capabilities(resources: Template, given: set[str]) -> None:
    needed = needed_capability(resources)
    if needed and not given & {needed, "CAPABILITY_NAMED_IAM"}:
        text = f"Requires capabilities : [{needed}]"
        raise Refusal("InsufficientCapabilitiesException", text, 400)


def references(node: Any) -> set[str]:
    """Names that Ref, Fn::GetAtt and Fn::Sub mention below `node`."""
    if isinstance(node, list):
        return set().union(*(references(item) for item in node))
    if not isinstance(node, dict):
        return set()
    found: set[str] = set()
    for key, value in node.items():
        if key == "Ref" and isinstance(value, str):
            found.add(value)
        elif key == "Fn::GetAtt":
            found.add(value.split(".")[0] if isinstance(value, str) else value[0])
        elif key == "Fn::Sub":
            text, local = (value, {}) if isinstance(value, str) else value
            names = re.findall(r"\$\{([A-Za-z0-9:]+)(?:\.[^}]*)?\}", text)
            found |= {name for name in names if name not in local} | references(local)
        else:
            found |= references(value)
    return found


def dependencies(template: Template) -> dict[str, set[str]]:
    """Per resource the resources that it needs; ValidationError for a name that nothing defines."""
    resources = template["Resources"]
    known = set(resources) | set(template.get("Parameters") or {})
    needs, missing = {}, set()
    for name, resource in resources.items():
        explicit = resource.get("DependsOn") or []
        wanted = references(resource.get("Properties") or {})
        wanted |= {explicit} if isinstance(explicit, str) else set(explicit)
        missing |= {w for w in wanted if w not in known and not w.startswith("AWS::")}
        needs[name] = wanted & set(resources)
    if missing:
        names = ", ".join(sorted(missing))
        raise validation_error(
            f"Template format error: Unresolved resource dependencies [{names}] in the Resources "
            "block of the template"
        )
    return needs


def ordered(template: Template) -> list[str]:
    """Resources such that each comes after what it needs."""
    needs, done = dependencies(template), []
    while len(done) < len(needs):
        ready = [name for name in needs if name not in done and needs[name] <= set(done)]
        if not ready:
            names = ", ".join(name for name in needs if name not in done)
            raise validation_error(f"Circular dependency between resources: [{names}]")
        done += ready
    return done
