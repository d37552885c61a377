//! The exact commands that go on from a failure, or remove what it left.

use super::{CHECK, Context};
use crate::cli::Command;
use crate::cluster::load_job::LOAD_JOB;
use crate::cluster::values::Namespaces;
use crate::config::{Config, Target};
use crate::error::{Error, Exit, Remains, RollsOut};
use crate::image::RegistryPrefix;
use crate::report::Entries;

/// The error with what remains, where the command may have changed something. `context` has the region that the
/// commands are to name; `arguments` are those of the process.
pub fn with_remains(
    error: Error,
    command: &Command,
    context: &Context,
    mut entries: Entries,
    arguments: impl IntoIterator<Item = String>,
) -> Error {
    let untouched = !entries.changed && entries.pending.is_empty();
    if !command.changes() || (error.exit() == Exit::Usage && untouched) {
        return error;
    }
    // Whoever was only looking around has nothing to remove, and may have a stack of an earlier run.
    let looking = untouched && entries.phase.as_deref() == Some(CHECK);
    let mut resume = again(arguments);
    let mut config = context.config.clone();
    if let (None, Some(region)) = (&config.target.region, context.region.get()) {
        resume = format!("{resume} --region {region}");
        config.target.region = Some(region.clone());
    }
    let has_load = matches!(command, Command::Load(_)) && entries.made.iter().any(|made| made.starts_with("Job"));
    if has_load && !resume.split(' ').any(|word| word == "--replace") {
        resume.push_str(" --replace");
    }
    // A stack is not to be offered for removal because a push or a load on it failed.
    let remove = match command {
        _ if looking => None,
        Command::Bootstrap(_) => Some(teardown(&config)),
        Command::Push(push) if !push.rollout && !entries.made.is_empty() => Some(teardown(&config)),
        Command::Load(_) if has_load => Some(delete_job(&config)),
        _ => None,
    };
    let rollout = context.rollout.left().map(|moved| {
        // It is told with its images; that it may exist says less.
        entries.pending.remove(&moved.deployment.to_string());
        let back = moved.previous.as_ref().map(|image| go_back(&config, image));
        RollsOut::new(&moved, back)
    });
    error.remaining(Remains {
        rollout,
        removing: matches!(command, Command::Teardown(_)),
        cost: context.bill.get().and_then(|bill| bill.of(&entries)),
        ..Remains::new(entries, resume, remove)
    })
}

