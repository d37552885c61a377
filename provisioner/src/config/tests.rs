use super::*;
use crate::image::{Compression, Given, Platform};

fn sources(flags: &[(&'static str, &str)], env: &[(&str, &str)], file: &str) -> (Sources, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    if !file.is_empty() {
        std::fs::write(folder.path().join(FILE), file).unwrap();
    }
    let mut layer = Layer::default();
    for (flag, value) in flags {
        layer.flag(flag, vec![(*value).to_owned()]);
    }
    let variables = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sources = Sources {
        flags: layer,
        variables,
        file: None,
        folder: folder.path().to_path_buf(),
    };
    (sources, folder)
}

pub(super) fn resolve(flags: &[(&'static str, &str)], env: &[(&str, &str)], file: &str) -> Result<Config, Vec<String>> {
    let (sources, folder) = sources(flags, env, file);
    let shown = folder.path().display().to_string();
    Config::resolve(&sources).map_err(|problems| {
        problems
            .0
            .iter()
            .map(|p| {
                let hint = p.hint.as_deref().map(|h| format!(", {h}")).unwrap_or_default();
                format!("{}{hint}", p.message).replace(&shown, "DIR")
            })
            .collect()
    })
}

#[test]
fn nothing_given_means_defaults_and_no_target() {
    let config = resolve(&[], &[], "").unwrap();
    assert_eq!(config.target, Target::default());
    assert_eq!(config.reaction, Reaction::Fast);
    assert_eq!(config.output.format, Format::Text);
    assert_eq!(config.output.timeout, Duration::from_mins(30));
    assert_eq!(config.output.poll_interval, Duration::from_secs(10));
}

#[test]
fn flags_beat_variables_beat_the_file() {
    let file = "[target]\ncluster = 'from-file'\n";
    let cluster = |flags, env| resolve(flags, env, file).unwrap().target.cluster.unwrap();
    let env = &[("PROVISIONER_CLUSTER", "from-env")];
    assert_eq!(cluster(&[], &[]), "from-file");
    assert_eq!(cluster(&[], env), "from-env");
    assert_eq!(cluster(&[("cluster", "from-flag")], env), "from-flag");
    assert_eq!(cluster(&[], &[("PROVISIONER_CLUSTER", "")]), "from-file");
}

const EVERY_SECTION: &str = r#"
reaction = "seed"
certificates = "own"
[target]
cluster = "Demo"
name = "demo"
region = "eu-west-1"
profile = "work"
registry = "ghcr.io/team"
[eks]
create-cluster = true
k8s-version = "1.34"
compute = "nodegroup"
private-nodes = true
cluster-role-arn = "arn:aws:iam::123456789012:role/cluster"
node-role-arn = "arn:aws:iam::123456789012:role/nodes"
admin-arn = ["arn:aws:iam::123456789012:role/admin"]
public-access-cidr = ["203.0.113.0/24"]
control-plane-logs = ["audit"]
hpa-sync-period = "10s"
[image]
tag = "v1"
binary = "provisioner.toml"
compression = "zstd"
workspace = "."
image-refs = "refs.txt"
[stack]
without = ["grafana"]
manifests = "."
take-over = true
force-conflicts = true
adopt = true
recreate = true
[prometheus]
url = "http://prometheus.mon.svc:9090/"
[output]
format = "json"
quiet = true
verbose = true
no-color = true
timeout = "1m30s"
poll-interval = "500ms"
"#;

#[test]
fn every_key_of_the_file_is_read() {
    let (sources, folder) = sources(&[], &[], EVERY_SECTION);
    let config = Config::resolve(&sources).unwrap();
    assert_eq!(config.target.cluster.as_deref(), Some("Demo"));
    assert_eq!(config.target.stack.map(|s| s.to_string()).as_deref(), Some("demo"));
    assert_eq!(config.target.region.as_deref(), Some("eu-west-1"));
    assert_eq!(config.target.profile.as_deref(), Some("work"));
    assert!(config.eks.create_cluster);
    assert_eq!(config.eks.k8s_version.as_deref(), Some("1.34"));
    assert!(config.eks.private_nodes && config.eks.compute.is_some());
    assert!(config.eks.cluster_role_arn.is_some() && config.eks.node_role_arn.is_some());
    assert_eq!(config.eks.admin_arns.len(), 1);
    assert_eq!(config.eks.public_access_cidrs, ["203.0.113.0/24"]);
    assert_eq!(config.eks.control_plane_logs, ["audit"]);
    assert_eq!(config.eks.hpa_sync_period, Some(Duration::from_secs(10)));
    assert_eq!(config.image.tag.as_deref(), Some("v1"));
    assert_eq!(
        config.image.binaries,
        [given(None, folder.path().join("provisioner.toml"))]
    );
    assert_eq!(config.image.compression, Compression::Zstd);
    assert_eq!(config.image.refs, Some(folder.path().join("refs.txt")));
    assert_eq!(config.stack.without, ["grafana"]);
    assert!(config.stack.manifests.is_some());
    assert!(config.stack.take_over && config.stack.adopt && config.stack.force_conflicts && config.stack.recreate);
    assert_eq!(
        config.target.registry.map(|r| r.to_string()).as_deref(),
        Some("ghcr.io/team")
    );
    assert_eq!(config.reaction, Reaction::Seed);
    let url = config.prometheus.url.map(|url| url.to_string());
    assert_eq!(url.as_deref(), Some("http://prometheus.mon.svc:9090"));
    assert_eq!(config.certificates, Choice::Own);
    let output = config.output;
    assert_eq!(output.format, Format::Json);
    assert!(output.quiet && output.verbose && output.no_color);
    assert_eq!(output.timeout, Duration::from_secs(90));
    assert_eq!(output.poll_interval, Duration::from_millis(500));
}

#[test]
fn unknown_keys_name_the_nearest() {
    let cases = [
        (
            "[target]\nclutser = 'a'",
            "unknown key `target.clutser` in `DIR/provisioner.toml`, did you mean `target.cluster`?",
        ),
        (
            "[eks]\ncreate_cluster = true",
            "unknown key `eks.create_cluster` in `DIR/provisioner.toml`, did you mean `eks.create-cluster`?",
        ),
        (
            "[targt]\nx = 1",
            "unknown key `targt` in `DIR/provisioner.toml`, did you mean `target`?",
        ),
        (
            "region = 'eu-west-1'",
            "unknown key `region` in `DIR/provisioner.toml`, did you mean `target.region`?",
        ),
        (
            "[stack]\nvalues = 1",
            "unknown key `stack.values` in `DIR/provisioner.toml`, did you mean `values`?",
        ),
        ("[wholly]\nother = 1", "unknown key `wholly` in `DIR/provisioner.toml`"),
        (
            "[eks]\ndelete-cluster = true",
            "`eks.delete-cluster` in `DIR/provisioner.toml` is no setting: `--delete-cluster` can only be given as a flag",
        ),
        (
            "target = 'demo'",
            "`target` in `DIR/provisioner.toml` must be a section",
        ),
        (
            "[eks]\ncreate-cluster = 'yes'",
            "`eks.create-cluster` in `DIR/provisioner.toml` must be `true` or `false`",
        ),
        (
            "[stack]\nwithout = 'grafana'",
            "`stack.without` in `DIR/provisioner.toml` must be a list of texts",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(resolve(&[], &[], file), Err(vec![expected.to_owned()]), "{file}");
    }
    assert_eq!(
        resolve(&[], &[("PROVISIONER_CLUSTR", "a")], ""),
        Err(vec![
            "unknown variable `PROVISIONER_CLUSTR`, did you mean `PROVISIONER_CLUSTER`?".to_owned()
        ])
    );
}

#[test]
fn invalid_values_name_their_source() {
    let cases: &[(&'static str, &str, &str)] = &[
        (
            "prometheus-url",
            "http://localhost:9090",
            "`--prometheus-url` is no URL of a Prometheus: it is for pods",
        ),
        ("cluster", "-demo", "`--cluster`: `-demo` is not valid"),
        (
            "cluster",
            "Demo",
            "the cluster's name: `Demo` is not a valid stack name",
        ),
        ("name", "Demo", "`--name`: `Demo` is not a valid stack name"),
        ("region", "eu-west-1.evil.example", "`--region`: "),
        ("k8s-version", "34", "`--k8s-version`: `34` is not valid: like `1.34`"),
        ("admin-arn", "admin", "`--admin-arn`: "),
        ("tag", "a b", "`--tag`: "),
        ("tag", "input-0123", "`--tag`: `input-0123` is not valid: "),
        ("binary", "/nowhere/app", "`--binary`: `/nowhere/app` is no file"),
        ("binary", "linux/arm64=/nowhere", "`--binary`: `/nowhere` is no file"),
        (
            "binary",
            "linux/arm=/bin/sh",
            "`--binary`: `linux/arm` is none of `linux/amd64`",
        ),
        (
            "platform",
            "linux/amd46",
            "`--platform`: `linux/amd46` is none of `linux/amd64`, `linux/arm64`, did you mean `linux/amd64`?",
        ),
        ("workspace", "/nowhere", "`--workspace`: `/nowhere` is no folder"),
        (
            "reaction",
            "fats",
            "`--reaction`: `fats` is none of `fast`, `seed`, did you mean `fast`?",
        ),
        ("timeout", "10", "`--timeout`: `10` is not a duration: write"),
        ("poll-interval", "0s", "`--poll-interval`: `0s` must be longer"),
    ];
    for (flag, value, expected) in cases {
        let problems = resolve(&[(flag, value)], &[], "").unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(expected), "{} / {expected}", problems[0]);
    }
}

#[test]
fn a_cluster_name_that_does_not_fit_comes_with_a_proposal() {
    let problems = resolve(&[("cluster", "Demo_1")], &[], "").unwrap_err();
    assert!(problems[0].ends_with("try `--name demo-1`"), "{problems:?}");
    assert!(resolve(&[("cluster", "x")], &[], "").unwrap_err()[0].ends_with("with `--name NAME`"));
    assert!(resolve(&[("cluster", "Demo_1"), ("name", "demo-1")], &[], "").is_ok());
}

#[test]
fn cluster_or_context_and_the_higher_source_decides() {
    let file = "[target]\ncluster = 'demo'\nname = 'demo'\n[eks]\ncreate-cluster = true\n";
    let config = resolve(&[("kube-context", "kind")], &[], file).unwrap();
    assert_eq!(
        (config.target.cluster, config.target.kube_context.as_deref()),
        (None, Some("kind"))
    );
    assert!(
        !config.eks.create_cluster,
        "no cluster is created where a context is named"
    );
    let config = resolve(&[("cluster", "demo")], &[("PROVISIONER_KUBE_CONTEXT", "kind")], file).unwrap();
    assert_eq!(
        (config.target.cluster.as_deref(), config.target.kube_context),
        (Some("demo"), None)
    );
    assert!(config.eks.create_cluster);
    let problems = resolve(&[("cluster", "demo"), ("kube-context", "kind")], &[], "").unwrap_err();
    assert!(problems[0].starts_with("cluster and kube-context"), "{problems:?}");
    let problems = resolve(&[("create-cluster", "true"), ("kube-context", "kind")], &[], "").unwrap_err();
    assert!(problems[0].contains("needs `--cluster`"), "{problems:?}");
}

#[test]
fn a_context_name_that_does_not_fit_comes_with_a_proposal() {
    let problems = resolve(&[("kube-context", "admin@host.example")], &[], "").unwrap_err();
    assert!(problems[0].starts_with("the context's name: "), "{problems:?}");
    assert!(problems[0].ends_with("try `--name admin-host-example`"), "{problems:?}");
}

#[test]
fn a_registry_that_cannot_be_used_is_named_without_its_password() {
    let problems = resolve(&[("registry", "me:hunter2@ghcr.io/team")], &[], "").unwrap_err();
    assert!(problems[0].starts_with("`--registry` is not valid: "), "{problems:?}");
    assert!(!problems[0].contains("hunter2"), "{problems:?}");
}

#[test]
fn all_problems_of_all_sources_come_at_once() {
    let problems = resolve(
        &[("tag", "a b")],
        &[("PROVISIONER_OUTPUT", "yaml"), ("PROVISIONER_QUIET", "perhaps")],
        "[target]\nregion = 'nowhere'\nclutser = 'a'",
    )
    .unwrap_err();
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_a_problem() {
    let (mut given, _folder) = sources(&[], &[], "");
    given.file = Some("/nowhere/provisioner.toml".into());
    assert!(
        Config::resolve(&given)
            .unwrap_err()
            .to_string()
            .starts_with("cannot read")
    );
    let problems = resolve(&[], &[], "[target").unwrap_err();
    assert!(problems[0].contains("is not valid TOML"), "{problems:?}");
}

#[test]
fn no_color_of_the_environment_is_honoured() {
    assert!(resolve(&[], &[("NO_COLOR", "1")], "").unwrap().output.no_color);
    assert!(!resolve(&[], &[("NO_COLOR", "")], "").unwrap().output.no_color);
}

#[test]
fn the_format_of_errors_comes_from_every_source_even_where_another_setting_is_wrong() {
    let format = |flags, env, file| sources(flags, env, file).0.format();
    let file = "[output]\nformat = 'json'\n";
    // The folder of the file is gone once its sources are dropped, so they are kept here.
    let (kept, _folder) = sources(&[("timeout", "10")], &[], file);
    assert!(Config::resolve(&kept).is_err());
    assert_eq!(kept.format(), Format::Json);
    let (kept, _folder) = sources(&[("output", "text")], &[], file);
    assert_eq!(kept.format(), Format::Text);
    assert_eq!(format(&[], &[("PROVISIONER_OUTPUT", "json")], ""), Format::Json);
    assert_eq!(format(&[("output", "yaml")], &[], ""), Format::Text);
}

#[test]
fn a_workspace_of_a_higher_source_beats_a_binary_and_a_binary_any_workspace_else() {
    let file = "[image]\nbinary = 'provisioner.toml'\n";
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().to_str().unwrap();
    let (flag, variable) = ([("workspace", workspace)], [("PROVISIONER_WORKSPACE", workspace)]);
    let binary = |flags, env, file| resolve(flags, env, file).unwrap().image.binaries.pop();
    assert!(binary(&[], &[], file).is_some());
    assert_eq!(binary(&flag, &[], file), None);
    assert_eq!(binary(&[], &variable, file), None);
    let both = format!("{file}workspace = '{workspace}'\n");
    assert!(binary(&[], &[], &both).is_some());
    // What is not used need not exist.
    let gone = "[image]\nbinary = 'gone'\n";
    assert_eq!(binary(&flag, &[], gone), None);
}

fn given(platform: Option<Platform>, path: PathBuf) -> Given {
    Given { platform, path }
}

#[test]
fn platforms_and_their_binaries_come_from_every_source() {
    let file = "[image]\nplatform = ['linux/arm64', 'linux/amd64', 'linux/arm64']\n\
        binary = ['linux/arm64=provisioner.toml', './provisioner.toml']\n";
    let (kept, folder) = sources(&[], &[], file);
    let image = Config::resolve(&kept).unwrap().image;
    assert_eq!(image.platforms, [Platform::Arm64, Platform::Amd64]);
    let of_file = folder.path().join("provisioner.toml");
    let expected = [
        given(Some(Platform::Arm64), of_file),
        given(None, folder.path().join("./provisioner.toml")),
    ];
    assert_eq!(image.binaries, expected);
    let variables = [
        ("PROVISIONER_PLATFORM", "linux/amd64,linux/arm64"),
        ("PROVISIONER_BINARY", "linux/amd64=/bin/sh"),
    ];
    let image = resolve(&[], &variables, "").unwrap().image;
    assert_eq!(image.platforms, [Platform::Amd64, Platform::Arm64]);
    assert_eq!(image.binaries, [given(Some(Platform::Amd64), "/bin/sh".into())]);
}

#[test]
fn an_administrator_is_a_user_a_role_or_a_session_of_one() {
    let resolve = |arn: &str| resolve(&[("admin-arn", arn)], &[], "");
    for arn in [
        "arn:aws:iam::123456789012:user/a",
        "arn:aws:iam::123456789012:role/team/ci",
        "arn:aws-cn:iam::123456789012:role/ci",
        "arn:aws:sts::123456789012:assumed-role/ci/run-1",
    ] {
        assert!(resolve(arn).is_ok(), "{arn}");
    }
    for arn in [
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::1234:role/ci",
        "arn:aws:sts::123456789012:assumed-role/ci",
        "arn:aws:sts::123456789012:role/ci",
        "arn:aws:iam::123456789012:assumed-role/ci/run-1",
    ] {
        assert!(resolve(arn).is_err(), "{arn}");
    }
}
