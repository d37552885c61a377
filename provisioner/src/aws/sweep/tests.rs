mod answers;
mod whose;

use super::*;
use crate::aws::fake::{Wire, demo};
use crate::report::Silent;
use answers::{balancer_tags, balancers, group, interface, interfaces, target_groups};

pub(in crate::aws) use answers::{Empty, ec2_error, groups, tag_set, volume, volumes};

/// The cluster was ours, its VPC is `vpc-1`, its foundation also made `sg-stack` and `nat-1`.
pub(super) fn scope() -> Scope {
    Scope {
        cluster: "demo".to_owned(),
        stack: demo(),
        whose: Whose::Ours,
        lent: None,
        network: Some(Network {
            vpc_id: Some("vpc-1".to_owned()),
            resources: ["vpc-1", "sg-stack", "nat-1"].map(str::to_owned).into(),
            created_at: None,
        }),
        since: Some("2026-11-01T00:00:00Z".parse().expect("a time")),
        data: Data::default(),
    }
}

const OURS: (&str, &str) = ("kubernetes.io/cluster/demo", "owned");
const DONE: &str = "<Response><return>true</return></Response>";

fn changes(wire: &Wire) -> Vec<String> {
    let calls = wire.calls().into_iter();
    calls.filter(|call| !call.starts_with("Describe")).collect()
}

fn names(list: &[Leftover]) -> Vec<&str> {
    list.iter().map(|one| one.name.as_str()).collect()
}

#[tokio::test]
async fn an_empty_network_needs_no_change() {
    let wire = Wire::default().nothing_left();
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("swept");
    assert_eq!(swept, Swept::default());
    assert_eq!(changes(&wire), Vec::<String>::new());
}

#[tokio::test]
async fn each_kind_that_bears_the_clusters_mark_goes() {
    let wire = Wire::default()
        .on("DescribeLoadBalancers", 200, balancers(&["k8s-web"]))
        .on("DescribeTargetGroups", 200, target_groups(&["k8s-tg"]))
        .on(
            "DescribeTags",
            200,
            balancer_tags(&["k8s-web", "k8s-tg"], "eks:eks-cluster-name", "demo"),
        )
        .on(
            "DescribeNetworkInterfaces",
            200,
            interfaces(&[
                interface("eni-1", "aws-K8S-i-1", "available", ""),
                interface("eni-2", "Amazon EKS demo", "available", ""),
            ]),
        )
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[group("sg-1", "eks-cluster-sg-demo-1", &[], &[])]),
        )
        .on(
            "DescribeVolumes",
            200,
            volumes(&[volume("vol-1", "available", "2026-11-02T00:00:00.000Z", &[OURS])]),
        )
        .nothing_left()
        .on("DeleteLoadBalancer", 200, "<DeleteLoadBalancerResponse/>")
        .on("DeleteTargetGroup", 200, "<DeleteTargetGroupResponse/>")
        .on("DeleteNetworkInterface", 200, DONE)
        .on("DeleteSecurityGroup", 200, DONE)
        .on("DeleteVolume", 200, DONE);
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("swept");
    assert_eq!(
        names(&swept.deleted),
        [
            "k8s-web",
            "k8s-tg",
            "eni-1 (aws-K8S-i-1)",
            "eni-2 (Amazon EKS demo)",
            "sg-1 (eks-cluster-sg-demo-1)",
            "vol-1"
        ]
    );
    assert!(swept.left.is_empty() && swept.foreign.is_empty());
    assert_eq!(
        changes(&wire),
        [
            "DeleteLoadBalancer",
            "DeleteTargetGroup",
            "DeleteNetworkInterface",
            "DeleteNetworkInterface",
            "DeleteSecurityGroup",
            "DeleteVolume"
        ]
    );
}