/// The command as it was given.
fn again(arguments: impl IntoIterator<Item = String>) -> String {
    let given = arguments.into_iter().skip(1).map(|argument| quoted(&argument));
    std::iter::once("provisioner".to_owned())
        .chain(given)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The command that removes what bootstrap with this configuration creates.
pub(super) fn teardown(config: &Config) -> String {
    let mut words = target_command(config, "teardown");
    if config.eks.create_cluster {
        words.push_str(" --delete-cluster");
    }
    words
}

/// The command that moves the app to an image that it had.
fn go_back(config: &Config, image: &str) -> String {
    format!("{} --rollout --image {}", target_command(config, "push"), quoted(image))
}

/// The command that ends a load and removes its report.
fn delete_job(config: &Config) -> String {
    let namespace = Namespaces::default().app;
    let kubectl = kubectl(config);
    format!("{kubectl} delete job --namespace {namespace} {LOAD_JOB} --ignore-not-found")
}

/// `kubectl` as it finds the cluster: by the context that is named, else by the current one.
pub(super) fn kubectl(config: &Config) -> String {
    let context = config.target.kube_context.as_ref();
    context.map_or_else(
        || "kubectl".to_owned(),
        |name| format!("kubectl --context {}", quoted(name)),
    )
}

/// `provisioner VERB` with the flags that name the target.
pub(super) fn target_command(config: &Config, verb: &str) -> String {
    // Every field: what names another kind of target has to be said here, too.
    let Target {
        cluster,
        kube_context,
        registry,
        stack,
        region,
        profile,
    } = &config.target;
    let name = stack.as_ref().map(ToString::to_string);
    let name = name.filter(|name| Some(name) != cluster.as_ref().or(kube_context.as_ref()));
    // Looking at a stack needs no registry; loading it may have to push a loader.
    let registry = registry.as_ref().filter(|_| verb != "status");
    let registry = registry.map(RegistryPrefix::argument);
    let flags = [
        ("--cluster", cluster),
        ("--kube-context", kube_context),
        ("--registry", &registry),
        ("--name", &name),
        ("--region", region),
        ("--profile", profile),
    ];
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
    let words = given.map(|(flag, value)| format!(" {flag} {}", quoted(value)));
    format!("provisioner {verb}{}", words.collect::<String>())
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;
    use crate::cluster::ObjectRef;
    use crate::cluster::rollout::Moved;

    fn remains(line: &[&str]) -> String {
        let (cli, context) = given(line);
        let words = line.iter().map(|word| (*word).to_owned());
        with_remains(Error::failed("x"), &cli.command, &context, Entries::default(), words).to_string()
    }

    #[test]
    fn a_failed_bootstrap_names_the_commands_to_go_on_and_to_remove() {
        let line = [
            "/usr/bin/provisioner",
            "bootstrap",
            "--cluster",
            "Demo",
            "--name",
            "demo",
            "--create-cluster",
            "--profile",
            "my team",
            "--tag",
            "v1",
        ];
        insta::assert_snapshot!(remains(&line), @r#"
        error: x

        remains:    nothing that this run made
        to resume:  provisioner bootstrap --cluster Demo --name demo --create-cluster --profile 'my team' --tag v1
        to remove:  provisioner teardown --cluster Demo --name demo --profile 'my team' --delete-cluster
        "#);
    }

    #[test]
    fn a_bootstrap_that_only_looked_around_offers_nothing_for_removal() {
        let (cli, context) = given(&["provisioner", "bootstrap", "--cluster", "demo"]);
        let told = |phase: &str| {
            let entries = Entries {
                phase: Some(phase.to_owned()),
                ..Entries::default()
            };
            with_remains(Error::failed("x"), &cli.command, &context, entries, []).to_string()
        };
        assert!(told("check").contains("to resume:") && !told("check").contains("to remove:"));
        assert!(told("stack").contains("to remove:"));
    }

    #[test]
    fn a_failed_teardown_is_resumed_by_itself_and_reading_commands_leave_nothing() {
        insta::assert_snapshot!(remains(&["provisioner", "teardown", "--cluster", "demo"]), @r#"
        error: x

        remains:    what is not told as deleted above
        to resume:  provisioner teardown --cluster demo
        "#);
        for reading in [
            &["status"][..],
            &["plan"],
            &["bootstrap", "--dry-run"],
            &["teardown", "--dry-run"],
        ] {
            let line = [&["provisioner"], reading, &["--cluster", "demo"]].concat();
            assert_eq!(remains(&line), "error: x", "{reading:?}");
        }
    }

    #[test]
    fn a_region_of_the_aws_configuration_is_named_in_the_commands() {
        let line = ["provisioner", "push", "--cluster", "demo"];
        let (cli, context) = given(&line);
        context.region.set("eu-west-1".into()).unwrap();
        let words = line.map(str::to_owned);
        let error = with_remains(Error::failed("x"), &cli.command, &context, Entries::default(), words);
        let text = error.to_string();
        assert!(
            text.ends_with("resume:  provisioner push --cluster demo --region eu-west-1"),
            "{text}"
        );
    }

    #[test]
    fn only_a_push_that_made_something_names_the_way_to_remove_it() {
        let made = |made: &[&str]| Entries {
            made: made.iter().map(|made| (*made).to_owned()).collect(),
            changed: !made.is_empty(),
            ..Entries::default()
        };
        for (verb, entries, removable) in [
            ("push", made(&[]), false),
            ("push", made(&["repository demo/web-app"]), true),
            ("load", made(&[]), false),
            ("bootstrap", made(&[]), true),
        ] {
            let (cli, context) = given(&["provisioner", verb, "--cluster", "demo"]);
            let text = with_remains(Error::failed("x"), &cli.command, &context, entries, []).to_string();
            assert_eq!(text.contains("to remove:"), removable, "{verb}: {text}");
            assert!(!text.contains("deleted above"), "{verb}: {text}");
        }
    }

    #[test]
    fn a_rollout_that_was_begun_is_told_with_the_way_back_and_removes_nothing() {
        let line = ["provisioner", "push", "--cluster", "demo", "--rollout"];
        let (cli, context) = given(&line);
        let deployment = ObjectRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("web-app".to_owned()),
            name: "web-app".to_owned(),
        };
        let entries = Entries {
            phase: Some("rollout".to_owned()),
            made: ["image r@sha256:1".to_owned()].into(),
            pending: [deployment.to_string()].into(),
            changed: true,
            ..Entries::default()
        };
        let moved = |previous: Option<&str>| Moved {
            deployment: deployment.clone(),
            image: "r@sha256:1".to_owned(),
            previous: previous.map(str::to_owned),
        };
        let told = |entries: &Entries| {
            let words = line.map(str::to_owned);
            let error = Error::signal(Exit::Interrupted);
            with_remains(error, &cli.command, &context, entries.clone(), words)
        };
        context.rollout.begin(moved(Some("r@sha256:0")));
        insta::assert_snapshot!(told(&entries), @r#"
        error: interrupted

        stopped in: rollout
        remains:    image r@sha256:1
        rolls out:  r@sha256:1 on Deployment web-app/web-app, which ran r@sha256:0
        to resume:  provisioner push --cluster demo --rollout
        to go back: provisioner push --cluster demo --rollout --image r@sha256:0
        "#);
        let json = told(&entries).render(crate::config::Format::Json);
        assert!(json.contains(r#""rollout":{"deployment":"web-app/web-app""#), "{json}");
        context.rollout.begin(moved(None));
        assert!(!told(&entries).to_string().contains("to go back"));
        context.rollout.end();
        assert!(!told(&entries).to_string().contains("rolls out"));
    }

    #[test]
    fn a_stack_outside_aws_is_resumed_and_removed_with_its_context_and_registry() {
        let line = [
            "provisioner",
            "bootstrap",
            "--kube-context",
            "kind",
            "--registry",
            "ghcr.io/team",
        ];
        let text = remains(&line);
        let end = "remove:  provisioner teardown --kube-context kind --registry ghcr.io/team";
        assert!(text.ends_with(end), "{text}");
        let (_, context) = given(&line);
        assert_eq!(
            target_command(&context.config, "status"),
            "provisioner status --kube-context kind"
        );
    }

    #[test]
    fn nothing_remains_of_a_usage_error() {
        let (cli, context) = given(&["provisioner", "push", "--cluster", "demo"]);
        let error = with_remains(Error::usage("x"), &cli.command, &context, Entries::default(), []);
        assert_eq!(error.to_string(), "error: x");
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn what_looks_like_usage_after_a_change_is_a_failure() {
        let (cli, context) = given(&["provisioner", "push", "--cluster", "demo"]);
        // Also where nothing new was made: something was updated or deleted.
        for made in [&["repository a"][..], &[]] {
            let entries = Entries {
                made: made.iter().map(|made| (*made).to_owned()).collect(),
                changed: true,
                ..Entries::default()
            };
            let error = with_remains(Error::usage("x"), &cli.command, &context, entries, []);
            assert_eq!(error.exit(), Exit::Failed);
        }
    }

    #[test]
    fn a_load_that_goes_on_is_ended_by_the_command_that_is_named() {
        let line = ["provisioner", "load", "--kube-context", "kind demo", "--name", "demo"];
        let (cli, context) = given(&line);
        let made = Entries {
            made: ["Job web-app/web-app-load".to_owned()].into(),
            ..Entries::default()
        };
        let words = line.map(str::to_owned);
        let error = with_remains(Error::failed("x"), &cli.command, &context, made, words).to_string();
        assert!(
            error.contains("resume:  provisioner load --kube-context 'kind demo' --name demo --replace\n"),
            "{error}"
        );
        let remove =
            "to remove:  kubectl --context 'kind demo' delete job --namespace web-app web-app-load --ignore-not-found";
        assert!(error.ends_with(remove), "{error}");
    }

    #[test]
    fn words_survive_the_shell() {
        for (word, expected) in [
            ("a-b/c=1", "a-b/c=1"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
