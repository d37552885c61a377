//! From texts to typed settings, highest layer first; collects problems instead of stopping.

use std::path::PathBuf;
use std::time::Duration;

use super::layer::{Layer, Setting};
use super::{Config, Format, Image, Load, Output, Problem, Prometheus, Section, Stack, Target, duration};
use crate::aws::region;
use crate::cluster::authority::Choice;
use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::reaction::Reaction;
use crate::image::{Given, INPUT_TAG, Platform, RegistryPrefix};
use crate::names::StackName;
use crate::spelling::nearest;

/// Longest single wait where nothing else is said: a cluster takes up to 25 minutes.
const TIMEOUT: Duration = Duration::from_mins(30);
const POLL_INTERVAL: Duration = Duration::from_secs(10);
const CERTIFICATES: [(&str, Choice); 3] = [
    ("auto", Choice::Auto),
    ("cert-manager", Choice::CertManager),
    ("own", Choice::Own),
];
const REACTIONS: [(&str, Reaction); 2] = [("fast", Reaction::Fast), ("seed", Reaction::Seed)];

pub(super) struct Reader<'a> {
    layers: [&'a Layer; 3],
    pub(super) problems: Vec<Problem>,
    pub(super) passed_over: Vec<String>,
    used: &'static [Section],
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: [&'a Layer; 3], problems: Vec<Problem>) -> Self {
        Self {
            layers,
            problems,
            passed_over: Vec::new(),
            used: &Section::ALL,
        }
    }

    /// The same for a command that uses these sections only.
    pub(super) fn using(self, used: &'static [Section]) -> Self {
        Self { used, ..self }
    }

    pub(super) fn config(&mut self) -> Config {
        let target = self.target();
        let mut eks = self.section(Section::Eks, Self::eks);
        eks.hpa_sync_period = self.section(Section::Sync, Self::sync_period);
        let mut config = Config {
            target,
            eks,
            image: self.section(Section::Image, Self::image),
            load: self.section(Section::Load, |reader| Load {
                image: reader.image_ref("load.loader-image"),
            }),
            app: self.section(Section::App, Self::app),
            stack: self.section(Section::Stack, Self::stack),
            values: self.layers.iter().rev().flat_map(|layer| layer.own.clone()).collect(),
            reaction: self.section(Section::Reaction, |reader| reader.choice("reaction", &REACTIONS)),
            prometheus: self.section(Section::Prometheus, |reader| Prometheus {
                url: reader.prometheus_url(),
            }),
            certificates: self.section(Section::Stack, |reader| reader.choice("certificates", &CERTIFICATES)),
            output: self.output(),
            passed_over: Vec::new(),
        };
        config.passed_over = std::mem::take(&mut self.passed_over);
        config
    }

    /// Reads a section; what is wrong in one that is not used is somebody else's to hear.
    fn section<T>(&mut self, section: Section, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.problems.len();
        let value = read(self);
        if !self.used.contains(&section) {
            self.problems.truncate(before);
        }
        value
    }

    fn stack(&mut self) -> Stack {
        Stack {
            without: self.find("stack.without").map(|s| s.texts.clone()).unwrap_or_default(),
            manifests: self.existing("stack.manifests", "folder"),
            mirror: self.switch("stack.mirror"),
            take_over: self.switch("stack.take-over"),
            force_conflicts: self.switch("stack.force-conflicts"),
            adopt: self.switch("stack.adopt"),
            recreate: self.switch("stack.recreate"),
        }
    }

    fn prometheus_url(&mut self) -> Option<PrometheusUrl> {
        let setting = self.find("prometheus.url")?;
        match setting.texts.concat().parse() {
            Ok(url) => Some(url),
            Err(error) => {
                // The text itself may hold a password.
                let message = format!("{} is no URL of a Prometheus: {error}", setting.origin);
                self.problems.push(Problem::new(message));
                None
            }
        }
    }

    fn target(&mut self) -> Target {
        let cluster = self.checked(
            "target.cluster",
            is_cluster,
            "1 to 100 letters, digits, `-` and `_`, first a letter or digit",
        );
        let kube_context = self.text("target.kube-context");
        let (cluster, kube_context) = self.one_place(cluster, kube_context);
        Target {
            stack: self.stack_name(cluster.as_deref(), kube_context.as_deref()),
            cluster,
            kube_context,
            registry: self.registry(),
            region: self.region(),
            profile: self.text("target.profile"),
        }
    }

    fn region(&mut self) -> Option<String> {
        let text = self.text("target.region")?;
        match (region::check(&text), self.find("target.region")) {
            (Err(near), Some(setting)) => {
                let message = format!("{}: `{text}` is no AWS region", setting.origin);
                let near = near.map_or_else(
                    || "like `eu-west-1`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                self.problems.push(Problem {
                    message,
                    hint: Some(near),
                });
                None
            }
            _ => Some(text),
        }
    }

    /// Cluster or context: the higher source decides, one source cannot name both.
    fn one_place(&mut self, cluster: Option<String>, context: Option<String>) -> (Option<String>, Option<String>) {
        match (self.rank("target.cluster"), self.rank("target.kube-context")) {
            (Some(cluster), Some(context)) if cluster == context => {
                let message = "cluster and kube-context are named at once: a stack is on one of them".to_owned();
                self.problems.push(Problem::new(message));
                (None, None)
            }
            (Some(higher), Some(lower)) if higher < lower => (cluster, None),
            (_, Some(_)) => (None, context),
            _ => (cluster, None),
        }
    }

    /// A workspace of a higher source is built; else what is named beside it is used.
    fn image(&mut self) -> Image {
        let source = self.source();
        Image {
            tag: self.checked(
                "image.tag",
                is_tag,
                "letters, digits, `_`, `.` and `-`, at most 128, and not `input-...`, which are the tool's own",
            ),
            binaries: if source == Some("image.binary") {
                self.binaries()
            } else {
                Vec::new()
            },
            compression: self.compression(source),
            sbom: self.sbom(source),
            made: self.made(source),
            platforms: self.platforms(),
            workspace: self.existing("image.workspace", "folder"),
            package: self.package(source),
            rebuild: self.switch("image.rebuild"),
            refs: self.text("image.image-refs").map(PathBuf::from),
        }
    }

    fn binaries(&mut self) -> Vec<Given> {
        let Some(setting) = self.find("image.binary") else {
            return Vec::new();
        };
        let mut binaries = Vec::new();
        for text in &setting.texts {
            match text.parse::<Given>() {
                Ok(given) if given.path.is_file() => binaries.push(given),
                Ok(given) => {
                    let path = given.path.display();
                    self.problems
                        .push(Problem::new(format!("{}: `{path}` is no file", setting.origin)));
                }
                Err(error) => self.problems.push(Problem::new(format!("{}: {error}", setting.origin))),
            }
        }
        binaries
    }

    fn platforms(&mut self) -> Vec<Platform> {
        let Some(setting) = self.find("image.platform") else {
            return Vec::new();
        };
        let mut platforms = Vec::new();
        for text in &setting.texts {
            match text.parse() {
                Ok(platform) if !platforms.contains(&platform) => platforms.push(platform),
                Ok(_) => {}
                Err(_) => {
                    let names = Platform::ALL.map(Platform::name);
                    let message = format!("{}: `{text}` is none of `{}`", setting.origin, names.join("`, `"));
                    self.problems.push(Problem::unknown(message, nearest(text, names)));
                }
            }
        }
        platforms
    }

    fn registry(&mut self) -> Option<RegistryPrefix> {
        let setting = self.find("target.registry")?;
        match setting.texts.concat().parse() {
            Ok(registry) => Some(registry),
            Err(error) => {
                // The text itself may hold a password.
                let message = format!("{} is not valid: {error}", setting.origin);
                self.problems.push(Problem::new(message));
                None
            }
        }
    }

    /// A cluster is created in EKS only; where a lower source asks for it, a context of a higher one wins.
    pub(super) fn create_cluster(&mut self) -> bool {
        let asked = self.switch("eks.create-cluster");
        let (Some(create), Some(context)) = (self.rank("eks.create-cluster"), self.rank("target.kube-context")) else {
            return asked;
        };
        if asked && create <= context && self.rank("target.cluster").is_none_or(|cluster| cluster > context) {
            let message = "`create-cluster` needs `--cluster`: the cluster of a kube-context exists".to_owned();
            self.problems.push(Problem::new(message));
        }
        asked && self.rank("target.cluster").is_some_and(|cluster| cluster < context)
    }

    /// `--name`, else the name of cluster or context where that fits; where neither does, the problem proposes one.
    fn stack_name(&mut self, cluster: Option<&str>, context: Option<&str>) -> Option<StackName> {
        let (origin, text) = match (self.find("target.name"), cluster, context) {
            (Some(setting), ..) => (setting.origin.clone(), setting.texts.concat()),
            (None, Some(cluster), _) => ("the cluster's name".to_owned(), cluster.to_owned()),
            (None, None, context) => ("the context's name".to_owned(), context?.to_owned()),
        };
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let hint = match &error.proposal {
                    Some(name) => format!("try `--name {name}`"),
                    None => "give the stack another one with `--name NAME`".to_owned(),
                };
                self.problems.push(Problem {
                    message: format!("{origin}: {error}"),
                    hint: Some(hint),
                });
                None
            }
        }
    }

    pub(super) fn format(&mut self) -> Format {
        self.choice("output.format", &[("text", Format::Text), ("json", Format::Json)])
    }

    fn output(&mut self) -> Output {
        Output {
            format: self.format(),
            quiet: self.switch("output.quiet"),
            verbose: self.switch("output.verbose"),
            no_color: self.switch("output.no-color"),
            timeout: self.duration("output.timeout").unwrap_or(TIMEOUT),
            poll_interval: self.duration("output.poll-interval").unwrap_or(POLL_INTERVAL),
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<&'a Setting> {
        self.layers.iter().find_map(|layer| layer.get(path))
    }

    /// The source of a setting: 0 is the highest.
    pub(super) fn rank(&self, path: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.get(path).is_some())
    }

    pub(super) fn problem(&mut self, setting: &Setting, what: &str) {
        let text = setting.texts.join(",");
        self.problems
            .push(Problem::new(format!("{}: `{text}` {what}", setting.origin)));
    }

    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let setting = self.find(path)?;
        let text = setting.texts.concat();
        if text.is_empty() {
            self.problem(setting, "must not be empty");
            return None;
        }
        Some(text)
    }

    pub(super) fn checked(&mut self, path: &str, valid: fn(&str) -> bool, wanted: &str) -> Option<String> {
        let setting = self.find(path)?;
        let text = setting.texts.concat();
        if !valid(&text) {
            self.problem(setting, &format!("is not valid: {wanted}"));
            return None;
        }
        Some(text)
    }

    pub(super) fn existing(&mut self, path: &str, kind: &str) -> Option<PathBuf> {
        let setting = self.find(path)?;
        let file = PathBuf::from(setting.texts.concat());
        let exists = if kind == "folder" {
            file.is_dir()
        } else {
            file.is_file()
        };
        if !exists {
            self.problem(setting, &format!("is no {kind}"));
            return None;
        }
        Some(file)
    }

    pub(super) fn switch(&mut self, path: &str) -> bool {
        let Some(setting) = self.find(path) else {
            return false;
        };
        match setting.texts.concat().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                self.problem(setting, "must be `true` or `false`");
                false
            }
        }
    }

    pub(super) fn duration(&mut self, path: &str) -> Option<Duration> {
        let setting = self.find(path)?;
        match duration::parse(&setting.texts.concat()) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.problem(setting, &error.to_string());
                None
            }
        }
    }

    pub(super) fn choice<T: Copy + Default>(&mut self, path: &str, choices: &[(&str, T)]) -> T {
        let Some(setting) = self.find(path) else {
            return T::default();
        };
        let text = setting.texts.concat();
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("{}: `{text}` is none of `{}`", setting.origin, names.join("`, `"));
        self.problems.push(Problem::unknown(message, nearest(&text, names)));
        T::default()
    }
}

/// What EKS takes as the name of a cluster.
pub(crate) fn is_cluster(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Tag grammar of the OCI distribution specification, without the tags that name inputs of images.
fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(INPUT_TAG)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}
