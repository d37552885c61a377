//! The node: one mount and process namespace that holds containerd, the kubelet and every container.
//!
//! When its first process ends, the kernel ends all the others and drops every mount, so that nothing stale is left
//! whatever killed it. `/run`, `/var/lib` and `/var/log` are fresh tmpfs in it: what containerd, CNI and the kubelet write
//! to fixed paths there never reaches the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::network::POD_BRIDGE;
use crate::process::{self, Ready, Service};
use crate::state::{
    Dirs, KUBELET_HEALTH_PORT, NODE_IP, PROXY_HEALTH_PORT, PROXY_METRICS_PORT, REGISTRY_PASSWORD, REGISTRY_PORT,
    REGISTRY_USER, create_dir, write,
};

/// Holds the namespace's first process; both end together.
pub(crate) const HOLDER: &str = "node";
/// The first process itself, as the host sees it: it is gone only when everything in the namespace is.
const FIRST: &str = "node-first";
/// Registries that containerd finds in the local one.
const MIRRORED: [&str; 7] = [
    "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    "quay.io",
    "registry.k8s.io",
    "docker.io",
    "public.ecr.aws",
    // By its own name, as a registry that is not ECR.
    "127.0.0.1:5000",
    "127.0.0.1:5001",
];
/// The kubelet's default is the host's `/var/log/pods`.
const POD_LOGS: &str = "pod-logs";

/// Starts the namespace and waits until programs can be started in it.
pub(crate) fn start_holder(dirs: &Dirs) -> Result<(), Error> {
    if is_up(dirs) {
        return Ok(());
    }
    stop(dirs)?;
    // As after a reboot: what containerd and the kubelet keep about running containers is void.
    for stale in ["containerd/state", "kubelet"] {
        let path = dirs.at(stale);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|e| Error::cannot("clear", path.display(), e))?;
        }
    }
    let script = "set -e; for d in /run /var/lib /var/log; do mount -t tmpfs tmpfs $d; done; \
                  mkdir -p /run/netns; touch \"$1\"; while :; do sleep 3600 & wait $!; done";
    let mark = dirs.text("node.ready");
    let _ = fs::remove_file(&mark);
    let args = [
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "bash",
        "-c",
        script,
        "node",
        &mark,
    ];
    let service = Service {
        name: HOLDER,
        program: "unshare".into(),
        args: args.iter().map(ToString::to_string).collect(),
        env: None,
        ready: Ready::Running,
    };
    process::start(dirs, &service)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !Path::new(&mark).exists() {
        process::wait_ready(dirs, &service, Duration::from_secs(1))?;
        if Instant::now() >= deadline {
            return Err(Error::failed("the node's namespace did not come up within 10 s"));
        }
        sleep(Duration::from_millis(20));
    }
    process::record(dirs, FIRST, first_process(dirs)?)
}

/// Whether programs can be started in the namespace: its start may have been interrupted.
pub(crate) fn is_up(dirs: &Dirs) -> bool {
    process::is_running(dirs, HOLDER) && process::is_running(dirs, FIRST)
}

/// Ends the namespace and waits until everything in it is gone.
pub(crate) fn stop(dirs: &Dirs) -> Result<(), Error> {
    if process::is_running(dirs, HOLDER) && !process::is_running(dirs, FIRST) {
        // An `up` was interrupted between the two records; where there is no first process yet there is nothing to wait for.
        if let Ok(first) = first_process(dirs) {
            let _ = process::record(dirs, FIRST, first);
        }
    }
    process::stop(dirs, HOLDER)?;
    process::stop(dirs, FIRST)
}

fn first_process(dirs: &Dirs) -> Result<i32, Error> {
    let holder = process::pid(dirs, HOLDER).ok_or_else(|| Error::failed("the node's namespace does not run"))?;
    let path = format!("/proc/{holder}/task/{holder}/children");
    let children = fs::read_to_string(&path).map_err(|e| Error::cannot("read", &path, e))?;
    let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    first.ok_or_else(|| Error::failed("the node's namespace has no first process"))
}

/// Wraps a program so that it runs inside the node.
pub(crate) fn inside(dirs: &Dirs, program: &Path, args: Vec<String>) -> Result<(PathBuf, Vec<String>), Error> {
    let first = process::pid(dirs, FIRST).ok_or_else(|| Error::failed("the node's namespace does not run"))?;
    let enter = ["--target", &first.to_string(), "--mount", "--pid", "--"];
    let mut all: Vec<String> = enter.iter().map(ToString::to_string).collect();
    all.push(program.display().to_string());
    all.extend(args);
    Ok(("nsenter".into(), all))
}

