use super::*;

const PROPOSE: &str = "CreateChangeSet";

fn with_parameters(status: &str, parameters: &[(&str, &str)]) -> String {
    let mut xml = String::new();
    for (key, value) in parameters {
        let _ = write!(
            xml,
            "<member><ParameterKey>{key}</ParameterKey><ParameterValue>{value}</ParameterValue></member>"
        );
    }
    ours(status).replace("<Tags>", &format!("<Parameters>{xml}</Parameters><Tags>"))
}

fn change_set(status: &str, reason: &str, changes: &[(&str, &str, &str)]) -> String {
    let mut xml = String::new();
    for (action, name, replacement) in changes {
        let _ = write!(
            xml,
            "<member><Type>Resource</Type><ResourceChange><Action>{action}</Action>\
             <LogicalResourceId>{name}</LogicalResourceId><Replacement>{replacement}</Replacement>\
             </ResourceChange></member>"
        );
    }
    format!(
        "<DescribeChangeSetResponse><DescribeChangeSetResult><Status>{status}</Status>\
         <StatusReason>{reason}</StatusReason><Changes>{xml}</Changes></DescribeChangeSetResult>\
         </DescribeChangeSetResponse>"
    )
}

fn proposed(changes: &str) -> Wire {
    Wire::default()
        .on("DescribeStacks", 200, outdated("CREATE_COMPLETE", "0.0.1"))
        .on(PROPOSE, 200, done(PROPOSE))
        .on("DescribeChangeSet", 200, change_set("CREATE_IN_PROGRESS", "", &[]))
        .on("DescribeChangeSet", 200, changes)
        .on("DeleteChangeSet", 200, done("DeleteChangeSet"))
        .on("ExecuteChangeSet", 200, done("ExecuteChangeSet"))
}

fn brought() -> FoundationSpec {
    FoundationSpec {
        subnet_ids: vec!["subnet-x".to_owned(), "subnet-y".to_owned()],
        cluster_role_arn: Some("arn:x".to_owned()),
        node_role_arn: Some("arn:y".to_owned()),
        ..FoundationSpec::default()
    }
}

#[tokio::test]
async fn an_update_that_replaces_nothing_is_done() {
    let changes = [
        ("Modify", "NodeRole", "False"),
        ("Add", "NatGateway", ""),
        ("Modify", "Vpc", "False"),
    ];
    let wire =
        proposed(&change_set("CREATE_COMPLETE", "", &changes)).on("DescribeStacks", 200, ours("UPDATE_COMPLETE"));
    assert_eq!(run(&wire).await.expect("updated").1, Outcome::Updated);
    assert_eq!(mutating(&wire), [PROPOSE, "ExecuteChangeSet"]);
    let sent = wire.body(PROPOSE);
    assert!(
        sent.contains("ChangeSetType=UPDATE") && sent.contains("CAPABILITY_IAM"),
        "{sent}"
    );
}

#[tokio::test]
async fn an_update_that_replaces_or_removes_something_is_refused() {
    let changes = [
        ("Modify", "SubnetA", "True"),
        ("Modify", "Vpc", "Conditional"),
        ("Remove", "NodeRole", ""),
        ("Modify", "ClusterRole", "False"),
    ];
    let wire = proposed(&change_set("CREATE_COMPLETE", "", &changes));
    let refused = run(&wire).await.expect_err("refused");
    assert!(refused.is_configuration(), "exit 2: nothing was changed");
    let text = refused.to_string().replace(&template_hash(), "HASH");
    insta::assert_snapshot!(text, @"foundation stack `provisioner-demo`: template is 0000, not HASH, which would replace `SubnetA`, perhaps replace `Vpc`, remove `NodeRole`");
    assert!(
        refused
            .hint()
            .is_some_and(|hint| hint.contains("teardown --delete-cluster"))
    );
    assert_eq!(mutating(&wire), [PROPOSE, "DeleteChangeSet"]);
}

