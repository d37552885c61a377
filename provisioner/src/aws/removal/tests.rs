use super::*;
use crate::aws::Aws;
use crate::aws::fake::{Record, Wire, demo, query_error};
use crate::aws::sweep::tests::{Empty as _, groups, tag_set, volume, volumes};
use crate::report::{Event, Silent};

fn stack(status: &str) -> String {
    let tag = |(key, value): (String, String)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let tags: String = demo().aws_tags().into_iter().map(tag).collect();
    format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>provisioner-demo</StackName>\
         <StackId>id-1</StackId><CreationTime>2026-11-18T11:06:40Z</CreationTime><StackStatus>{status}</StackStatus>\
         <Tags>{tags}</Tags></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
}

fn resources(status: &str) -> String {
    format!(
        "<DescribeStackResourcesResponse><DescribeStackResourcesResult><StackResources><member><LogicalResourceId>Vpc</LogicalResourceId>\
         <PhysicalResourceId>vpc-1</PhysicalResourceId><ResourceType>AWS::EC2::VPC</ResourceType>\
         <Timestamp>2026-11-18T11:06:40Z</Timestamp><ResourceStatus>{status}</ResourceStatus></member></StackResources>\
         </DescribeStackResourcesResult></DescribeStackResourcesResponse>"
    )
}

fn events() -> String {
    "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents><member><StackId>id-1</StackId><EventId>e</EventId>\
     <StackName>provisioner-demo</StackName><LogicalResourceId>SubnetA</LogicalResourceId>\
     <ResourceType>AWS::EC2::Subnet</ResourceType><Timestamp>2026-11-18T11:06:40Z</Timestamp>\
     <ResourceStatus>DELETE_FAILED</ResourceStatus><ResourceStatusReason>has dependencies</ResourceStatusReason></member>\
     </StackEvents></DescribeStackEventsResult></DescribeStackEventsResponse>"
        .to_owned()
}

fn absent() -> String {
    query_error("ValidationError", "Stack with id provisioner-demo does not exist")
}

fn scope() -> Scope {
    Scope {
        cluster: "demo".to_owned(),
        stack: demo(),
        whose: sweep::Whose::Ours,
        lent: None,
        network: None,
        since: None,
        data: sweep::Data::default(),
    }
}

fn deletions(wire: &Wire) -> usize {
    wire.calls().iter().filter(|call| *call == "DeleteStack").count()
}

#[tokio::test]
async fn a_group_that_outlived_its_cluster_goes_before_the_foundation() {
    let group = format!(
        "<item><groupId>sg-1</groupId><groupName>eks-cluster-sg-demo-1</groupName>{}</item>",
        tag_set(&[("aws:eks:cluster-name", "demo")])
    );
    let wire = Wire::default()
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 400, absent())
        .on("DescribeStackResources", 200, resources("CREATE_COMPLETE"))
        .on("DescribeSecurityGroups", 200, groups(&[group]))
        .nothing_left()
        .on("DeleteSecurityGroup", 200, "<R/>")
        .on("DeleteStack", 200, "<R/>");
    let removal = remove(&wire.aws(), &scope(), false, &Silent).await.expect("removed");
    assert_eq!(removal.foundation, End::Done(Outcome::Deleted));
    assert_eq!(removal.swept.deleted.len(), 1);
    let calls = wire.calls();
    let place = |wanted: &str| calls.iter().position(|call| call == wanted);
    assert!(place("DeleteSecurityGroup") < place("DeleteStack"), "{calls:?}");
}

#[tokio::test]
async fn the_foundation_is_not_touched_while_others_are_in_its_network() {
    let group = "<item><groupId>sg-9</groupId><groupName>theirs</groupName></item>".to_owned();
    let wire = Wire::default()
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStackResources", 200, resources("CREATE_COMPLETE"))
        .on("DescribeSecurityGroups", 200, groups(&[group]))
        .nothing_else_left();
    let removal = remove(&wire.aws(), &scope(), false, &Silent).await.expect("told");
    let expected = "its network still holds security group `sg-9 (theirs)`";
    assert_eq!(removal.foundation, End::Stays(expected.to_owned()));
    assert_eq!(deletions(&wire), 0);
}

#[tokio::test]
async fn a_failed_deletion_is_told_and_tried_three_times() {
    let wire = Wire::default()
        .on("DescribeStacks", 200, stack("DELETE_FAILED"))
        .on("DescribeStackResources", 200, resources("DELETE_FAILED"))
        .on("DescribeStackEvents", 200, events())
        .nothing_left()
        .on("DeleteStack", 200, "<R/>");
    let record = Record::default();
    let removal = remove(&wire.aws(), &scope(), false, &record).await.expect("told");
    let reason = "foundation stack `provisioner-demo` is DELETE_FAILED: SubnetA (AWS::EC2::Subnet): has dependencies";
    assert_eq!(removal.foundation, End::Stays(reason.to_owned()));
    assert_eq!(deletions(&wire), 3);
    let events = record.0.lock().expect("lock");
    let warnings = events
        .iter()
        .filter(|e| matches!(e, Event::Warning { message } if message.contains("SubnetA")));
    assert_eq!(warnings.count(), 2);
}

