//! Quotas by their names in Service Quotas: what to raise.

/// Calls and the quota that stops them.
const BY_OPERATION: [(&str, &str); 5] = [
    ("eks:CreateCluster", "`Clusters` of Amazon EKS"),
    ("eks:CreateNodegroup", "`Managed node groups per cluster` of Amazon EKS"),
    ("ecr:CreateRepository", "`Registered repositories` of Amazon ECR"),
    ("cloudformation:CreateStack", "`Stack count` of AWS CloudFormation"),
    ("eks:CreateAccessEntry", "`Access entries per cluster` of Amazon EKS"),
];

/// Codes within the reason of a failed resource, and the quota that they mean.
const BY_CODE: [(&str, &str); 6] = [
    ("VpcLimitExceeded", "`VPCs per Region` of Amazon VPC"),
    (
        "InternetGatewayLimitExceeded",
        "`Internet gateways per Region` of Amazon VPC",
    ),
    (
        "NatGatewayLimitExceeded",
        "`NAT gateways per Availability Zone` of Amazon VPC",
    ),
    ("AddressLimitExceeded", "`EC2-VPC Elastic IPs` of Amazon EC2"),
    (
        "InstanceLimitExceeded",
        "`Running On-Demand Standard instances` of Amazon EC2",
    ),
    ("ServiceLimitExceeded", "that the reason names"),
];

fn raise(quota: &str) -> String {
    format!("the quota {quota} is used up: delete something, or raise it in Service Quotas; trying again does not help")
}

/// For a call that was refused by a quota.
pub(super) fn of_operation(operation: &str) -> String {
    let known = BY_OPERATION.iter().find(|(call, _)| *call == operation);
    raise(known.map_or("that the message names", |(_, quota)| quota))
}

/// For a resource that failed by a quota; none where the reason carries no such code.
pub(super) fn of_reason(reason: &str) -> Option<String> {
    let known = BY_CODE.iter().find(|(code, _)| reason.contains(code))?;
    Some(raise(known.1))
}
