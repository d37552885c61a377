//! A signal ends the program at once, with its own exit code, after saying how to go on.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::fake_aws::FakeAws;
use crate::run::Run;
use crate::support::image::executable;

#[test]
fn a_signal_ends_a_command_with_the_way_to_resume_it() {
    for (signal, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        // It accepts and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let run = Run::in_workspace("push --cluster demo --region eu-west-1")
            .aws(&format!("http://{}", silent.local_addr().unwrap()));
        let child = run.start();
        // The program is connected, so its handlers are in place.
        let (_connection, _) = silent.accept().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        child.signal(signal);
        let stderr = child.end().refused(code);
        assert!(stderr.contains(&format!("error: {word}")), "{stderr}");
        assert!(
            stderr.contains("to resume:  provisioner push --cluster demo --region eu-west-1"),
            "{stderr}"
        );
        assert!(!stderr.contains("to remove:"), "nothing was made: {stderr}");
    }
}

#[test]
fn a_question_takes_an_answer_and_a_signal() {
    for (keys, code, says) in [
        ("n\n", 2, "not confirmed, nothing was changed"),
        ("\n", 2, "not confirmed, nothing was changed"),
        ("\u{3}", 130, "error: interrupted"),
    ] {
        let aws = FakeAws::start();
        let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --create-cluster");
        let mut child = run.aws(&aws.url).on_a_terminal().start();
        child.answer("[y/N]", keys);
        let ended = child.end();
        // A terminal has one stream.
        assert_eq!(ended.code(), code, "{}", ended.stdout());
        assert!(ended.stdout().contains(says), "{}", ended.stdout());
    }
}

/// A cluster of this stack that is being created, on a foundation that is being created.
fn under_way() -> FakeAws {
    let cluster = r#"{"cluster": {"name": "demo", "arn": "arn:aws:eks:eu-west-1:123456789012:cluster/demo",
        "status": "CREATING", "computeConfig": {"enabled": true, "nodeRoleArn": "arn:n"},
        "tags": {"provisioner:stack": "demo", "provisioner:created": "true"}}}"#;
    let stack = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
        <StackName>provisioner-demo</StackName><StackStatus>CREATE_IN_PROGRESS</StackStatus>\
        <CreationTime>2026-09-01T00:00:00Z</CreationTime></member></Stacks></DescribeStacksResult>\
        </DescribeStacksResponse>";
    FakeAws::with(vec![
        ("GET /clusters/demo", 200, cluster.to_owned()),
        ("DescribeStacks", 200, stack.to_owned()),
    ])
}

#[test]
fn an_interrupted_bootstrap_says_what_exists_what_it_costs_and_how_to_go_on_or_back() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let aws = under_way();
        let binary = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(binary.path(), executable(b"x")).unwrap();
        std::fs::set_permissions(binary.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let command = format!(
            "bootstrap --cluster demo --region us-east-1 --create-cluster --yes --binary {}",
            binary.path().display()
        );
        let mut child = Run::of(&command).aws(&aws.url).start();
        child.wait_for("waiting   foundation stack `provisioner-demo`");
        child.signal(signal);
        let stderr = child.end().refused(code);
        let expected = [
            "stopped in: cluster and image",
            "may exist:  foundation stack `provisioner-demo`",
            "costs:      about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of ",
            &format!("to resume:  provisioner {command}"),
            "to remove:  provisioner teardown --cluster demo --region us-east-1 --delete-cluster",
        ];
        for line in expected {
            assert!(stderr.contains(line), "no `{line}` in: {stderr}");
        }
    }
}