#[tokio::test]
async fn a_second_deletion_that_works_is_the_end() {
    let wire = Wire::default()
        // network, delete: found, settled, failed
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, stack("DELETE_FAILED"))
        // network, delete: found, gone
        .on("DescribeStacks", 200, stack("DELETE_FAILED"))
        .on("DescribeStacks", 200, stack("DELETE_FAILED"))
        .on("DescribeStacks", 400, absent())
        .on("DescribeStackResources", 200, resources("DELETE_FAILED"))
        .on("DescribeStackEvents", 200, events())
        .nothing_left()
        .on("DeleteStack", 200, "<R/>");
    let removal = remove(&wire.aws(), &scope(), false, &Silent).await.expect("removed");
    assert_eq!(removal.foundation, End::Done(Outcome::Deleted));
    assert_eq!(deletions(&wire), 2);
}

#[tokio::test]
async fn without_a_foundation_only_what_bears_the_clusters_tags_is_looked_at() {
    let wire = Wire::default().on("DescribeStacks", 400, absent()).nothing_left();
    let removal = remove(&wire.aws(), &scope(), false, &Silent).await.expect("nothing");
    assert_eq!(removal.foundation, End::Done(Outcome::Unchanged));
    let calls = [
        "DescribeStacks",
        "DescribeSecurityGroups",
        "DescribeVolumes",
        "DescribeStacks",
    ];
    assert_eq!(wire.calls(), calls);
}

#[tokio::test]
async fn a_volume_of_ours_that_does_not_go_keeps_the_foundation_to_resume_from() {
    let tags = [("kubernetes.io/cluster/demo", "owned")];
    let busy = volume("vol-1", "in-use", "2026-11-19T00:00:00.000Z", &tags);
    let wire = Wire::default()
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStackResources", 200, resources("CREATE_COMPLETE"))
        .on("DescribeVolumes", 200, volumes(&[busy]))
        .nothing_in_the_network()
        .on("DeleteStack", 200, "<R/>");
    let aws = Aws {
        timeout: std::time::Duration::from_millis(20),
        ..wire.aws()
    };
    let removal = remove(&aws, &scope(), false, &Silent).await.expect("told");
    let expected = "not deleted yet, and only it tells whose they were: volume `vol-1` (in-use)";
    assert_eq!(removal.foundation, End::Stays(expected.to_owned()));
    assert_eq!(deletions(&wire), 0);
}

#[tokio::test]
async fn logs_that_come_back_are_deleted_again_before_the_foundation_goes() {
    let none = serde_json::json!({"logGroups": []});
    let back = serde_json::json!({"logGroups": [{"logGroupName": "/aws/eks/demo/cluster"}]});
    let wire = Wire::default()
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 200, stack("CREATE_COMPLETE"))
        .on("DescribeStacks", 400, absent())
        .on("DescribeStackResources", 200, resources("CREATE_COMPLETE"))
        .on("DescribeLogGroups", 200, back)
        .on("DescribeLogGroups", 200, none)
        .on("DeleteLogGroup", 200, "")
        .nothing_left()
        .on("DeleteStack", 200, "<R/>");
    let removal = remove(&wire.aws(), &scope(), true, &Silent).await.expect("removed");
    assert_eq!(removal.foundation, End::Done(Outcome::Deleted));
    let calls = wire.calls();
    let last = |wanted: &str| calls.iter().rposition(|call| call == wanted).expect("called");
    assert!(last("DeleteLogGroup") < last("DescribeLogGroups"), "{calls:?}");
    assert!(last("DescribeLogGroups") < last("DeleteStack"), "{calls:?}");
}

#[tokio::test]
async fn what_does_not_go_in_a_network_that_was_brought_along_keeps_what_tells_whose_it_is() {
    let group = |id: &str, named: &str, tags: &[(&str, &str)]| {
        format!(
            "<item><groupId>{id}</groupId><groupName>{id}</groupName><ipPermissions><item><groups><item>\
             <groupId>{named}</groupId></item></groups></item></ipPermissions>{}</item>",
            tag_set(tags)
        )
    };
    let all = [
        group("sg-1", "sg-1", &[("aws:eks:cluster-name", "demo")]),
        group("sg-9", "sg-1", &[]),
    ];
    let roles = resources("CREATE_COMPLETE").replace("Vpc", "ClusterRole");
    let wire = |stack: (u16, String)| {
        Wire::default()
            .on("DescribeStacks", stack.0, stack.1)
            .on("DescribeStackResources", 200, roles.clone())
            .on("DescribeSecurityGroups", 200, groups(&all))
            .nothing_else_left()
    };
    let scope = Scope {
        lent: Some("vpc-9".to_owned()),
        ..scope()
    };
    let there = wire((200, stack("CREATE_COMPLETE")));
    let removal = remove(&there.aws(), &scope, false, &Silent).await.expect("told");
    let expected = "not deleted yet, and only it tells whose they were: security group `sg-1 (sg-1)` (security group \
                    `sg-9 (sg-9)`, which is not the stack's, uses it)";
    assert_eq!(removal.foundation, End::Stays(expected.to_owned()));
    // Where there is none, there is none to keep.
    let none = wire((400, absent()));
    let removal = remove(&none.aws(), &scope, false, &Silent).await.expect("told");
    assert_eq!(removal.foundation, End::Done(Outcome::Unchanged));
    assert_eq!((removal.swept.left.len(), removal.swept.foreign.len()), (1, 0));
}
