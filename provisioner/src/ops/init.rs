//! `init`: settings and manifests for a project that has none. It asks on a terminal and never overwrites.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::resume::quoted;
use super::{Context, ask, images};
use crate::cli;
use crate::cluster::app::{self, App};
use crate::cluster::manifest;
use crate::config::{self, FILE, Target};
use crate::error::Error;
use crate::image::{ImageRef, RegistryPrefix};
use crate::names::StackName;
use crate::report::Answer;

/// The component of the app.
const COMPONENT: &str = "app";
/// Where it goes: a folder of components beside the settings.
const MANIFESTS: &str = "stack";
/// How an app that is not the sample app runs.
const DEPLOYMENT: &str = include_str!("init/deployment.yaml");

/// After an answer that cannot be.
const AGAIN: &str = "nothing was written: run `provisioner init` again";

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    files: Vec<String>,
    /// The commands that follow.
    next: Vec<String>,
}

/// What the files say.
#[derive(Debug, PartialEq)]
struct Project {
    target: Target,
    image: Option<String>,
    app: App,
}

/// Asks for what no flag gives, and writes the files.
///
/// # Errors
/// A file exists already, or an answer cannot be: exit 2, nothing was written.
pub(super) async fn run(flags: &cli::Init, context: &Context) -> Result<Answer, Error> {
    let settings = flags.folder.join(FILE);
    let manifests = flags.folder.join(MANIFESTS);
    for path in [&settings, &manifests] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::usage(format!("`{}` exists, and `init` overwrites nothing", path.display()))
                .hint("give another `--folder`, or go on with what is there: `provisioner config show`, `provisioner plan`"));
        }
    }
    let project = Project::of(flags, context).await?;
    let image = &context.config.image;
    let next = project.next(&settings, image.made.is_some() || images::is_workspace(image));
    let mut files = vec![(settings, project.settings())];
    files.extend(
        Project::manifests()
            .into_iter()
            .map(|(path, text)| (manifests.join(path), text)),
    );
    write_all(&files)?;
    let written = Written {
        files: files.iter().map(|(path, _)| path.display().to_string()).collect(),
        next,
    };
    Answer::of(&written).map_err(Error::failed)
}

impl Project {
    /// What flags, variables and answers say.
    async fn of(flags: &cli::Init, context: &Context) -> Result<Self, Error> {
        let (target, given) = (&context.config.target, &context.config.app);
        let cluster = |text: &str| config::is_cluster(text).then(|| text.to_owned());
        let region = |text: &str| crate::aws::region::check(text).is_ok().then(|| text.to_owned());
        let mut project = Self {
            target: target.clone(),
            image: flags.image.clone(),
            app: given.clone(),
        };
        if !context.can_ask || context.yes {
            return Ok(project);
        }
        if target.cluster.is_none() && target.kube_context.is_none() {
            let name = asked("name of the EKS cluster", "demo", cluster).await?;
            // The stack has the cluster's name where that can be one.
            if let (None, Err(error)) = (&target.stack, name.parse::<StackName>()) {
                let proposal = error.proposal.unwrap_or_default();
                project.target.stack = Some(asked("name of the stack", &proposal, |text| text.parse().ok()).await?);
            }
            project.target.cluster = Some(name);
        }
        if target.region.is_none() && target.kube_context.is_none() {
            project.target.region = Some(asked("AWS region", "eu-west-1", region).await?);
        }
        if target.kube_context.is_some() && target.registry.is_none() {
            let answer = ask::line("registry for images, like ghcr.io/team (empty: ECR)", "").await?;
            project.target.registry = given_or_none::<RegistryPrefix>(&answer, "registry")?;
        }
        if project.image.is_none() {
            let answer = ask::line("image of the app (empty: built from a cargo workspace here)", "").await?;
            project.image = given_or_none::<ImageRef>(&answer, "image")?.map(|_| answer);
        }
        let App {
            port,
            metrics_path,
            counter,
            ..
        } = given;
        if flags.app.app_port.is_none() {
            project.app.port = asked("port of the app", &port.to_string(), app::port).await?;
        }
        if flags.app.metrics_path.is_none() {
            project.app.metrics_path = asked("path of its metrics", metrics_path, app::metrics_path).await?;
        }
        if flags.app.counter.is_none() {
            project.app.counter = asked("counter that drives scaling", counter, app::counter).await?;
        }
        if flags.app.target_rate.is_none() {
            project.app.target_milli = asked("its rate for each pod, per second", "10", app::target_rate).await?;
        }
        Ok(project)
    }