#[tokio::test]
async fn an_update_without_changes_is_none() {
    let reason = "The submitted information didn't contain changes. Submit different information.";
    let wire = proposed(&change_set("FAILED", reason, &[]));
    assert_eq!(run(&wire).await.expect("as it is").1, Outcome::Unchanged);
    assert_eq!(mutating(&wire), [PROPOSE, "DeleteChangeSet"]);
    let wire = proposed(&change_set("FAILED", "Template error", &[]));
    let failed = run(&wire).await.expect_err("failed");
    insta::assert_snapshot!(failed, @"change set of foundation stack `provisioner-demo` is FAILED: Template error");
}

#[tokio::test]
async fn an_update_whose_start_was_answered_into_the_void_is_the_one_that_runs() {
    let gone = query_error("ChangeSetNotFound", "ChangeSet [x] does not exist");
    let wire = |stack: String| {
        Wire::default()
            .on("DescribeStacks", 200, outdated("CREATE_COMPLETE", "0.0.1"))
            .on("DescribeStacks", 200, stack)
            .on(PROPOSE, 200, done(PROPOSE))
            .on(
                "DescribeChangeSet",
                200,
                change_set("CREATE_COMPLETE", "", &[("Modify", "Vpc", "False")]),
            )
            .on("ExecuteChangeSet", 404, gone.clone())
    };
    let updated = wire(ours("UPDATE_COMPLETE"));
    assert_eq!(run(&updated).await.expect("updated").1, Outcome::Updated);
    // Nothing runs: somebody deleted the change set.
    let refused = run(&wire(outdated("CREATE_COMPLETE", "0.0.1"))).await;
    let refused = refused.expect_err("not updated").to_string();
    assert!(refused.contains("ChangeSet [x] does not exist"), "{refused}");
}

#[tokio::test]
async fn an_update_that_rolled_back_is_an_error() {
    let wire = proposed(&change_set("CREATE_COMPLETE", "", &[("Modify", "Vpc", "False")]))
        .on("DescribeStacks", 200, outdated("UPDATE_ROLLBACK_COMPLETE", "0.0.1"))
        .on("DescribeStackEvents", 200, EVENTS);
    assert!(matches!(run(&wire).await, Err(AwsError::Failed { .. })));
}

#[tokio::test]
async fn a_cause_that_may_not_be_read_is_told_with_the_right_that_is_missing() {
    let denied = query_error(
        "AccessDenied",
        "not authorized to perform: cloudformation:DescribeStackEvents",
    );
    let wire = proposed(&change_set("CREATE_COMPLETE", "", &[("Modify", "Vpc", "False")]))
        .on("DescribeStacks", 200, outdated("UPDATE_ROLLBACK_COMPLETE", "0.0.1"))
        .on("DescribeStackEvents", 403, denied);
    let failed = run(&wire).await.expect_err("rolled back").to_string();
    assert!(failed.contains("is UPDATE_ROLLBACK_COMPLETE"), "{failed}");
    assert!(failed.contains("cloudformation:DescribeStackEvents"), "{failed}");
}

