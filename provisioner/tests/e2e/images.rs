//! What pushes send to a registry: all that it lacks, once, and nothing else. Requests and bytes are those that arrived.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::programs::{Programs, binaries};
use crate::support::{Sandbox, done};
use crate::targets::CREDENTIALS;

/// What the registry was asked for by one push.
struct Traffic {
    /// How often each method was used.
    methods: BTreeMap<String, usize>,
    /// Bytes of bodies that it took.
    bytes: u64,
    /// Manifests that it took, in their order.
    manifests: Vec<String>,
}

impl Traffic {
    fn read(sandbox: &Sandbox) -> Self {
        let journal = sandbox.requests();
        let (mut methods, mut bytes, mut manifests) = (BTreeMap::new(), 0, Vec::new());
        let entries = journal.as_array().expect("an array").iter();
        for entry in entries.filter(|entry| entry["service"] == "registry") {
            let (method, path) = operation(entry);
            *methods.entry(method.to_owned()).or_default() += 1;
            bytes += entry["bytes"].as_u64().expect("a number");
            if let ("PUT", Some((_, reference))) = (method, path.split_once("/manifests/")) {
                manifests.push(reference.to_owned());
            }
        }
        Self {
            methods,
            bytes,
            manifests,
        }
    }

    fn count(&self, method: &str) -> usize {
        self.methods.get(method).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.methods.values().sum()
    }
}

fn operation(entry: &Value) -> (&str, &str) {
    let operation = entry["operation"].as_str().expect("an operation");
    operation.split_once(' ').expect("method and path")
}

/// A stack that only pushes. Its name is its own in each run: the sandbox's registry keeps the blobs of repositories that
/// are gone, which ECR does not.
struct Stack<'a> {
    sandbox: &'a Sandbox,
    name: String,
}

/// One story, since each part starts from what the one before pushed.
#[test]
fn pushes_send_what_the_registry_lacks_and_nothing_else() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let programs = Programs::new(&sandbox);
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("a time after 1970");
    let stack = Stack {
        sandbox: &sandbox,
        name: format!("images-{}", since.as_millis()),
    };
    let first = a_first_push_sends_every_blob_once(&stack);
    the_same_sources_are_neither_built_nor_sent(&stack, &first);
    let changed = a_changed_app_replaces_its_own_layer(&stack, &programs);
    another_platform_adds_its_own_layer(&stack, &programs, &changed);
    sandbox.reset();
}

fn a_first_push_sends_every_blob_once(stack: &Stack<'_>) -> Value {
    let (pushed, traffic) = stack.push(&[]);
    let manifest = stack.stored(&pushed["digest"]);
    assert_eq!((&pushed["blobs_sent"], manifest.blobs.len()), (&json!(3), 3));
    let tags = traffic.manifests.len() as u64;
    let input = traffic.manifests.iter().filter(|tag| tag.starts_with("input-"));
    assert_eq!(
        (tags, input.count()),
        (2, 1),
        "the content's tag, and that of what it was built from"
    );
    let blobs: u64 = manifest.blobs.values().sum();
    assert_eq!(traffic.bytes, blobs + tags * manifest.size);
    assert_eq!(traffic.bytes, pushed["bytes_sent"], "{pushed}");
    assert_eq!(
        (traffic.count("POST"), traffic.count("PUT")),
        (3, 5),
        "three blobs, a manifest under two tags"
    );
    pushed
}

fn the_same_sources_are_neither_built_nor_sent(stack: &Stack<'_>, first: &Value) {
    let (pushed, traffic) = stack.push(&[]);
    assert_eq!(pushed["digest"], first["digest"]);
    assert_eq!((&pushed["pushed"], &pushed["bytes_sent"]), (&json!(false), &json!(0)));
    assert_eq!((traffic.bytes, traffic.count("POST") + traffic.count("PUT")), (0, 0));
    assert!(traffic.all() <= 4, "{:?}", traffic.methods);
}

