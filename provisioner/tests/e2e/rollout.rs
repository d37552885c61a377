//! `push --rollout`: a changed image is rolled out, a broken one is left or taken back, and nobody notices either.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const PUSH: [&str; 5] = ["push", "--cluster", "demo", "--rollout", "--binary"];

/// Executables that images are made of.
struct Programs {
    /// The app with something behind its end: the same program, another digest.
    changed: String,
    /// It ends at once with exit code 1.
    broken: String,
    _folder: tempfile::TempDir,
}

impl Programs {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut app = fs::read(app()).expect("the app that bootstrap built");
        app.extend_from_slice(b"changed");
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            path.to_str().expect("a path in UTF-8").to_owned()
        };
        Self {
            changed: write("changed", &app),
            broken: write("broken", &ending()),
            _folder: folder,
        }
    }
}

/// Where cargo puts the app of an image, for whichever target is installed.
fn app() -> PathBuf {
    let debug = Path::new(env!("CARGO_BIN_EXE_provisioner")).parent().expect("a folder");
    let target = debug.parent().expect("a folder");
    let built = ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"].map(|to| target.join(to).join("image/app"));
    let found = built.iter().find(|path| path.is_file());
    found
        .unwrap_or_else(|| panic!("none of these is there: {built:?}"))
        .clone()
}

/// A static executable for x86-64: ELF header, one segment that is the whole file, and `exit(1)`.
fn ending() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u8 = 64 + 56;
    // mov edi, 1; mov eax, 60; syscall
    let code = [0xbf, 1, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    let size = u64::from(HEADERS) + code.len() as u64;
    let mut file = vec![0; usize::from(HEADERS)];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &(BASE + u64::from(HEADERS)).to_le_bytes());
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1]);
    // Loaded, readable and executable.
    put(64, &[1, 0, 0, 0, 5]);
    put(80, &BASE.to_le_bytes());
    put(88, &BASE.to_le_bytes());
    put(96, &size.to_le_bytes());
    put(104, &size.to_le_bytes());
    put(112, &0x1000_u64.to_le_bytes());
    file.extend(code);
    file
}

#[test]
fn the_broken_program_runs_and_ends_with_1() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken");
    fs::write(&path, ending()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    let ended = std::process::Command::new(&path).status().expect("it starts");
    assert_eq!(ended.code(), Some(1));
}

/// One story, since each part starts from what the one before left.
#[test]
fn a_pushed_image_is_rolled_out_and_a_broken_one_is_taken_back() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let push = ["push", "--cluster", "demo", "--rollout"];
    sandbox.refused(&push, 2, "there is no cluster `demo`");
    let first = sandbox.json(&BOOTSTRAP);
    let programs = Programs::new();
    let changed = a_changed_image_is_rolled_out_and_bootstrap_finds_it(&sandbox, &programs, &first["image"]);
    a_broken_image_is_taken_back_while_the_old_pods_serve(&sandbox, &programs, &changed);
    a_broken_image_is_left_where_that_is_not_asked(&sandbox, &programs, &changed);
    an_interruption_tells_the_way_back(&sandbox, &programs, &changed);
    what_others_changed_is_taken_where_asked(&sandbox, &programs, &changed);
    sandbox.run(&TEARDOWN);
    sandbox.refused(&push, 2, "there is no cluster `demo`");
    sandbox.reset();
}

