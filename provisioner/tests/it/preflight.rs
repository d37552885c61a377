//! What is read and told before anything changes.

use crate::fake_aws::FakeAws;
use crate::run::Run;

#[test]
fn a_billable_creation_is_not_asked_for_where_nobody_can_answer() {
    let aws = FakeAws::start();
    let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --create-cluster");
    let stderr = run.aws(&aws.url).end().refused(2);
    assert!(stderr.contains("cannot ask without a terminal"), "{stderr}");
    assert!(stderr.contains("hint: give `--yes`"), "{stderr}");
    only_reads(&aws);
}

#[test]
fn what_eks_does_not_offer_ends_bootstrap_before_anything_changes() {
    for (flags, says) in [
        ("--k8s-version 1.20", "valid are 1.35 (the default)"),
        (
            "--hpa-sync-period 10s",
            "does not offer an HPA sync period on Kubernetes 1.35",
        ),
    ] {
        let aws = FakeAws::start();
        let run = Run::in_workspace(&format!(
            "bootstrap --cluster demo --region eu-west-1 --create-cluster --yes {flags}"
        ));
        let stderr = run.aws(&aws.url).end().refused(2);
        assert!(stderr.contains(says), "{stderr}");
        only_reads(&aws);
    }
}

#[test]
fn every_refused_read_is_told_at_once_before_anything_changes() {
    let denied = r#"{"__type": "AccessDeniedException", "message": "no"}"#;
    let aws = FakeAws::with(vec![
        ("GET /cluster-versions", 403, denied.to_owned()),
        ("GetAuthorizationToken", 400, denied.to_owned()),
        ("DescribeRepositories", 400, denied.to_owned()),
    ]);
    let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --create-cluster --yes");
    let stderr = run.aws(&aws.url).end().refused(2);
    for line in [
        "account 123456789012 refuses to `arn:aws:iam::123456789012:user/tester`",
        "eks:DescribeClusterVersions on *",
        "ecr:GetAuthorizationToken on *",
        "ecr:DescribeRepositories on arn:aws:ecr:eu-west-1:123456789012:repository/demo/web-app",
        "hint: attach the policy in docs/iam/bootstrap.json",
    ] {
        assert!(stderr.contains(line), "no `{line}` in: {stderr}");
    }
    only_reads(&aws);
}

#[test]
fn what_will_be_made_where_and_for_how_much_is_told_before_the_question() {
    let aws = FakeAws::start();
    let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --create-cluster");
    let stderr = run.aws(&aws.url).end().refused(2);
    insta::assert_snapshot!(stderr, @r"
    == check
       account   123456789012 as arn:aws:iam::123456789012:user/tester
       region    eu-west-1
       create    foundation `provisioner-demo` (network in a and b, roles)
       create    cluster `demo` (Kubernetes 1.35, the default; Auto Mode)
       create    add-on `metrics-server`
       create    repository `demo/web-app`
       apply     Kubernetes objects of stack `demo`
       cost      about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of 2026-08-01; those of eu-west-1 differ)
                 1 x EKS control plane         $0.1000/h
                 2 x c6a.large with Auto Mode  $0.1714/h
                 2 x public IPv4 address       $0.0100/h
                 0.05 GB in ECR                below $0.0001/h
    error: cannot ask without a terminal: create EKS cluster `demo` for about $0.28 an hour?

    hint: give `--yes` to answer with yes
    ");
    only_reads(&aws);
}

#[test]
fn a_missing_cluster_ends_bootstrap_before_anything_changes() {
    let aws = FakeAws::start();
    let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --yes");
    let stderr = run.aws(&aws.url).end().refused(2);
    assert!(stderr.contains("`demo`"), "{stderr}");
    assert!(stderr.contains("--create-cluster"), "{stderr}");
    only_reads(&aws);
}

#[test]
fn teardown_of_nothing_says_so_and_is_done() {
    let aws = FakeAws::start();
    let run = Run::of("teardown --cluster demo --region eu-west-1 --delete-cluster");
    let ended = run.aws(&aws.url).end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    assert!(ended.stdout().contains("nothing"), "{}", ended.stdout());
    only_reads(&aws);
}

#[test]
fn what_bears_the_name_of_a_cluster_that_nobody_remembers_is_named_with_the_way_to_delete_it() {
    let tags = "<tagSet><item><key>kubernetes.io/cluster/demo</key><value>owned</value></item></tagSet>";
    let aws = FakeAws::with(vec![
        (
            "DescribeSecurityGroups",
            200,
            format!(
                "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId>\
                 <groupName>k8s</groupName>{tags}</item></securityGroupInfo></DescribeSecurityGroupsResponse>"
            ),
        ),
        (
            "DescribeVolumes",
            200,
            format!(
                "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId><status>available</status>\
                 {tags}</item></volumeSet></DescribeVolumesResponse>"
            ),
        ),
        (
            "DescribeLogGroups",
            200,
            r#"{"logGroups": [{"logGroupName": "/aws/eks/demo/cluster"}]}"#.to_owned(),
        ),
    ]);
    let run = Run::of("teardown --cluster demo --region eu-west-1 --delete-cluster");
    let ended = run.aws(&aws.url).end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    assert!(
        ended.stderr().contains("load balancers and network interfaces are not"),
        "{}",
        ended.stderr()
    );
    let stdout = ended.stdout();
    insta::assert_snapshot!(stdout, @r"
    nothing of stack `demo` in region eu-west-1: nothing to remove
    kept      security group `sg-1 (k8s)`: it belongs to cluster `demo`, which is gone, and nothing tells whether this stack created it; tags: kubernetes.io/cluster/demo=owned; `aws ec2 delete-security-group --group-id sg-1 --region eu-west-1` deletes it
    kept      volume `vol-1`: it belongs to cluster `demo`, which is gone, and nothing tells whether this stack created it; tags: kubernetes.io/cluster/demo=owned; `aws ec2 delete-volume --volume-id vol-1 --region eu-west-1` deletes it
    kept      log group `/aws/eks/demo/cluster`: nothing tells whether this stack created its cluster, which is gone; `aws logs delete-log-group --log-group-name /aws/eks/demo/cluster --region eu-west-1` deletes it
    ");
    only_reads(&aws);
}

/// Nothing but questions was sent.
#[track_caller]
fn only_reads(aws: &FakeAws) {
    let asked = aws.asked();
    assert!(!asked.is_empty());
    for operation in asked {
        let reads = ["GET ", "Get", "Describe", "List"];
        assert!(reads.iter().any(|read| operation.starts_with(read)), "{operation}");
    }
}