fn a_changed_app_replaces_its_own_layer(stack: &Stack<'_>, programs: &Programs) -> Stored {
    let (pushed, traffic) = stack.push(&binaries(&[&programs.changed]));
    assert_eq!((&pushed["blobs_sent"], &pushed["blobs_reused"]), (&json!(2), &json!(1)));
    let manifest = stack.stored(&pushed["digest"]);
    assert_eq!(traffic.bytes, manifest.size + manifest.config() + manifest.last_layer());
    assert_eq!(
        (traffic.count("POST"), traffic.count("PUT")),
        (2, 3),
        "two blobs, one manifest"
    );
    manifest
}

fn another_platform_adds_its_own_layer(stack: &Stack<'_>, programs: &Programs, changed: &Stored) {
    let both = binaries(&[&programs.changed, &programs.foreign]);
    let (pushed, traffic) = stack.push(&both);
    assert_eq!((&pushed["blobs_sent"], &pushed["blobs_reused"]), (&json!(2), &json!(3)));
    let index = stack.stored(&pushed["digest"]);
    let [amd64, arm64] = index.children.as_slice() else {
        panic!("not two: {:?}", index.children)
    };
    assert_eq!(*amd64, changed.digest, "the child is the image as it was pushed alone");
    let arm64 = stack.stored(&json!(arm64));
    let sent = arm64.size + arm64.config() + arm64.last_layer() + index.size;
    assert_eq!(traffic.bytes, sent, "{:?}", traffic.methods);
    assert_eq!(
        traffic.manifests.first(),
        Some(&arm64.digest),
        "children before the index"
    );
    assert_eq!(traffic.manifests.len(), 2, "{:?}", traffic.manifests);
}

impl Stack<'_> {
    fn push(&self, more: &[&str]) -> (Value, Traffic) {
        self.sandbox.forget_requests();
        let push = ["push", "--cluster", "demo", "--name", &self.name];
        let pushed = self.sandbox.json(&[&push[..], more].concat());
        (pushed, Traffic::read(self.sandbox))
    }

    /// A manifest as the registry has it, asked past the front.
    fn stored(&self, digest: &Value) -> Stored {
        let digest = text_of(digest);
        let text = read(&format!("{}/web-app/manifests/{digest}", self.name));
        Stored::of(digest, &text)
    }
}

/// What the sandbox's registry has at a path below `/v2/`.
pub(crate) fn read(path: &str) -> String {
    let kinds = ["manifest", "index"].map(|kind| format!("application/vnd.oci.image.{kind}.v1+json"));
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail-with-body", "--max-time", "60", "-u", CREDENTIALS]);
    let url = format!("http://127.0.0.1:5000/v2/{path}");
    done(curl.args(["-H", &format!("Accept: {}", kinds.join(", ")), &url]))
}

/// A manifest or index.
struct Stored {
    digest: String,
    size: u64,
    /// Configuration and layers, each with its size: a blob that is there twice is one.
    blobs: BTreeMap<String, u64>,
    children: Vec<String>,
    document: Value,
}

impl Stored {
    fn of(digest: String, text: &str) -> Self {
        let document: Value = serde_json::from_str(text).expect("JSON");
        let parts = document["layers"].as_array().into_iter().flatten();
        let parts = parts.chain(document.get("config"));
        let blobs = parts.map(|part| (text_of(&part["digest"]), size_of(part))).collect();
        let children = document["manifests"].as_array().into_iter().flatten();
        Self {
            digest,
            size: text.len() as u64,
            blobs,
            children: children.map(|child| text_of(&child["digest"])).collect(),
            document,
        }
    }

    fn config(&self) -> u64 {
        size_of(&self.document["config"])
    }

    fn last_layer(&self) -> u64 {
        let layers = self.document["layers"].as_array().expect("layers");
        size_of(layers.last().expect("a layer"))
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn size_of(descriptor: &Value) -> u64 {
    descriptor["size"].as_u64().expect("a size")
}
