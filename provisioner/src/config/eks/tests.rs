use super::super::{Config, Layer, Sources};

fn resolve(flags: &[(&'static str, &[&str])]) -> Result<super::Eks, Vec<String>> {
    let mut layer = Layer::default();
    for (flag, values) in flags {
        layer.flag(flag, values.iter().map(|v| (*v).to_owned()).collect());
    }
    let sources = Sources {
        flags: layer,
        folder: "/nowhere".into(),
        ..Sources::default()
    };
    Config::resolve(&sources)
        .map(|config| config.eks)
        .map_err(|problems| problems.0.into_iter().map(|problem| problem.message).collect())
}

const ROLE: &str = "arn:aws:iam::123456789012:role/eks";

#[test]
fn what_is_given_is_read_once() {
    let eks = resolve(&[
        ("compute", &["nodegroup"]),
        ("subnet-ids", &["subnet-01234567", "subnet-89abcdef", "subnet-01234567"]),
        ("node-role-arn", &[ROLE]),
        ("admin-arn", &[ROLE, "arn:aws:iam::123456789012:user/ann", ROLE]),
        ("public-access-cidr", &["203.0.113.0/24", "198.51.100.7/32"]),
        ("control-plane-logs", &["audit"]),
        ("hpa-sync-period", &["1m"]),
    ]);
    let eks = eks.expect("valid");
    assert_eq!(eks.compute, Some(super::Compute::NodeGroup));
    assert_eq!((eks.subnet_ids.len(), eks.admin_arns.len()), (2, 2));
    let json = serde_json::to_value(&eks).expect("JSON");
    assert_eq!(json["hpa_sync_period_s"], 60);
    assert_eq!(json["compute"], "nodegroup");
}

#[test]
fn every_value_that_is_not_valid_is_named() {
    let cases: &[(&'static str, &str, &str)] = &[
        (
            "compute",
            "fargate",
            "`--compute`: `fargate` is none of `auto`, `nodegroup`",
        ),
        (
            "subnet-ids",
            "vpc-1",
            "`--subnet-ids`: `vpc-1` is not valid: like `subnet-0123456789abcdef0`",
        ),
        (
            "cluster-role-arn",
            "arn:aws:iam::123456789012:user/a",
            "`--cluster-role-arn`: ",
        ),
        (
            "node-role-arn",
            "arn:aws:iam::12345678901x:role/a",
            "`--node-role-arn`: ",
        ),
        (
            "admin-arn",
            "arn:aws:sts::123456789012:assumed-role/a",
            "`--admin-arn`: ",
        ),
        (
            "public-access-cidr",
            "203.0.113.7/24",
            "`--public-access-cidr`: `203.0.113.7/24` has bits beyond its prefix: write `203.0.113.0/24`",
        ),
        (
            "public-access-cidr",
            "203.0.113.7",
            "`--public-access-cidr`: `203.0.113.7` is an address: write `203.0.113.7/32` for it alone",
        ),
        (
            "public-access-cidr",
            "2001:db8::/32",
            "`--public-access-cidr`: `2001:db8::/32` is not an IPv4 range",
        ),
        (
            "control-plane-logs",
            "audits",
            "`--control-plane-logs`: `audits` is none of `api`, `audit`, `authenticator`, `controllerManager`, `scheduler`, did you mean `audit`?",
        ),
        (
            "hpa-sync-period",
            "1500ms",
            "`--hpa-sync-period`: `1500ms` must be whole seconds",
        ),
        ("hpa-sync-period", "10", "`--hpa-sync-period`: `10` is not a duration"),
    ];
    for (flag, value, expected) in cases {
        let problems = resolve(&[(flag, &[value])]).expect_err(value);
        let first = problems.first().expect("a problem");
        assert!(first.starts_with(expected), "{first} / {expected}");
    }
}

#[test]
fn what_cannot_be_together_is_reported_together() {
    let problems = resolve(&[
        ("private-nodes", &["true"]),
        ("subnet-ids", &["subnet-01234567"]),
        ("cluster-role-arn", &[ROLE]),
        ("node-role-arn", &["arn:aws:iam::210987654321:role/nodes"]),
    ]);
    insta::assert_snapshot!(problems.expect_err("refused").join("\n"), @r#"
    `--subnet-ids`: `subnet-01234567` is one subnet: EKS needs two or more, in two zones
    `--private-nodes` and `--subnet-ids` cannot be together: nodes go to the subnets that are given, private or not
    roles `arn:aws:iam::123456789012:role/eks` and `arn:aws:iam::210987654321:role/nodes` are of two accounts: EKS takes those of one
    "#);
}

#[test]
fn a_context_has_no_new_cluster() {
    let problems = resolve(&[
        ("kube-context", &["kind-demo"]),
        ("compute", &["auto"]),
        ("k8s-version", &["1.35"]),
    ]);
    insta::assert_snapshot!(problems.expect_err("refused").join("\n"), @r#"
    `--k8s-version` needs `--cluster`: the cluster of a kube-context is used as it is
    `--compute` needs `--cluster`: the cluster of a kube-context is used as it is
    "#);
}
