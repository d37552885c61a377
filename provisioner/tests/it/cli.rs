//! What the command line promises: exit codes, streams, and that bad input ends before anything happens.

use crate::fake_aws::FakeAws;
use crate::run::Run;

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
    for command in [
        "bootstrap",
        "plan",
        "push --rollout",
        "teardown",
        "load",
        "status",
        "token",
        "kubeconfig",
    ] {
        let stderr = Run::of(command).end().refused(2);
        assert!(stderr.starts_with("error: no cluster is named"), "{command}: {stderr}");
        assert!(stderr.contains("hint: give `--cluster NAME`"), "{command}: {stderr}");
    }
}

#[test]
fn a_push_needs_the_name_of_a_stack_only() {
    let stderr = Run::of("push").end().refused(2);
    assert!(stderr.starts_with("error: no stack is named"), "{stderr}");
    assert!(stderr.contains("hint: give `--name NAME`"), "{stderr}");
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
fn a_wrong_setting_stops_only_commands_that_use_it() {
    let file = "reaction = 'slow'\n[image]\nworkspace = 'gone'\n[eks]\ncompute = 'fargate'\n";
    let with = |command: &str| Run::of(command).file("provisioner.toml", file).unreachable_aws();
    let stderr = with("token --cluster demo --region eu-west-1").end().stderr();
    assert!(!stderr.contains("provisioner.toml"), "{stderr}");
    let stderr = with("push --cluster demo --region eu-west-1").end().refused(2);
    assert!(
        stderr.contains("is no folder") && !stderr.contains("fargate"),
        "{stderr}"
    );
    let stderr = with("bootstrap --cluster demo --region eu-west-1").end().refused(2);
    assert!(stderr.contains("`slow`") && stderr.contains("fargate"), "{stderr}");
    // Who looks at the chain uses what describes it, and nothing of a new cluster or of images.
    for (key, text) in [
        ("prometheus.url", "[prometheus]\nurl = 'prometheus:9090'\n"),
        ("eks.hpa-sync-period", "[eks]\nhpa-sync-period = '1500ms'\n"),
        ("reaction", "reaction = 'slow'\n"),
        ("app.port", "[app]\nport = 80\n"),
    ] {
        let file = format!("{text}[image]\nworkspace = 'gone'\n");
        for command in ["status", "load", "dashboard", "doctor"] {
            let command = format!("{command} --cluster demo --region eu-west-1");
            let run = Run::of(&command).file("provisioner.toml", &file).unreachable_aws();
            let stderr = run.end().refused(2);
            let said = format!("`{key}` in `./provisioner.toml`");
            assert!(stderr.contains(&said), "{command}: {stderr}");
            let of_images = stderr.contains("image.workspace");
            assert_eq!(of_images, command.starts_with("load"), "{command}: {stderr}");
        }
    }
    let run = Run::of("doctor --cluster demo --region eu-west-1 --timeout 1s")
        .file("provisioner.toml", "[eks]\ncompute = 'fargate'\n");
    let stderr = run.unreachable_aws().end().stderr();
    assert!(!stderr.contains("fargate"), "{stderr}");
    // A name that nothing has is a slip, whoever reads it.
    let run = Run::of("token --cluster demo").file("provisioner.toml", "[imgae]\n");
    assert!(run.end().refused(2).contains("did you mean `image`?"));
}

#[test]
fn what_is_passed_over_is_told() {
    let run = Run::of("push --cluster demo --region eu-west-1 --archive app.tar")
        .file("app.tar", "")
        .env("PROVISIONER_SBOM", "spdx")
        .unreachable_aws();
    let stderr = run.end().stderr();
    let said = "`PROVISIONER_SBOM` is passed over beside `--archive`: nothing is known of what it is made of";
    assert!(stderr.contains(said), "{stderr}");
}

#[test]
fn a_plan_has_no_references_to_write() {
    for command in ["plan", "bootstrap --dry-run"] {
        let run = Run::of(&format!(
            "{command} --cluster demo --region eu-west-1 --image-refs refs"
        ));
        let stderr = run.unreachable_aws().end().refused(2);
        assert!(stderr.contains("a plan pushes nothing"), "{stderr}");
    }
}

#[test]
fn a_prometheus_that_pods_cannot_use_is_refused_without_its_password() {
    for (url, why) in [
        (
            "http://me:hunter2@prom.example:9090",
            "must not hold a user or password",
        ),
        ("http://localhost:9090", "the pod itself"),
        ("prom.example:9090", "has to begin with `http://` or `https://`"),
    ] {
        let command = format!("bootstrap --cluster demo --region eu-west-1 --yes --prometheus-url {url}");
        let stderr = Run::of(&command).unreachable_aws().end().refused(2);
        assert!(
            stderr.contains("`--prometheus-url` is no URL of a Prometheus") && stderr.contains(why),
            "{stderr}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
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

#[test]
fn a_rollout_needs_a_cluster_and_going_back_needs_a_rollout() {
    let stderr = Run::of("push --name demo --rollout").end().refused(2);
    assert!(stderr.starts_with("error: no cluster is named"), "{stderr}");
    for flag in ["--rollback-on-failure", "--force-conflicts"] {
        let stderr = Run::of(&format!("push --cluster demo {flag}")).end().refused(2);
        assert!(stderr.contains("--rollout"), "{stderr}");
    }
}

#[test]
fn a_rollout_on_a_cluster_that_does_not_answer_builds_nothing() {
    let kubeconfig = "{contexts: [{name: dev, context: {cluster: c, user: u}}], users: [{name: u, user: {}}],
      clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
    let run = Run::in_workspace("push --kube-context dev --registry ghcr.io/team --rollout --timeout 1s");
    let stderr = run.file(".kube/config", kubeconfig).end().refused(1);
    assert!(stderr.contains("127.0.0.1:1") && !stderr.contains("build"), "{stderr}");
}
