//! What the command line promises: help, exit codes, streams, and that bad input ends before anything happens.

use crate::fake_aws::FakeAws;
use crate::run::Run;

#[test]
fn help_shows_commands_and_examples() {
    let ended = Run::of("--help").end();
    assert_eq!(ended.code(), 0);
    insta::assert_snapshot!(ended.stdout(), @r#"
    From source to an autoscaling deployment on AWS, and back to nothing

    Usage: provisioner [OPTIONS] <COMMAND>

    Commands:
      bootstrap    Build, push, create what is missing, deploy and verify; safe to repeat
      push         Build the app's image and push it; prints the reference with its digest
      teardown     Remove what bootstrap created, and prove that it is gone
      load         Send load to the app from inside the cluster and report latencies and pods
      status       Show pods, desired pods and request rate
      token        Print a token for the cluster, in the form that kubectl's exec plugins prescribe
      kubeconfig   Add the cluster to the kubeconfig; its tokens come from this program
      completions  Print a completion script for a shell

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --cluster <CLUSTER>         EKS cluster to work on
          --kube-context <CONTEXT>    Context of the kubeconfig to work on, instead of an EKS cluster
          --registry <HOST/PREFIX>    Registry and path for the images, e.g. ghcr.io/team [default: ECR]
          --name <NAME>               Stack's name, where the cluster's does not fit [default: CLUSTER or CONTEXT]
          --region <REGION>           AWS region [default: that of the AWS configuration]
          --profile <PROFILE>         AWS profile [default: that of the AWS configuration]
          --config <FILE>             Settings file [default: ./provisioner.toml where it exists]
          --output <FORMAT>           Form of result and events: text or json [default: text]
      -q, --quiet                     Only warnings and errors on stderr
      -v, --verbose                   Log on stderr; a filter may be set in `PROVISIONER_LOG`
      -y, --yes                       Answer every question with yes
          --no-color                  No colours (also: `NO_COLOR`)
          --timeout <DURATION>        Longest single wait, e.g. 90s, 25m [default: 30m]
          --poll-interval <DURATION>  Pause between two looks at AWS [default: 10s]

    Examples:
      provisioner bootstrap --cluster demo --region eu-west-1 --create-cluster
      provisioner load --cluster demo --region eu-west-1 --rate 100 --duration 2m
      provisioner teardown --cluster demo --region eu-west-1 --delete-cluster

    Settings: flags, then PROVISIONER_* variables (PROVISIONER_CLUSTER, ...), then provisioner.toml.
    AWS credentials come from where the AWS tools take them.

    Exit codes: 0 done, 1 failed, 2 usage or configuration (nothing was changed), 130/143 interrupted.
    "#);
}

#[test]
fn help_of_bootstrap_shows_its_flags() {
    let ended = Run::of("bootstrap --help").end();
    assert_eq!(ended.code(), 0);
    let own = ended.stdout();
    let own = own.split("Global options:").next().unwrap();
    insta::assert_snapshot!(own, @r#"
    Build, push, create what is missing, deploy and verify; safe to repeat

    Everything is checked before anything changes. It ends with proof that the metrics arrive. A second run changes nothing; a run that was stopped goes on where it was.

    Usage: provisioner bootstrap [OPTIONS]

    Options:
          --create-cluster
              Create the cluster where it is missing (billable, takes about 15 minutes)

          --without <COMPONENT>
              Leave a component out; may be repeated

          --manifests <DIR>
              Apply the manifests of this folder instead of the shipped ones

          --take-over
              Replace a metrics API that others installed; teardown gives it back

          --force-conflicts
              Take fields that others changed on objects of this stack

          --adopt
              Mark objects of this stack again that lost their labels, after showing them

          --reaction <PROFILE>
              How quickly the stack reacts to load: fast or seed [default: fast]

          --tag <TAG>
              Tag of the image [default: from its content]

          --binary <PATH>
              Use this static linux/amd64 binary instead of building one

          --workspace <DIR>
              Cargo workspace to build the app from [default: the working directory]

          --image-refs <FILE>
              Also write the pushed references to this file, one a line

      -h, --help
              Print help (see a summary with '-h')

    New cluster:
          --k8s-version <VERSION>
              Kubernetes version, e.g. 1.34 [default: the default of EKS]

          --compute <KIND>
              Where pods run: auto (EKS Auto Mode) or nodegroup (2 t3.large) [default: auto]

          --private-nodes
              Put nodes into private subnets behind a NAT gateway (costs by the hour)

          --subnet-ids <ID>
              Use these subnets, in two zones or more, instead of making a network

          --cluster-role-arn <ARN>
              Use this role for the control plane instead of making one

          --node-role-arn <ARN>
              Use this role for the nodes instead of making one

          --admin-arn <ARN>
              IAM role or user that also becomes the cluster's administrator; may be repeated

          --public-access-cidr <CIDR>
              Addresses that may reach the API server, e.g. 203.0.113.0/24; may be repeated [default: all]

          --control-plane-logs <LOG>
              Logs to `CloudWatch`: api, audit, authenticator, controllerManager, scheduler [default: none]

          --hpa-sync-period <DURATION>
              How often HPAs are evaluated, where EKS offers that, e.g. 10s [default: that of EKS]
    "#);
}

#[test]
fn an_unknown_flag_names_the_nearest() {
    let stderr = Run::of("bootstrap --clutser demo").end().refused(2);
    assert!(stderr.contains("--cluster"), "{stderr}");
}

#[test]
fn what_others_made_goes_only_with_its_cluster() {
    let stderr = Run::of("teardown --cluster demo --delete-foreign").end().refused(2);
    assert!(stderr.contains("--delete-cluster"), "{stderr}");
}

#[test]
fn without_a_cluster_every_command_says_how_to_name_one() {
    for command in ["bootstrap", "push", "teardown", "load", "status", "token", "kubeconfig"] {
        let stderr = Run::of(command).end().refused(2);
        assert!(stderr.starts_with("error: no cluster is named"), "{command}: {stderr}");
        assert!(stderr.contains("hint: give `--cluster NAME`"), "{command}: {stderr}");
    }
}

#[test]
fn a_name_that_does_not_fit_comes_with_a_proposal() {
    let stderr = Run::of("bootstrap --cluster Demo_1").end().refused(2);
    insta::assert_snapshot!(stderr, @r#"error: the cluster's name: `Demo_1` is not a valid stack name: 2 to 40 characters, lower-case letters, digits and single `-`, first a letter, last not `-`, try `--name demo-1`"#);
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let run = Run::of("bootstrap --timeout 10 --reaction slow")
        .env("PROVISIONER_CLUSTR", "demo")
        .file("provisioner.toml", "[target]\nclutser = 'demo'\n");
    let stderr = run.end().refused(2);
    insta::assert_snapshot!(stderr, @r#"
    error: unknown key `target.clutser` in `./provisioner.toml`, did you mean `target.cluster`?
    error: unknown variable `PROVISIONER_CLUSTR`, did you mean `PROVISIONER_CLUSTER`?
    error: `--reaction`: `slow` is none of `fast`, `seed`
    error: `--timeout`: `10` is not a duration: write it like `500ms`, `90s` or `1m30s`
    "#);
}

#[test]
fn errors_are_one_json_line_where_json_is_asked() {
    let stderr = Run::of("push --output json").end().refused(2);
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(error["event"], "error");
    assert_eq!(error["exit"], 2);
}

#[test]
fn a_wrong_command_line_is_one_json_line_too_and_help_is_text() {
    let runs = [
        Run::of("bootstrap --output json --clutser demo"),
        Run::of("--clutser demo bootstrap --output=json"),
        Run::of("load --output json --rate"),
        Run::of("--output json"),
        Run::of("").env("PROVISIONER_OUTPUT", "json"),
        Run::of("bootstrap --clutser demo --config other.toml").file("other.toml", "[output]\nformat = 'json'\n"),
    ];
    for run in runs {
        let stderr = run.end().refused(2);
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!(
            (&error["event"], &error["exit"]),
            (&"error".into(), &2.into()),
            "{stderr}"
        );
    }
    let stderr = Run::of("bootstrap --output json --clutser demo").end().refused(2);
    insta::assert_snapshot!(stderr, @r#"{"event":"error","message":"unexpected argument '--clutser' found","causes":[],"hint":"tip: a similar argument exists: '--cluster'\n\nUsage: provisioner bootstrap --output <FORMAT> --cluster <CLUSTER>\n\nFor more information, try '--help'.","remains":null,"exit":2}"#);
    let stderr = Run::of("bootstrap --clutser demo -- --output json").end().refused(2);
    assert!(stderr.starts_with("error: unexpected argument"), "{stderr}");
    for arguments in [
        "--help --output json",
        "--output json --version",
        "load --output json -h",
    ] {
        let ended = Run::of(arguments).end();
        assert_eq!(ended.code(), 0, "{arguments}");
        assert!(!ended.stdout().starts_with('{'), "{arguments}");
    }
}

#[test]
fn an_unknown_component_names_the_nearest_before_aws_is_asked() {
    let stderr = Run::of("bootstrap --cluster demo --region eu-west-1 --without grafanna")
        .unreachable_aws()
        .end()
        .refused(2);
    assert!(stderr.contains("grafanna"), "{stderr}");
    assert!(stderr.contains("`grafana`"), "{stderr}");
}

#[test]
fn without_a_region_bootstrap_says_how_to_give_one() {
    let stderr = Run::in_workspace("bootstrap --cluster demo --yes").end().refused(2);
    assert!(stderr.contains("region"), "{stderr}");
    assert!(stderr.contains("hint:"), "{stderr}");
}

#[test]
fn without_credentials_bootstrap_ends_before_anything_changes() {
    let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --yes --create-cluster");
    let stderr = run.end().refused(2);
    assert!(stderr.contains("credentials"), "{stderr}");
    assert!(stderr.contains("hint:"), "{stderr}");
    assert!(!stderr.contains("to remove:"), "{stderr}");
}

#[test]
fn an_endpoint_where_nobody_listens_is_a_failure_with_its_cause() {
    let run = Run::in_workspace("push --cluster demo --region eu-west-1");
    let stderr = run.unreachable_aws().end().refused(1);
    assert!(
        stderr.to_lowercase().contains("refused") || stderr.contains("connect"),
        "{stderr}"
    );
    assert!(
        stderr.contains("to resume:  provisioner push --cluster demo"),
        "{stderr}"
    );
}

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
fn flags_that_cannot_be_together_are_named_together() {
    let run = Run::of(
        "bootstrap --cluster demo --create-cluster --private-nodes --subnet-ids subnet-01234567,subnet-x --compute pods \
         --admin-arn me --public-access-cidr 203.0.113.7",
    );
    let stderr = run.end().refused(2);
    insta::assert_snapshot!(stderr, @r#"
    error: `--compute`: `pods` is none of `auto`, `nodegroup`
    error: `--subnet-ids`: `subnet-x` is not valid: like `subnet-0123456789abcdef0`
    error: `--admin-arn`: `me` is not valid: the ARN of an IAM role, of its session, or of a user
    error: `--public-access-cidr`: `203.0.113.7` is an address: write `203.0.113.7/32` for it alone
    error: `--private-nodes` and `--subnet-ids` cannot be together: nodes go to the subnets that are given, private or not
    "#);
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
        "ecr:DescribeRepositories on arn:aws:ecr:eu-west-1:123456789012:repository/demo/load",
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
       create    repository `demo/web-app`
       create    repository `demo/load`
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

#[test]
fn a_binary_that_no_image_can_run_is_refused_before_aws_is_asked() {
    let run = Run::of("bootstrap --cluster demo --region eu-west-1 --binary /bin/true");
    let stderr = run.unreachable_aws().end().refused(2);
    assert!(stderr.contains("dynamically linked"), "{stderr}");
}

#[test]
fn a_source_that_cannot_be_built_is_refused_before_anything_is_paid_for() {
    let aws = FakeAws::start();
    let create = "bootstrap --cluster demo --region eu-west-1 --create-cluster --yes";
    let without_cargo = Run::of(create).file("Cargo.toml", "[workspace]\n");
    let stderr = without_cargo.env("PATH", "/nowhere").aws(&aws.url).end().refused(2);
    assert!(stderr.contains("cannot run `cargo`"), "{stderr}");
    assert!(stderr.contains("`--binary PATH`"), "{stderr}");
    let without_rustc = Run::in_workspace(create).env("RUSTC", "/nowhere/rustc");
    let stderr = without_rustc.aws(&aws.url).end().refused(2);
    assert!(stderr.contains("cannot run `/nowhere/rustc`"), "{stderr}");
    assert_eq!(aws.asked(), Vec::<String>::new());
}

#[test]
fn without_a_workspace_the_hint_names_both_ways() {
    let run = Run::of("push --cluster demo --region eu-west-1");
    let stderr = run.unreachable_aws().end().refused(2);
    assert!(
        stderr.contains("--workspace") && stderr.contains("--binary"),
        "{stderr}"
    );
}

const KUBECONFIG: &str = "{contexts: [{name: kind-dev, context: {cluster: c, user: u}}], users: [{name: u, user: {}}],
  clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";

#[test]
fn an_unknown_context_is_refused_with_the_known_ones_and_without_aws() {
    for command in ["bootstrap", "teardown", "load", "status", "kubeconfig"] {
        let run = Run::in_workspace(&format!("{command} --kube-context kind --registry ghcr.io/team"));
        let stderr = run.file(".kube/config", KUBECONFIG).end().refused(2);
        assert!(stderr.contains("there is no context `kind`"), "{command}: {stderr}");
        assert!(stderr.contains("contexts: `kind-dev`"), "{command}: {stderr}");
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_a_failure_that_names_it() {
    let run = Run::of("status --kube-context kind-dev --timeout 1s").file(".kube/config", KUBECONFIG);
    let stderr = run.end().refused(1);
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
}

#[test]
fn a_context_is_in_the_kubeconfig_already_and_becomes_current_where_asked() {
    let run = Run::of("kubeconfig --kube-context kind-dev --current").file(".kube/config", KUBECONFIG);
    let ended = run.end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    assert!(
        ended.stdout().starts_with("context   kind-dev, current\n"),
        "{}",
        ended.stdout()
    );
    let run = Run::of("kubeconfig --kube-context kind-dev --stdout").file(".kube/config", KUBECONFIG);
    assert!(run.end().refused(2).contains("already"));
}

#[test]
fn tokens_are_for_eks_clusters() {
    let stderr = Run::of("token --kube-context kind-dev").end().refused(2);
    assert!(stderr.contains("EKS"), "{stderr}");
}

#[test]
fn completions_need_no_settings() {
    let ended = Run::of("completions bash").env("PROVISIONER_NONSENSE", "1").end();
    assert_eq!(ended.code(), 0);
    assert!(ended.stdout().contains("_provisioner()"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_provisioner"))
        .args(["completions", "bash"])
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_settings_file_may_ask_for_json_errors_too() {
    let file = "[output]\nformat = 'json'\n[target]\ncluster = 'demo'\nregion = 'eu-west-1'\n";
    for arguments in ["status", "status --timeout 10"] {
        let run = Run::of(arguments).file("provisioner.toml", file);
        let stderr = run.end().refused(2);
        let last = stderr.trim_end().lines().last().unwrap();
        let error: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(error["event"], "error", "{stderr}");
    }
}

#[test]
fn words_that_are_not_utf8_end_in_an_error_and_no_panic() {
    let run = Run::in_workspace("push --cluster demo --region eu-west-1 --image-refs");
    let stderr = run.argument(b"refs-\xff").unreachable_aws().end().refused(1);
    assert!(stderr.contains("to resume:  provisioner push"), "{stderr}");
    let run = Run::of("status --cluster demo").env_bytes("PROVISIONER_REGION", b"eu-\xff");
    let stderr = run.end().refused(2);
    assert!(stderr.contains("`PROVISIONER_REGION`"), "{stderr}");
}

#[test]
fn a_log_that_nobody_reads_is_no_panic() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_provisioner"))
        .args(["status", "--cluster", "demo", "--region", "eu-west-1"])
        .env_clear()
        .envs([
            ("PROVISIONER_LOG", "trace"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused() {
    let run = Run::of("status --cluster demo").env("PROVISIONER_LOG", "a=b=c");
    let stderr = run.end().refused(2);
    assert!(stderr.contains("`PROVISIONER_LOG`: `a=b=c` is no filter"), "{stderr}");
}
