//! What AWS answers about things in a network, and wires that answer that nothing is left.

use std::fmt::Write as _;

use crate::aws::fake::Wire;

pub(in crate::aws) fn tag_set(tags: &[(&str, &str)]) -> String {
    let item = |(k, v): &(&str, &str)| format!("<item><key>{k}</key><value>{v}</value></item>");
    format!("<tagSet>{}</tagSet>", tags.iter().map(item).collect::<String>())
}

pub(super) fn interface(id: &str, description: &str, status: &str, rest: &str) -> String {
    format!(
        "<item><networkInterfaceId>{id}</networkInterfaceId><description>{description}</description>\
         <status>{status}</status><requesterManaged>false</requesterManaged>{rest}</item>"
    )
}

pub(super) fn interfaces(items: &[String]) -> String {
    format!(
        "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
         <networkInterfaceSet>{}</networkInterfaceSet></DescribeNetworkInterfacesResponse>",
        items.concat()
    )
}

/// A group; its inbound rules name `named`.
pub(super) fn group(id: &str, name: &str, named: &[&str], tags: &[(&str, &str)]) -> String {
    let pair = |id: &&str| format!("<item><userId>1</userId><groupId>{id}</groupId></item>");
    let pairs: String = named.iter().map(pair).collect();
    format!(
        "<item><groupId>{id}</groupId><groupName>{name}</groupName><ipPermissions><item><ipProtocol>-1</ipProtocol>\
         <groups>{pairs}</groups><ipRanges/></item></ipPermissions><ipPermissionsEgress/>{}</item>",
        tag_set(tags)
    )
}

pub(in crate::aws) fn groups(items: &[String]) -> String {
    format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo>{}</securityGroupInfo></DescribeSecurityGroupsResponse>",
        items.concat()
    )
}

pub(in crate::aws) fn volumes(items: &[String]) -> String {
    format!(
        "<DescribeVolumesResponse><volumeSet>{}</volumeSet></DescribeVolumesResponse>",
        items.concat()
    )
}

pub(in crate::aws) fn volume(id: &str, status: &str, created: &str, tags: &[(&str, &str)]) -> String {
    format!(
        "<item><volumeId>{id}</volumeId><status>{status}</status><createTime>{created}</createTime>{}</item>",
        tag_set(tags)
    )
}

pub(super) fn balancers(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            "<member><LoadBalancerArn>arn:x:loadbalancer/net/{name}/1</LoadBalancerArn>\
             <LoadBalancerName>{name}</LoadBalancerName><VpcId>vpc-1</VpcId></member>"
        )
    };
    format!(
        "<DescribeLoadBalancersResponse><DescribeLoadBalancersResult><LoadBalancers>{}</LoadBalancers></DescribeLoadBalancersResult></DescribeLoadBalancersResponse>",
        names.iter().map(one).collect::<String>()
    )
}

pub(super) fn target_groups(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            "<member><TargetGroupArn>arn:x:targetgroup/{name}/1</TargetGroupArn>\
             <TargetGroupName>{name}</TargetGroupName><VpcId>vpc-1</VpcId></member>"
        )
    };
    format!(
        "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups>{}</TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>",
        names.iter().map(one).collect::<String>()
    )
}

/// The same tag on load balancers and target groups of these names.
pub(super) fn balancer_tags(names: &[&str], key: &str, value: &str) -> String {
    let kinds = ["loadbalancer/net", "targetgroup"];
    let tags = format!("<Tags><member><Key>{key}</Key><Value>{value}</Value></member></Tags>");
    let mut all = String::new();
    for (name, kind) in names.iter().flat_map(|name| kinds.map(|kind| (name, kind))) {
        let _ = write!(
            all,
            "<member><ResourceArn>arn:x:{kind}/{name}/1</ResourceArn>{tags}</member>"
        );
    }
    format!(
        "<DescribeTagsResponse><DescribeTagsResult><TagDescriptions>{all}</TagDescriptions></DescribeTagsResult></DescribeTagsResponse>"
    )
}

/// An error as EC2 gives it.
pub(in crate::aws) fn ec2_error(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors>\
         <RequestID>r</RequestID></Response>"
    )
}

/// Lists that are empty at last, so that a sweep can end: prepare what is there before.
pub(in crate::aws) trait Empty {
    /// Answers to every list: nothing.
    fn nothing_left(self) -> Self;

    /// The same but for security groups, which stay as they were prepared.
    fn nothing_else_left(self) -> Self;

    /// The same but for volumes, which stay as they were prepared.
    fn nothing_in_the_network(self) -> Self;
}

impl Empty for Wire {
    fn nothing_left(self) -> Self {
        self.on("DescribeSecurityGroups", 200, groups(&[])).nothing_else_left()
    }

    fn nothing_else_left(self) -> Self {
        self.on("DescribeVolumes", 200, volumes(&[])).no_others()
    }

    fn nothing_in_the_network(self) -> Self {
        self.on("DescribeSecurityGroups", 200, groups(&[])).no_others()
    }
}

trait NoOthers {
    /// Neither load balancers and target groups nor interfaces.
    fn no_others(self) -> Self;
}

impl NoOthers for Wire {
    fn no_others(self) -> Self {
        self.on("DescribeLoadBalancers", 200, balancers(&[]))
            .on("DescribeTargetGroups", 200, target_groups(&[]))
            .on("DescribeNetworkInterfaces", 200, interfaces(&[]))
    }
}