    /// `provisioner.toml`.
    fn settings(&self) -> String {
        let image = self.image.as_ref();
        let App {
            port,
            metrics_path,
            counter,
            target_milli,
        } = &self.app;
        let target = decimal(*target_milli);
        let workspace = if image.is_some() {
            ""
        } else {
            "# workspace = \".\"          # cargo workspace that the app is built from\n# package = \"app\"          # its package there\n"
        };
        format!(
            "# Settings of provisioner; flags and PROVISIONER_* variables count more. `provisioner config show` prints all of them.\n\
             [target]\n{}\n[app]\nport = {port}\n{}{}target-rate = {target}         # per second and pod\n\n\
             [image]\n{}{workspace}\n[stack]\nmanifests = \"{MANIFESTS}\"\n",
            self.target(),
            line("metrics-path", Some(metrics_path), ""),
            line("counter", Some(counter), ""),
            line("image", image, "ghcr.io/team/app:1.0"),
        )
    }

    /// The keys of `[target]`: those that are given, and as examples those that are missing.
    fn target(&self) -> String {
        let target = &self.target;
        let registry = target.registry.as_ref().map(RegistryPrefix::argument);
        let name = target.stack.as_ref().map(ToString::to_string);
        let of_itself = target.cluster.as_ref().or(target.kube_context.as_ref());
        let name = name.filter(|name| Some(name) != of_itself);
        let given = |key, value: &Option<String>| {
            value
                .as_ref()
                .map_or_else(String::new, |value| line(key, Some(value), ""))
        };
        let place = match &target.kube_context {
            Some(context) => line("kube-context", Some(context), "") + &given("region", &target.region),
            None => {
                line("cluster", target.cluster.as_ref(), "demo") + &line("region", target.region.as_ref(), "eu-west-1")
            }
        };
        [
            place,
            given("registry", &registry),
            given("name", &name),
            given("profile", &target.profile),
        ]
        .concat()
    }

    /// The component of the app, by path: the shipped one, but for how the app runs.
    fn manifests() -> Vec<(&'static str, String)> {
        let own = |(path, text): (&'static str, &'static str)| {
            let is_own = path.ends_with("deployment.yaml");
            (path, if is_own { DEPLOYMENT } else { text }.to_owned())
        };
        manifest::shipped(COMPONENT).into_iter().map(own).collect()
    }

    /// The commands that follow, with the settings that they do not find by themselves.
    fn next(&self, settings: &Path, has_app: bool) -> Vec<String> {
        let mut flags = String::new();
        if !is_found(settings) {
            flags = format!(" --config {}", quoted(&settings.display().to_string()));
        }
        if self.target.cluster.is_none() && self.target.kube_context.is_none() {
            flags.push_str(" --cluster NAME");
        }
        if self.image.is_none() && !has_app {
            flags.push_str(" --image REF");
        }
        ["plan", "bootstrap"]
            .map(|verb| format!("provisioner {verb}{flags}"))
            .into()
    }
}

/// A line of the settings, in comments where there is only an example.
fn line(key: &str, value: Option<&String>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {}\n", toml::Value::from(value.as_str())),
        None => format!("# {key} = \"{example}\"\n"),
    }
}

/// Whether settings are read without being named: those of the working directory are.
fn is_found(settings: &Path) -> bool {
    let folder = settings.parent().filter(|folder| *folder != Path::new(""));
    let same = |folder: &Path| Some(folder.canonicalize().ok()? == Path::new(".").canonicalize().ok()?);
    folder.is_none_or(|folder| same(folder).unwrap_or(false))
}