#[tokio::test]
async fn a_stack_of_a_newer_version_is_refused() {
    for status in ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"] {
        let wire = Wire::default().on("DescribeStacks", 200, outdated(status, "99.0.0"));
        let refused = run(&wire).await.expect_err(status);
        assert!(
            matches!(refused, AwsError::Drift(_)) && refused.is_configuration(),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("version of provisioner is 99.0.0"),
            "{refused}"
        );
        assert_eq!(mutating(&wire), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_brought_along_is_not_made() {
    let wire = Wire::default()
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("CreateStack", 200, done("CreateStack"));
    let spec = FoundationSpec {
        subnet_ids: Vec::new(),
        node_role_arn: None,
        private_nodes: true,
        compute: Some(Compute::NodeGroup),
        ..brought()
    };
    run_with(&wire, &spec).await.expect("created");
    let sent = wire.body("CreateStack");
    for (key, value) in [
        ("Compute", "nodegroup"),
        ("Network", "true"),
        ("PrivateNodes", "true"),
        ("MakeClusterRole", "false"),
        ("MakeNodeRole", "true"),
    ] {
        let number = sent.split(&format!("ParameterKey={key}&")).nth(1).expect(key);
        let given = number.split("ParameterValue=").nth(1).expect(key);
        assert!(given.starts_with(value), "{key}: {given}");
    }
}

#[tokio::test]
async fn where_everything_is_brought_along_there_is_no_stack() {
    let wire = Wire::default().on("DescribeStacks", 400, absent());
    let (given, outcome) = run_with(&wire, &brought()).await.expect("given");
    assert_eq!(outcome, Outcome::Skipped);
    assert_eq!((given.vpc_id, given.cluster_role_arn.as_str()), (None, "arn:x"));
    assert_eq!(wire.calls(), ["DescribeStacks"]);
}

#[tokio::test]
async fn a_stack_of_another_kind_is_refused_with_every_difference() {
    let made = [
        ("Compute", "auto"),
        ("Network", "true"),
        ("PrivateNodes", "false"),
        ("MakeNodeRole", "false"),
    ];
    let wire = Wire::default().on("DescribeStacks", 200, with_parameters("CREATE_COMPLETE", &made));
    let spec = FoundationSpec {
        compute: Some(Compute::NodeGroup),
        private_nodes: true,
        cluster_role_arn: Some("arn:other".to_owned()),
        ..FoundationSpec::default()
    };
    let refused = run_with(&wire, &spec).await.expect_err("refused");
    insta::assert_snapshot!(refused.to_string().replace("; ", "\n"), @r#"
    foundation stack `provisioner-demo`: compute is auto, not nodegroup
    foundation stack `provisioner-demo`: private subnets for nodes are none, not made
    foundation stack `provisioner-demo`: cluster role is arn:c, not arn:other
    foundation stack `provisioner-demo`: node role is brought along, not the stack's own
    "#);
    assert_eq!(wire.calls(), ["DescribeStacks"]);
}

#[tokio::test]
async fn what_is_not_asked_for_is_taken_as_found() {
    let made = [("Compute", "nodegroup"), ("PrivateNodes", "true")];
    let wire = Wire::default().on("DescribeStacks", 200, with_parameters("CREATE_COMPLETE", &made));
    let (found, outcome) = run(&wire).await.expect("as found");
    assert_eq!((found.compute, outcome), (Compute::NodeGroup, Outcome::Unchanged));
}

/// A cluster stands, and its foundation was brought along: none is made under it.
#[tokio::test]
async fn nothing_is_made_under_a_cluster_that_stands() {
    let standing = FoundationSpec {
        standing: true,
        ..brought()
    };
    let wire = Wire::default().on("DescribeStacks", 400, absent());
    run_with(&wire, &standing).await.expect("as given");
    let unknown = FoundationSpec {
        node_role_arn: None,
        private_nodes: true,
        ..standing
    };
    let refused = run_with(&wire, &unknown).await.expect_err("refused");
    insta::assert_snapshot!(refused, @"foundation stack `provisioner-demo`: private subnets for nodes are unknown, not made; foundation stack `provisioner-demo`: node role is unknown, not given with `--node-role-arn`");
    assert_eq!(mutating(&wire), Vec::<String>::new());
}

#[tokio::test]
async fn a_network_in_the_wrong_zones_is_made_again() {
    let wire = Wire::default()
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("DeleteStack", 200, "<R></R>")
        .on("CreateStack", 200, done("CreateStack"));
    let spec = FoundationSpec {
        zones: Some(["eu-central-1a".to_owned(), "eu-central-1b".to_owned()]),
        ..FoundationSpec::default()
    };
    let moved = move_to_zones(&wire.aws(), &demo(), &spec, &Silent).await;
    assert_eq!(moved.expect("made").vpc_id.as_deref(), Some("vpc-1"));
    assert_eq!(mutating(&wire), ["DeleteStack", "CreateStack"]);
    assert!(wire.body("CreateStack").contains("eu-central-1b"));
    let foreign = Wire::default().on("DescribeStacks", 200, stack("CREATE_COMPLETE", &[]));
    let refused = move_to_zones(&foreign.aws(), &demo(), &spec, &Silent).await;
    assert!(matches!(refused, Err(AwsError::NotOurs { .. })));
}

#[tokio::test]
async fn a_quota_of_stacks_is_told_at_once() {
    let refusal = query_error("LimitExceededException", "Limit for stack has been exceeded");
    let wire = Wire::default()
        .on("DescribeStacks", 400, absent())
        .on("CreateStack", 400, refusal);
    let aws = wire.patient();
    let refused = ensure(&aws, &FoundationSpec::default()).await;
    let hint = refused.expect_err("refused").hint().unwrap_or_default();
    assert!(hint.starts_with("the quota `Stack count`"), "{hint}");
    assert_eq!(mutating(&wire), ["CreateStack"]);
}

#[tokio::test]
async fn a_quota_within_a_failed_stack_is_named() {
    let events = EVENTS.replace("limit reached", "too many (Service: Ec2, Error Code: VpcLimitExceeded)");
    let wire = Wire::default()
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, ours("ROLLBACK_COMPLETE"))
        .on("CreateStack", 200, done("CreateStack"))
        .on("DescribeStackEvents", 200, events);
    let hint = run(&wire).await.expect_err("failed").hint().unwrap_or_default();
    assert!(hint.starts_with("the quota `VPCs per Region`"), "{hint}");
}

#[tokio::test]
async fn a_broken_foundation_is_not_replaced_under_a_cluster() {
    let spec = FoundationSpec {
        standing: true,
        ..brought()
    };
    for status in ["DELETE_FAILED", "ROLLBACK_FAILED"] {
        let wire = Wire::default()
            .on("DescribeStacks", 200, ours(status))
            .on("DeleteStack", 200, "<R></R>")
            .on("CreateStack", 200, done("CreateStack"));
        let found = read(&wire.aws(), &demo()).await.expect("read");
        let told = drift(&found, &demo(), &spec);
        assert_eq!(told.iter().map(|one| one.aspect).collect::<Vec<_>>(), [Aspect::State]);
        let refused = run_with(&wire, &spec).await.expect_err("refused");
        assert!(refused.is_configuration(), "exit 2: nothing was changed");
        let expected = format!("state is {status}, not complete");
        assert!(refused.to_string().contains(&expected), "{refused}");
        let hint = refused.hint().expect("a way out");
        assert!(hint.contains("teardown --delete-cluster"), "{hint}");
        assert!(mutating(&wire).is_empty(), "{:?}", wire.calls());
    }
}

fn made_for(status: &str, cluster: &str) -> String {
    stack(status, &tags(&demo(), Some(cluster)))
}

#[tokio::test]
async fn the_cluster_that_it_is_made_for_is_written_down_and_no_other_stands_on_it() {
    let spec = FoundationSpec {
        cluster: Some("prod".to_owned()),
        ..FoundationSpec::default()
    };
    let wire = Wire::default()
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, made_for("CREATE_COMPLETE", "prod"))
        .on("CreateStack", 200, done("CreateStack"));
    assert_eq!(run_with(&wire, &spec).await.expect("created").1, Outcome::Created);
    assert!(
        wire.body("CreateStack")
            .contains("provisioner%3Acluster&Tags.member.5.Value=prod"),
        "{}",
        wire.body("CreateStack")
    );
    assert_eq!(run_with(&wire, &spec).await.expect("there").1, Outcome::Unchanged);
    for status in ["CREATE_COMPLETE", "DELETE_FAILED"] {
        let wire =
            Wire::default()
                .on("DescribeStacks", 200, made_for(status, "other"))
                .on("DeleteStack", 200, "<R></R>");
        let refused = run_with(&wire, &spec).await.expect_err("refused");
        assert!(refused.to_string().contains("cluster is other, not prod"), "{refused}");
        assert!(mutating(&wire).is_empty());
    }
    let wire = Wire::default().on("DescribeStacks", 200, made_for("CREATE_COMPLETE", "prod"));
    let told = ground(&wire.aws(), &demo()).await.expect("told").expect("there");
    assert_eq!(told.made_for.as_deref(), Some("prod"));
}
