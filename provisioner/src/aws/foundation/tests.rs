mod options;
mod template;

use std::fmt::Write as _;

use super::*;
use crate::aws::fake::{Wire, demo, query_error};
use crate::names::TAG_VERSION;
use crate::report::Silent;

fn stack(status: &str, tags: &[(String, String)]) -> String {
    let mut xml = String::new();
    for (key, value) in tags {
        let _ = write!(xml, "<member><Key>{key}</Key><Value>{value}</Value></member>");
    }
    let mut outputs = String::new();
    for (key, value) in [
        ("VpcId", "vpc-1"),
        ("SubnetIds", "subnet-a,subnet-b"),
        ("ClusterRoleArn", "arn:c"),
        ("NodeRoleArn", "arn:n"),
    ] {
        let _ = write!(
            outputs,
            "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
        );
    }
    format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackId>id-1</StackId>\
         <StackName>provisioner-demo</StackName><CreationTime>2026-11-18T11:06:40Z</CreationTime>\
         <StackStatus>{status}</StackStatus><Tags>{xml}</Tags><Outputs>{outputs}</Outputs>\
         </member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
}

fn ours(status: &str) -> String {
    stack(status, &tags(&demo(), None))
}

fn outdated(status: &str, version: &str) -> String {
    let mut tags: Vec<_> = demo().aws_tags().into_iter().collect();
    tags.retain(|(key, _)| key != TAG_VERSION);
    tags.push((TAG_VERSION.to_owned(), version.to_owned()));
    tags.push((TAG_TEMPLATE.to_owned(), "0000".to_owned()));
    stack(status, &tags)
}

fn absent() -> String {
    query_error("ValidationError", "Stack with id provisioner-demo does not exist")
}

fn done(operation: &str) -> String {
    format!("<{operation}Response><{operation}Result><StackId>id-1</StackId></{operation}Result></{operation}Response>")
}

const EVENTS: &str = "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents><member>\
    <StackId>id-1</StackId><EventId>e</EventId><StackName>provisioner-demo</StackName>\
    <LogicalResourceId>Vpc</LogicalResourceId><PhysicalResourceId></PhysicalResourceId>\
    <ResourceType>AWS::EC2::VPC</ResourceType><Timestamp>2026-11-18T11:06:40Z</Timestamp>\
    <ResourceStatus>CREATE_FAILED</ResourceStatus><ResourceStatusReason>limit reached</ResourceStatusReason>\
    </member></StackEvents></DescribeStackEventsResult></DescribeStackEventsResponse>";

async fn run(wire: &Wire) -> Result<(Foundation, Outcome), AwsError> {
    run_with(wire, &FoundationSpec::default()).await
}

async fn run_with(wire: &Wire, spec: &FoundationSpec) -> Result<(Foundation, Outcome), AwsError> {
    ensure(&wire.aws(), spec).await
}

/// Reads and ensures at once.
async fn ensure(aws: &Aws, spec: &FoundationSpec) -> Result<(Foundation, Outcome), AwsError> {
    let reading = read(aws, &demo()).await?;
    ensure_from(aws, &demo(), (reading, spec), &Silent).await
}

fn mutating(wire: &Wire) -> Vec<String> {
    let calls = wire.calls().into_iter();
    calls.filter(|c| !c.starts_with("Describe")).collect()
}

#[tokio::test]
async fn a_missing_stack_is_created_and_waited_for() {
    let wire = Wire::default()
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, ours("CREATE_IN_PROGRESS"))
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("CreateStack", 200, done("CreateStack"));
    let (made, outcome) = run(&wire).await.expect("created");
    assert_eq!(outcome, Outcome::Created);
    assert_eq!(made.subnet_ids, ["subnet-a", "subnet-b"]);
    let sent = wire.body("CreateStack");
    for part in [
        "OnFailure=ROLLBACK",
        "TimeoutInMinutes=15",
        "CAPABILITY_IAM",
        "ClientRequestToken=",
    ] {
        assert!(sent.contains(part), "{part}");
    }
}