/// A rate as TOML has numbers.
fn decimal(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An answer that `parse` takes; another one ends the command.
async fn asked<T>(question: &str, default: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let answer = ask::line(question, default).await?;
    parse(&answer).ok_or_else(|| Error::usage(format!("`{answer}` is no {question}")).hint(AGAIN))
}

/// What an answer names; none where it is empty.
fn given_or_none<T>(answer: &str, what: &str) -> Result<Option<T>, Error>
where
    T: FromStr<Err: fmt::Display>,
{
    if answer.is_empty() {
        return Ok(None);
    }
    // The text itself may hold a password.
    let failed = |error: T::Err| Error::usage(format!("this is no {what}: {error}")).hint(AGAIN);
    answer.parse().map(Some).map_err(failed)
}

/// Writes all files, or none: where one cannot be, what was made before it goes again.
fn write_all(files: &[(PathBuf, String)]) -> Result<(), Error> {
    let mut made = Vec::new();
    for (path, text) in files {
        if let Err(error) = write_new(path, text, &mut made) {
            let failed = Error::failed(format!("cannot write `{}`: {error}", path.display()));
            made.reverse();
            made.retain(|path| remove(path).is_err());
            return Err(match made.first() {
                None => failed.before_any_change(),
                Some(left) => failed.hint(format!("delete `{}` before the next try", left.display())),
            });
        }
    }
    Ok(())
}

/// Writes a file that must not be there, in folders that need not be; `made` has what is new, also where this fails.
fn write_new(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let folders: Vec<&Path> = path.ancestors().skip(1).collect();
    for folder in folders.into_iter().rev() {
        if folder != Path::new("") && !folder.is_dir() {
            fs::create_dir(folder)?;
            made.push(folder.to_owned());
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    made.push(path.to_owned());
    file.write_all(text.as_bytes())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir(path)
    } else {
        fs::remove_file(path)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "written   {file}")?;
        }
        write!(f, "next      look through them, then: {}", self.next.join(", then: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::certificate::Certificates;
    use crate::cluster::values::Values;

    fn project() -> Project {
        Project {
            target: Target {
                cluster: Some("demo".to_owned()),
                ..Target::default()
            },
            image: Some("ghcr.io/team/shop:1".to_owned()),
            app: App {
                port: 9000,
                target_milli: 2500,
                ..App::default()
            },
        }
    }

    #[test]
    fn the_settings_are_those_that_were_asked_for() {
        insta::assert_snapshot!(project().settings(), @r#"
        # Settings of provisioner; flags and PROVISIONER_* variables count more. `provisioner config show` prints all of them.
        [target]
        cluster = "demo"
        # region = "eu-west-1"

        [app]
        port = 9000
        metrics-path = "/metrics"
        counter = "http_requests_total"
        target-rate = 2.5         # per second and pod

        [image]
        image = "ghcr.io/team/shop:1"

        [stack]
        manifests = "stack"
        "#);
        assert_eq!(
            (decimal(10_000), decimal(1), decimal(2500)),
            ("10".to_owned(), "0.001".to_owned(), "2.5".to_owned())
        );
    }

    #[test]
    fn where_one_file_cannot_be_written_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        fs::create_dir(&there).unwrap();
        for at in [there, folder.path().join("new/folder")] {
            // A file is where the last one needs a folder.
            let files = ["provisioner.toml", "stack/10-app/hpa.yaml", "provisioner.toml/x"];
            let failed = write_all(&files.map(|name| (at.join(name), "text".to_owned()))).unwrap_err();
            assert_eq!(failed.exit().code(), 2);
            assert!(failed.message().contains("provisioner.toml/x"), "{failed}");
            let names = fs::read_dir(folder.path()).unwrap();
            let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["there"]);
        }
        assert_eq!(fs::read_dir(folder.path().join("there")).unwrap().count(), 0);
    }

    #[test]
    fn the_manifests_are_a_component_that_the_stack_takes() {
        let folder = tempfile::tempdir().unwrap();
        let files = Project::manifests().into_iter();
        let files: Vec<_> = files.map(|(path, text)| (folder.path().join(path), text)).collect();
        write_all(&files).unwrap();
        let mut values = Values::new("demo".parse().unwrap(), "r@sha256:1", "");
        values.app = project().app;
        let all = manifest::load(Some(folder.path()), &[], &values, &Certificates::default()).unwrap();
        let app = all.iter().find(|component| component.name == COMPONENT).unwrap();
        let of = |kind: &str| {
            let is_it =
                |object: &&kube::core::DynamicObject| object.types.as_ref().is_some_and(|types| types.kind == kind);
            app.objects.iter().find(is_it).unwrap().data["spec"].clone()
        };
        let container = &of("Deployment")["template"]["spec"]["containers"][0];
        assert_eq!(
            (&container["image"], &container["args"]),
            (&"r@sha256:1".into(), &serde_json::Value::Null)
        );
        assert_eq!(container["ports"][0]["containerPort"], 9000);
        let env = container["env"].as_array().unwrap();
        for (name, field) in [("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace")] {
            let own = env.iter().find(|one| one["name"] == name).unwrap();
            assert_eq!(own["valueFrom"]["fieldRef"]["fieldPath"], field);
        }
        assert_eq!(of("Service")["ports"][0]["port"], 9000);
        let target = &of("HorizontalPodAutoscaler")["metrics"][0]["pods"]["target"]["averageValue"];
        assert_eq!(*target, "2500m");
    }
}