fn a_changed_image_is_rolled_out_and_bootstrap_finds_it(
    sandbox: &Sandbox,
    programs: &Programs,
    first: &Value,
) -> String {
    let rolled = sandbox.json(&with(&programs.changed, &[]));
    assert_eq!(rolled["rolled_out"], true, "{rolled}");
    assert_eq!((&rolled["previous"], &rolled["rolled_back"]), (first, &json!(false)));
    let image = rolled["image"].as_str().expect("a reference").to_owned();
    assert_ne!(Some(image.as_str()), first.as_str());
    assert_eq!(running(sandbox), [image.as_str()]);
    let before = sandbox.resource_versions();
    let again = sandbox.json(&with(&programs.changed, &[]));
    assert_eq!((&again["rolled_out"], &again["previous"]), (&json!(true), &Value::Null));
    let summary = sandbox.json(&[&BOOTSTRAP[..], &["--binary", programs.changed.as_str()]].concat());
    let changes = &summary["changes"];
    assert_eq!(
        (&changes["created"], &changes["updated"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
    assert_eq!(sandbox.resource_versions(), before);
    image
}

fn a_broken_image_is_taken_back_while_the_old_pods_serve(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let before = pods(sandbox);
    let load = load(sandbox);
    let rolled = sandbox.failed_json(&with(&programs.broken, &["--rollback-on-failure"]));
    assert_eq!(
        (&rolled["rolled_out"], &rolled["rolled_back"], &rolled["previous"]),
        (&json!(false), &json!(true), &json!(image)),
        "{rolled}"
    );
    assert_eq!(rolled["running"], json!([{"image": image, "ready": 1, "pods": 1}]));
    let load = load.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&load.stdout).expect("JSON");
    assert_eq!(
        (&report["failed"], &report["dropped"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    assert_eq!(
        pods(sandbox),
        before,
        "the pod from before is the one that serves, and was ready all the time"
    );
}

fn a_broken_image_is_left_where_that_is_not_asked(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let said = sandbox.refused(&with(&programs.broken, &[]), 1, "1 of 1 pods with");
    let back = format!("to go back: provisioner push --cluster demo --region us-east-1 --rollout --image {image}");
    for part in ["CrashLoopBackOff", "rolls out:", &back] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The next run finds what still serves, and goes back to that.
    let rolled = sandbox.failed_json(&with(&programs.broken, &["--rollback-on-failure"]));
    assert_eq!(
        (&rolled["rolled_back"], &rolled["previous"]),
        (&json!(true), &json!(image)),
        "{rolled}"
    );
    assert_eq!(running(sandbox), [image]);
}

fn an_interruption_tells_the_way_back(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let moved = || wanted(sandbox) != image;
    let said = sandbox.interrupted(&with(&programs.broken, &[]), moved);
    assert!(said.contains("rolls out:") && said.contains("to go back:"), "{said}");
    assert!(!said.contains("to remove:"), "{said}");
    let rolled = sandbox.json(&with(&programs.changed, &[]));
    assert_eq!(rolled["rolled_out"], true, "{rolled}");
    assert_eq!(running(sandbox), [image]);
}

fn what_others_changed_is_taken_where_asked(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let theirs = image.split('@').next().expect("a repository").to_owned() + "@sha256:" + &"0".repeat(64);
    sandbox.kubectl(&[
        "set",
        "image",
        "deployment/web-app",
        "-n",
        "web-app",
        &format!("app={theirs}"),
    ]);
    sandbox.refused(&with(&programs.changed, &[]), 2, "`kubectl-set`");
    assert_eq!(wanted(sandbox), theirs);
    let rolled = sandbox.json(&with(&programs.changed, &["--force-conflicts"]));
    assert_eq!(
        (&rolled["rolled_out"], &rolled["previous"]),
        (&json!(true), &json!(theirs)),
        "{rolled}"
    );
    assert_eq!(running(sandbox), [image]);
}

fn with<'a>(binary: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&PUSH[..], &[binary], more].concat()
}

/// Load that one pod takes alone, longer than a broken image takes to be found so.
fn load(sandbox: &Sandbox) -> Child {
    let args = [
        "load",
        "--cluster",
        "demo",
        "--rate",
        "5",
        "--duration",
        "90s",
        "--output",
        "json",
    ];
    let mut command = sandbox.command(&args, &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().expect("the tool starts");
    sandbox.until("the load runs", || {
        sandbox.kubectl(&[
            "get",
            "jobs",
            "-n",
            "web-app",
            "-o",
            "jsonpath={.items[*].status.ready}",
        ]) == "1"
    });
    child
}

/// The image that the Deployment is to run.
fn wanted(sandbox: &Sandbox) -> String {
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    sandbox.kubectl(&["get", "deployment", "web-app", "-n", "web-app", "-o", image])
}

/// The images that its pods run, those that are going left out.
fn running(sandbox: &Sandbox) -> Vec<String> {
    let found = of_pods(sandbox, |pod| {
        pod["spec"]["containers"][0]["image"].as_str().map(str::to_owned)
    });
    found.into_iter().flatten().collect()
}

/// Its pods, each with its starts and the moment since which it is ready.
fn pods(sandbox: &Sandbox) -> Vec<String> {
    of_pods(sandbox, |pod| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.filter(|one| one["type"] == "Ready");
        let since: Vec<String> = ready
            .map(|one| format!("{} {}", one["status"], one["lastTransitionTime"]))
            .collect();
        let starts = &pod["status"]["containerStatuses"][0]["restartCount"];
        format!("{} {starts} {}", pod["metadata"]["name"], since.join(", "))
    })
}

fn of_pods<T>(sandbox: &Sandbox, what: impl Fn(&Value) -> T) -> Vec<T> {
    let pods = sandbox.kubectl(&["get", "pods", "-n", "web-app", "-l", "app=web-app", "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).expect("JSON");
    let there = pods["items"].as_array().into_iter().flatten();
    there
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(what)
        .collect()
}