#[tokio::test]
async fn what_others_made_is_named_and_never_touched() {
    let instance = "<attachment><instanceId>i-9</instanceId></attachment>";
    let wire = Wire::default()
        .on("DescribeTargetGroups", 200, target_groups(&[]))
        .on("DescribeLoadBalancers", 200, balancers(&["theirs"]))
        .on("DescribeTags", 200, balancer_tags(&["theirs"], "Owner", "alice"))
        .on(
            "DescribeNetworkInterfaces",
            200,
            interfaces(&[
                interface("eni-lb", "ELB net/theirs/1", "in-use", ""),
                interface("eni-vm", "", "in-use", instance),
                interface("eni-eks", "Amazon EKS other", "in-use", ""),
                interface("eni-clb", "ELB old", "in-use", ""),
                interface("eni-nat", "Interface for NAT Gateway nat-1", "in-use", ""),
            ]),
        )
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[
                group("sg-d", "default", &[], &[]),
                group("sg-stack", "whatever", &[], &[]),
                group("sg-x", "their-group", &[], &[("Owner", "bob")]),
            ]),
        )
        .on(
            "DescribeVolumes",
            200,
            volumes(&[
                volume("vol-old", "available", "2026-10-01T00:00:00.000Z", &[OURS]),
                volume(
                    "vol-other",
                    "available",
                    "2026-11-02T00:00:00.000Z",
                    &[("eks:eks-cluster-name", "other")],
                ),
            ]),
        );
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("swept");
    assert_eq!(changes(&wire), Vec::<String>::new());
    let told: Vec<String> = swept
        .foreign
        .iter()
        .map(|one| match &one.owner {
            Owner::Foreign(why) => format!("{one}: {why}"),
            other => format!("{one}: {other:?}"),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    load balancer `theirs`: nothing marks it as of cluster `demo`; tags: Owner=alice
    network interface `eni-vm`: nothing marks it as of cluster `demo`; it has no tags; attached to instance i-9
    network interface `eni-eks (Amazon EKS other)`: it is of cluster `other`; it has no tags
    network interface `eni-clb (ELB old)`: it is of classic load balancer `old`, which is not looked after here; it has no tags
    security group `sg-x (their-group)`: nothing marks it as of cluster `demo`; tags: Owner=bob
    volume `vol-old`: it is older than this stack; tags: kubernetes.io/cluster/demo=owned
    ");
    assert_eq!(swept.blockers().count(), 5, "a volume keeps no network from going");
}

#[tokio::test]
async fn groups_that_name_each_other_lose_those_rules_first() {
    let rules = |id: &str, named: &str| {
        format!(
            "<DescribeSecurityGroupRulesResponse><securityGroupRuleSet><item><securityGroupRuleId>sgr-{id}</securityGroupRuleId><isEgress>false</isEgress>\
             <referencedGroupInfo><groupId>{named}</groupId></referencedGroupInfo></item>\
             <item><securityGroupRuleId>sgr-open</securityGroupRuleId><isEgress>true</isEgress>\
             <cidrIpv4>0.0.0.0/0</cidrIpv4></item></securityGroupRuleSet></DescribeSecurityGroupRulesResponse>"
        )
    };
    let pair = |tags: &[(&str, &str)]| {
        groups(&[
            group("sg-a", "k8s-a", &["sg-b", "sg-a"], tags),
            group("sg-b", "k8s-b", &["sg-a"], tags),
        ])
    };
    let wire = Wire::default()
        .on("DescribeSecurityGroups", 200, pair(&[OURS]))
        .nothing_left()
        .on("DescribeSecurityGroupRules", 200, rules("a", "sg-b"))
        .on("DescribeSecurityGroupRules", 200, rules("b", "sg-a"))
        .on("RevokeSecurityGroupIngress", 200, DONE)
        .on("DeleteSecurityGroup", 200, DONE);
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("swept");
    assert_eq!(swept.deleted.len(), 2);
    assert_eq!(
        changes(&wire),
        [
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupIngress",
            "DeleteSecurityGroup",
            "DeleteSecurityGroup"
        ]
    );
    let revoked = wire.body("RevokeSecurityGroupIngress");
    assert!(
        revoked.ends_with("&GroupId=sg-a&SecurityGroupRuleId.1=sgr-a"),
        "{revoked}"
    );
}

#[tokio::test]
async fn what_is_in_use_is_tried_again() {
    let one = || groups(&[group("sg-1", "eks-cluster-sg-demo-1", &[], &[])]);
    let wire = Wire::default()
        .on("DescribeSecurityGroups", 200, one())
        .on("DescribeSecurityGroups", 200, one())
        .nothing_left()
        .on("DeleteSecurityGroup", 400, ec2_error("DependencyViolation"))
        .on("DeleteSecurityGroup", 200, DONE);
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("swept");
    assert_eq!(names(&swept.deleted), ["sg-1 (eks-cluster-sg-demo-1)"]);
}

#[tokio::test]
async fn what_does_not_go_in_time_is_left_with_its_reason() {
    let wire = Wire::default()
        .on(
            "DescribeVolumes",
            200,
            volumes(&[volume("vol-1", "in-use", "2026-11-02T00:00:00.000Z", &[OURS])]),
        )
        .nothing_in_the_network();
    let aws = Aws {
        timeout: std::time::Duration::from_millis(20),
        ..wire.aws()
    };
    let swept = clear(&aws, &scope(), &Silent).await.expect("given up");
    let left: Vec<String> = swept.left.iter().map(|(one, why)| format!("{one}: {why}")).collect();
    assert_eq!(left, ["volume `vol-1`: in-use"]);
}

#[tokio::test]
async fn a_group_that_others_use_is_not_waited_for() {
    let used = "<groupSet><item><groupId>sg-1</groupId></item><item><groupId>sg-x</groupId></item></groupSet>";
    let wire = Wire::default()
        .on(
            "DescribeNetworkInterfaces",
            200,
            interfaces(&[interface("eni-9", "theirs", "in-use", used)]),
        )
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[group("sg-1", "eks-cluster-sg-demo-1", &[], &[])]),
        )
        .on("DescribeVolumes", 200, volumes(&[]))
        .on("DescribeLoadBalancers", 200, balancers(&[]))
        .on("DescribeTargetGroups", 200, target_groups(&[]));
    let swept = clear(&wire.aws(), &scope(), &Silent).await.expect("told");
    let left: Vec<String> = swept.left.iter().map(|(one, why)| format!("{one}: {why}")).collect();
    assert_eq!(
        left,
        [
            "security group `sg-1 (eks-cluster-sg-demo-1)`: network interface `eni-9 (theirs)`, which is not the stack's, uses it"
        ]
    );
    assert_eq!(changes(&wire), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_network_only_what_bears_the_clusters_tags_is_looked_for() {
    let wire = Wire::default().nothing_left();
    let scope = Scope {
        network: None,
        ..scope()
    };
    clear(&wire.aws(), &scope, &Silent).await.expect("swept");
    assert_eq!(wire.calls(), ["DescribeSecurityGroups", "DescribeVolumes"]);
}

#[tokio::test]
async fn a_refused_call_names_the_right_that_is_missing() {
    let wire = Wire::default().on("DescribeSecurityGroups", 200, groups(&[])).on(
        "DescribeVolumes",
        403,
        ec2_error("UnauthorizedOperation"),
    );
    let scope = Scope {
        network: None,
        ..scope()
    };
    let error = clear(&wire.aws(), &scope, &Silent).await.expect_err("refused");
    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    assert!(error.hint().is_some_and(|hint| hint.contains("ec2:DescribeVolumes")));
}

#[tokio::test]
async fn a_load_balancer_that_is_older_than_the_stack_stays_and_tags_are_asked_for_together() {
    let old = "<CreatedTime>2026-10-01T00:00:00Z</CreatedTime><VpcId>vpc-1</VpcId>";
    let listed = balancers(&["old", "other"]).replacen("<VpcId>vpc-1</VpcId>", old, 1);
    let wire = Wire::default()
        .on("DescribeLoadBalancers", 200, listed)
        .on(
            "DescribeTags",
            200,
            balancer_tags(&["old", "other"], "eks:eks-cluster-name", "demo"),
        )
        .nothing_left();
    let found = find(&wire.aws(), &scope()).await.expect("found");
    let owners: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.foreign())).collect();
    let why = found[0].foreign().expect("it stays");
    assert!(why.starts_with("it is older than this stack"), "{why}");
    assert_eq!(owners[1], ("other", None));
    let asked = wire.calls().into_iter().filter(|call| call == "DescribeTags").count();
    assert_eq!(asked, 1);
}
