//! What is not simply the cluster's: in others' networks, of clusters that nobody remembers, people's data.

use super::answers::{balancer_tags, balancers, group, interface, interfaces};
use super::*;

fn told(list: &[Leftover]) -> Vec<String> {
    let one = |one: &Leftover| match &one.owner {
        Owner::Foreign(why) => format!("{one}: {why}"),
        other => format!("{one}: {other:?}"),
    };
    list.iter().map(one).collect()
}

#[tokio::test]
async fn in_a_network_that_was_brought_along_only_what_bears_the_clusters_tags_goes() {
    let node = "<groupSet><item><groupId>sg-9</groupId></item></groupSet>";
    let wire = Wire::default()
        .on("DescribeLoadBalancers", 200, balancers(&["theirs"]))
        .on("DescribeTags", 200, balancer_tags(&["theirs"], "Owner", "alice"))
        .on(
            "DescribeNetworkInterfaces",
            200,
            interfaces(&[
                interface("eni-1", "aws-K8S-i-1", "available", node),
                interface("eni-2", "ELB app/gone/1", "available", node),
            ]),
        )
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[
                group("sg-d", "default", &["sg-1"], &[]),
                group("sg-9", "theirs", &[], &[]),
                group("sg-1", "k8s-traffic", &[], &[OURS]),
                group("sg-2", "k8s-web", &[], &[OURS]),
            ]),
        )
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[
                group("sg-d", "default", &["sg-1"], &[]),
                group("sg-1", "k8s-traffic", &[], &[OURS]),
            ]),
        )
        .nothing_left()
        .on("DeleteSecurityGroup", 200, DONE);
    let scope = Scope {
        network: None,
        lent: Some("vpc-1".to_owned()),
        ..scope()
    };
    let swept = clear(&wire.aws(), &scope, &Silent).await.expect("swept");
    assert_eq!(names(&swept.deleted), ["sg-2 (k8s-web)"]);
    assert_eq!(told(&swept.foreign), Vec::<String>::new());
    let left: Vec<String> = swept.left.iter().map(|(one, why)| format!("{one}: {why}")).collect();
    assert_eq!(
        left,
        ["security group `sg-1 (k8s-traffic)`: security group `sg-d (default)`, which is not the stack's, uses it"]
    );
    assert_eq!(
        changes(&wire),
        ["DeleteSecurityGroup"],
        "rules of theirs are left alone"
    );
}

#[tokio::test]
async fn what_bears_the_tags_of_a_cluster_that_nobody_remembers_is_named_and_stays() {
    let made = "2026-11-02T00:00:00.000Z";
    let other = ("kubernetes.io/cluster/other", "owned");
    let wire = Wire::default()
        .on(
            "DescribeSecurityGroups",
            200,
            groups(&[group("sg-1", "k8s", &[], &[OURS]), group("sg-2", "k8s", &[], &[other])]),
        )
        .on(
            "DescribeVolumes",
            200,
            volumes(&[
                volume("vol-1", "available", made, &[OURS]),
                volume("vol-2", "available", made, &[other]),
            ]),
        );
    let scope = Scope {
        whose: Whose::Unknown,
        network: None,
        since: None,
        ..scope()
    };
    let swept = clear(&wire.aws(), &scope, &Silent).await.expect("told");
    insta::assert_snapshot!(told(&swept.foreign).join("\n"), @r"
    security group `sg-1 (k8s)`: it belongs to cluster `demo`, which is gone, and nothing tells whether this stack created it; tags: kubernetes.io/cluster/demo=owned
    volume `vol-1`: it belongs to cluster `demo`, which is gone, and nothing tells whether this stack created it; tags: kubernetes.io/cluster/demo=owned
    ");
    assert_eq!(changes(&wire), Vec::<String>::new());
    let deletion = swept.foreign[0].deletion("eu-west-1");
    assert_eq!(
        deletion,
        "aws ec2 delete-security-group --group-id sg-1 --region eu-west-1"
    );
}

#[tokio::test]
async fn data_that_somebody_keeps_or_claims_stays_and_blocks_nothing() {
    let claim = ("kubernetes.io/created-for/pvc/name", "data");
    let made = "2026-11-02T00:00:00.000Z";
    let all = [
        volume("vol-kept", "available", made, &[OURS]),
        volume("vol-claim", "available", made, &[OURS, claim]),
    ];
    let wire = Wire::default()
        .on("DescribeVolumes", 200, volumes(&all))
        .nothing_in_the_network();
    let mut scope = scope();
    scope.data.kept = ["vol-kept".to_owned()].into();
    let swept = clear(&wire.aws(), &scope, &Silent).await.expect("told");
    assert_eq!(changes(&wire), Vec::<String>::new());
    insta::assert_snapshot!(told(&swept.foreign).join("\n"), @r"
    volume `vol-kept`: the reclaim policy of its PersistentVolume, `Retain`, keeps it
    volume `vol-claim`: it holds the data of a volume claim
    ");
    assert_eq!(swept.blockers().count(), 0);
    // Where claims go too, what its policy keeps does not.
    scope.data.released = ["vol-kept".to_owned(), "vol-claim".to_owned()].into();
    let found = find(&wire.aws(), &scope).await.expect("found");
    let ours: Vec<bool> = found.iter().map(|one| one.owner == Owner::Ours).collect();
    assert_eq!(ours, [false, true]);
}