#[tokio::test]
async fn second_run_changes_nothing() {
    let wire = Wire::default().on("DescribeStacks", 200, ours("CREATE_COMPLETE"));
    assert_eq!(run(&wire).await.expect("there").1, Outcome::Unchanged);
    assert_eq!(wire.calls(), ["DescribeStacks"]);
}

#[tokio::test]
async fn a_creation_under_way_is_joined() {
    let wire = Wire::default()
        .on("DescribeStacks", 200, ours("CREATE_IN_PROGRESS"))
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"));
    assert_eq!(run(&wire).await.expect("joined").1, Outcome::Created);
    assert!(mutating(&wire).is_empty());
}

#[tokio::test]
async fn ours_that_rolled_back_is_replaced_once_and_the_cause_told() {
    let wire = Wire::default()
        .on("DescribeStacks", 200, ours("ROLLBACK_COMPLETE"))
        .on("DescribeStacks", 400, absent())
        .on("DescribeStacks", 200, ours("ROLLBACK_COMPLETE"))
        .on("DeleteStack", 200, "<R></R>")
        .on("CreateStack", 200, done("CreateStack"))
        .on("DescribeStackEvents", 200, EVENTS);
    let error = run(&wire).await.expect_err("failed again");
    assert_eq!(mutating(&wire), ["DeleteStack", "CreateStack"]);
    insta::assert_snapshot!(error, @"foundation stack `provisioner-demo` is ROLLBACK_COMPLETE: Vpc (AWS::EC2::VPC): limit reached");
}

#[tokio::test]
async fn a_foreign_stack_is_used_if_complete_and_never_replaced() {
    let wire = Wire::default().on("DescribeStacks", 200, stack("CREATE_COMPLETE", &[]));
    assert_eq!(run(&wire).await.expect("used").1, Outcome::Unchanged);
    let wire = Wire::default().on("DescribeStacks", 200, stack("ROLLBACK_COMPLETE", &[]));
    assert!(matches!(run(&wire).await, Err(AwsError::NotOurs { .. })));
    assert!(mutating(&wire).is_empty());
}

#[tokio::test]
async fn deleting_waits_until_it_is_gone() {
    let wire = Wire::default()
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, ours("DELETE_IN_PROGRESS"))
        .on("DescribeStacks", 400, absent())
        .on("DeleteStack", 200, "<R></R>");
    let done = delete(&wire.aws(), &demo(), &Silent).await;
    assert_eq!(done.expect("deleted"), Outcome::Deleted);
    let again = delete(&wire.aws(), &demo(), &Silent).await;
    assert_eq!(again.expect("nothing"), Outcome::Unchanged);
}

#[tokio::test]
async fn deleting_leaves_what_is_foreign_and_tells_what_blocks() {
    let wire = Wire::default().on("DescribeStacks", 200, stack("CREATE_COMPLETE", &[]));
    let done = delete(&wire.aws(), &demo(), &Silent).await;
    assert_eq!(done.expect("left"), Outcome::Skipped);
    assert!(mutating(&wire).is_empty());
    let wire = Wire::default()
        .on("DescribeStacks", 200, ours("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, ours("DELETE_FAILED"))
        .on("DeleteStack", 200, "<R></R>")
        .on("DescribeStackEvents", 200, EVENTS.replace("CREATE_", "DELETE_"));
    let error = delete(&wire.aws(), &demo(), &Silent).await.expect_err("blocked");
    insta::assert_snapshot!(error, @"foundation stack `provisioner-demo` is DELETE_FAILED: Vpc (AWS::EC2::VPC): limit reached");
}

#[tokio::test]
async fn a_wait_ends() {
    let wire = Wire::default().on("DescribeStacks", 200, ours("CREATE_IN_PROGRESS"));
    let aws = Aws {
        timeout: std::time::Duration::from_millis(20),
        ..wire.aws()
    };
    let spec = FoundationSpec::default();
    let error = ensure(&aws, &spec).await.expect_err("endless");
    assert!(matches!(error, AwsError::TimedOut { .. }), "{error}");
}
