"""Making and deleting single resources of a stack: what moto forgets.

Modelled: ManagedPolicyArns and inline policies of roles, associations of subnets with route tables,
stack tags on resources, deletion of every type in `DELETERS` through the service's own rules (a VPC
with something in it does not go).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import Stack
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.subnets import SubnetRouteTableAssociation
from moto.iam.models import IAMBackend, Role, iam_backends

import ecr
from state import PARTITION


def install() -> None:
    """Let moto's stack updates use the deletions and role updates from here too."""

    def delete_for_update(self: Any, resource: Any, definition: dict[str, Any]) -> None:
        delete(resource, definition, self._account_id, self._region_name)

    parsing.ResourceMap._delete_resource = delete_for_update
    update = parsing.parse_and_update_resource

    def updated(logical_id: str, definition: Any, resources: Any, **where: str) -> Any:
        # moto answers None for types that it cannot update, and would then forget the resource
        resource = update(logical_id, definition, resources, **where) or resources[logical_id]
        if isinstance(resource, Role):
            properties = parsing.clean_json(definition.get("Properties") or {}, resources)
            complete_role(resource, properties, iam_backends[where["account_id"]][PARTITION])
        return resource

    parsing.parse_and_update_resource = updated


def create(stack: Stack, logical_id: str) -> Any:
    """Make one resource; moto's map makes it when it is first read. None for a false condition."""
    resource = stack.resource_map[logical_id]
    tags = {**stack.tags, "aws:cloudformation:stack-name": stack.name}
    tags["aws:cloudformation:stack-id"] = stack.stack_id
    tags["aws:cloudformation:logical-id"] = logical_id
    if isinstance(resource, TaggedEC2Resource):
        ec2 = ec2_backends[stack.account_id][stack.region_name]
        ec2.create_tags([resource.physical_resource_id], tags)
    elif isinstance(resource, SubnetRouteTableAssociation):
        ec2 = ec2_backends[stack.account_id][stack.region_name]
        ec2.associate_route_table(resource.route_table_id, subnet_id=resource.subnet_id)
    elif isinstance(resource, Role):
        definition = stack.template_dict["Resources"][logical_id]
        properties = parsing.clean_json(definition.get("Properties") or {}, stack.resource_map)
        iam = iam_backends[stack.account_id][PARTITION]
        complete_role(resource, properties, iam)
        iam.tag_role(resource.name, [{"Key": k, "Value": v} for k, v in tags.items()])
    return resource


def complete_role(role: Role, properties: dict[str, Any], iam: IAMBackend) -> None:
    """Bring attached and inline policies to what the template says."""
    wanted = list(properties.get("ManagedPolicyArns") or [])
    for arn in [arn for arn in role.managed_policies if arn not in wanted]:
        iam.detach_role_policy(arn, role.name)
    for arn in wanted:
        iam.attach_role_policy(arn, role.name)
    role.policies.clear()
    for policy in properties.get("Policies") or []:
        document = policy["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document, default=str)
        role.put_policy(policy["PolicyName"], text)


def delete(resource: Any, definition: dict[str, Any], account: str, region: str) -> None:
    """Delete one resource; raises what the service refuses with. Gone already is fine."""
    kind = definition["Type"]
    if kind in EC2_DELETERS:
        EC2_DELETERS[kind](ec2_backends[account][region], resource)
    elif kind in IAM_DELETERS:
        IAM_DELETERS[kind](iam_backends[account][PARTITION], resource)
    elif kind == "AWS::ECR::Repository":
        properties = definition.get("Properties") or {}
        empty = str(properties.get("EmptyOnDelete")).lower() == "true"
        ecr.delete_repository(account, region, resource.name, force=empty)
    elif hasattr(resource, "delete"):
        resource.delete(account, region)
    else:
        name = getattr(resource, "physical_resource_id", None)
        parsing.parse_and_delete_resource(name, definition, account, region)


def delete_route_table(ec2: EC2Backend, table: Any) -> None:
    if table.id in ec2.route_tables:
        ec2.delete_route_table(table.id)


def delete_route(ec2: EC2Backend, route: Any) -> None:
    route.route_table._routes.pop(route.id, None)


def delete_association(ec2: EC2Backend, association: Any) -> None:
    table = ec2.route_tables.get(association.route_table_id)
    for number, subnet_id in list(table._associations.items() if table else []):
        if subnet_id == association.subnet_id:
            ec2.disassociate_route_table(number)


def delete_internet_gateway(ec2: EC2Backend, gateway: Any) -> None:
    if gateway.id in ec2.internet_gateways:
        ec2.delete_internet_gateway(gateway.id)


def detach(ec2: EC2Backend, attachment: Any) -> None:
    gateway = ec2.internet_gateways.get(attachment.gateway_id)
    if gateway and gateway.vpc:
        ec2.detach_internet_gateway(gateway.id, attachment.vpc_id)


def delete_nat_gateway(ec2: EC2Backend, gateway: Any) -> None:
    if gateway.state != "deleted":
        ec2.delete_nat_gateway(gateway.id)


def release_address(ec2: EC2Backend, address: Any) -> None:
    if address in ec2.addresses:
        ec2.release_address(allocation_id=address.allocation_id)


def delete_subnet(ec2: EC2Backend, subnet: Any) -> None:
    if any(s.id == subnet.id for s in ec2.describe_subnets()):
        ec2.delete_subnet(subnet.id)


def delete_vpc(ec2: EC2Backend, vpc: Any) -> None:
    if vpc.id in ec2.vpcs:
        ec2.delete_vpc(vpc.id)


def delete_security_group(ec2: EC2Backend, group: Any) -> None:
    if ec2.get_security_group_from_id(group.id):
        ec2.delete_security_group(group_id=group.id)


def delete_role(iam: IAMBackend, role: Role) -> None:
    """CloudFormation removes what it attached; a policy attached by others blocks the role on AWS
    (assumption: here it does not)."""
    if not any(known.name == role.name for known in iam.roles.values()):
        return
    for arn in list(role.managed_policies):
        iam.detach_role_policy(arn, role.name)
    role.policies.clear()
    iam.delete_role(role.name)


def delete_managed_policy(iam: IAMBackend, policy: Any) -> None:
    for role in iam.roles.values():
        if policy.arn in role.managed_policies:
            iam.detach_role_policy(policy.arn, role.name)
    if policy.arn in iam.managed_policies:
        iam.delete_policy(policy.arn)


EC2_DELETERS: dict[str, Callable[[EC2Backend, Any], None]] = {
    "AWS::EC2::RouteTable": delete_route_table,
    "AWS::EC2::Route": delete_route,
    "AWS::EC2::SubnetRouteTableAssociation": delete_association,
    "AWS::EC2::InternetGateway": delete_internet_gateway,
    "AWS::EC2::VPCGatewayAttachment": detach,
    "AWS::EC2::NatGateway": delete_nat_gateway,
    "AWS::EC2::EIP": release_address,
    "AWS::EC2::Subnet": delete_subnet,
    "AWS::EC2::VPC": delete_vpc,
    "AWS::EC2::SecurityGroup": delete_security_group,
}
IAM_DELETERS: dict[str, Callable[[IAMBackend, Any], None]] = {
    "AWS::IAM::Role": delete_role,
    "AWS::IAM::ManagedPolicy": delete_managed_policy,
}