/// Writes the configuration of containerd, CNI and the kubelet.
pub(crate) fn configure(dirs: &Dirs) -> Result<(), Error> {
    write(&dirs.at("containerd/config.toml"), containerd_config(dirs), false)?;
    write(&dirs.at("cni/10-sandbox.conflist"), cni_config(), false)?;
    for host in MIRRORED {
        let file = dirs.at(&format!("containerd/hosts/{host}/hosts.toml"));
        write(&file, hosts_config(), true)?;
    }
    create_dir(&dirs.at(POD_LOGS))?;
    write(&dirs.at("resolv.conf"), "nameserver 127.0.0.1\n", false)?;
    write(&dirs.at("kubelet.yaml"), kubelet_config(dirs), false)?;
    write(&dirs.at("kube-proxy.yaml"), proxy_config(dirs), false)
}

fn containerd_config(dirs: &Dirs) -> String {
    let at = dirs.text("containerd");
    format!(
        r#"version = 2
root = "{at}/root"
state = "{at}/state"
[grpc]
  address = "{at}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{at}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  # runc may not lower oom_score_adj without CAP_SYS_RESOURCE: without this every pod fails.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{at}/hosts"
"#,
        cni = dirs.text("cni")
    )
}

fn hosts_config() -> String {
    use base64::Engine;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{REGISTRY_USER}:{REGISTRY_PASSWORD}"));
    format!(
        "[host.\"http://127.0.0.1:{REGISTRY_PORT}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  \
         [host.\"http://127.0.0.1:{REGISTRY_PORT}\".header]\n    Authorization = \"Basic {basic}\"\n"
    )
}

fn cni_config() -> String {
    serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "sandbox",
        "plugins": [{
            "type": "bridge", "bridge": POD_BRIDGE, "isGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
    .to_string()
}

fn kubelet_config(dirs: &Dirs) -> String {
    let pki = dirs.text("pki");
    serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{pki}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": format!("unix://{}", dirs.text("containerd/containerd.sock")),
        "enforceNodeAllocatable": ["pods"],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": false,
        "failSwapOn": false,
        // The kubelet counts the whole disk: without these it deletes images that it cannot pull again elsewhere.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": false,
        "podLogsDir": dirs.text(POD_LOGS),
        "resolvConf": dirs.text("resolv.conf"),
        "serializeImagePulls": false,
        "tlsCertFile": format!("{pki}/node.crt"),
        "tlsPrivateKeyFile": format!("{pki}/node.key"),
        "volumePluginDir": dirs.text("kubelet-plugins"),
    })
    .to_string()
}

fn proxy_config(dirs: &Dirs) -> String {
    serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": NODE_IP,
        "healthzBindAddress": format!("127.0.0.1:{PROXY_HEALTH_PORT}"),
        "metricsBindAddress": format!("127.0.0.1:{PROXY_METRICS_PORT}"),
        "clusterCIDR": "10.244.0.0/16",
        "clientConnection": {"kubeconfig": dirs.text("kube-proxy.kubeconfig")},
        "hostnameOverride": "sandbox",
        // Zero leaves the machine's own settings alone.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
    .to_string()
}

/// Removes the kubelet's control groups, deepest first.
pub(crate) fn remove_cgroups() -> Result<(), Error> {
    for root in cgroup_roots() {
        remove_tree(&root.join("kubepods"))?;
    }
    Ok(())
}

/// Control groups of pods that are still there.
pub(crate) fn left_cgroups() -> Vec<String> {
    let pods = cgroup_roots().into_iter().map(|r| r.join("kubepods"));
    pods.filter(|p| p.exists())
        .map(|p| format!("cgroup {}", p.display()))
        .collect()
}

fn cgroup_roots() -> Vec<PathBuf> {
    let base = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir());
    controllers.chain([base.to_path_buf()]).collect()
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = fs::remove_dir(path) {
        if !path.exists() {
            break;
        }
        // Its processes were killed a moment ago; the kernel lets go of the group when they are reaped.
        if Instant::now() >= deadline {
            return Err(Error::cannot("remove cgroup", path.display(), error));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
