//! What a sandbox could leave on a machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where containerd, the kubelet, CNI and the sandbox could leave files outside of its folders.
const PATHS: [&str; 9] = [
    "/etc/cni/net.d",
    "/opt/containerd",
    "/run/containerd",
    "/run/provisioner-sandbox",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];
/// Settings that change on their own.
const RESTLESS: [&str; 10] = [
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random/",
    "net/netfilter/nf_conntrack_count",
];

/// The machine at one moment, by the names of what may change.
pub(crate) struct Machine {
    folder: PathBuf,
    facts: BTreeMap<String, String>,
}

impl Machine {
    /// Looks at interfaces, mounts, packet filter tables, kernel settings, control groups, processes and paths; `folder` is
    /// where the sandboxes of the test live.
    pub(crate) fn look(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            facts: facts(folder),
        }
    }

    /// What is not as it was. A setting that a newly loaded module brought along did not change.
    pub(crate) fn left(&self) -> Vec<String> {
        let now = facts(&self.folder);
        let differs = |(name, then): (&String, &String)| {
            let now = now.get(name).map_or("gone", String::as_str);
            (now != then).then(|| format!("{name}: {now:?} instead of {then:?}"))
        };
        self.facts.iter().filter_map(differs).collect()
    }
}

fn facts(folder: &Path) -> BTreeMap<String, String> {
    let mut facts = settings();
    let mut add = |name: &str, value: String| facts.insert(name.to_owned(), value);
    add("interfaces", names("/sys/class/net").join(" "));
    add("tables", output("nft", &["list", "tables"]));
    add("namespaces", output("ip", &["netns", "list"]));
    add("mounts", fs::read_to_string("/proc/self/mounts").expect("mounts"));
    add("processes", processes(folder).join("\n"));
    for path in PATHS {
        add(path, format!("{} {}", Path::new(path).exists(), names(path).join(" ")));
    }
    let home = std::env::var("HOME").expect("HOME");
    add("~/.kube", names(&format!("{home}/.kube")).join(" "));
    add(
        "~/.kube/cache/discovery",
        names(&format!("{home}/.kube/cache/discovery")).join(" "),
    );
    let groups = names("/sys/fs/cgroup");
    let pods = groups
        .iter()
        .map(|group| Path::new("/sys/fs/cgroup").join(group).join("kubepods"));
    let pods = pods.filter(|path| path.exists()).map(|path| path.display().to_string());
    add("control groups", pods.collect::<Vec<_>>().join(" "));
    facts
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().display().to_string()).collect();
    names.sort();
    names
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|o| super::text(&o.stdout)).unwrap_or_default()
}

/// Every kernel setting that only changes when somebody sets it.
fn settings() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(Path::new("/proc/sys"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix("/proc/sys").expect("below it").display().to_string();
        if RESTLESS.iter().any(|restless| name.starts_with(restless)) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(value) = fs::read_to_string(&path) {
            found.insert(name, value);
        }
    }
}

/// Processes that name the test's folder, and all that live in a process namespace other than ours.
fn processes(folder: &Path) -> Vec<String> {
    let own = fs::read_link("/proc/self/ns/pid").expect("our namespace");
    let mut found = Vec::new();
    for pid in names("/proc")
        .iter()
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
    {
        let at = Path::new("/proc").join(pid);
        let line = fs::read(at.join("cmdline")).unwrap_or_default();
        let line = super::text(&line).replace('\0', " ");
        if line.is_empty() {
            // It has ended and only waits for whoever started it to look; or it is the kernel's own.
            continue;
        }
        let elsewhere = fs::read_link(at.join("ns/pid")).is_ok_and(|namespace| namespace != own);
        if elsewhere || line.contains(&folder.display().to_string()) {
            found.push(format!("{pid} {line}"));
        }
    }
    found
}
