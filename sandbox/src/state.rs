//! Where everything lives and which ports it uses.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// API server, etcd (client, peer), registry, AWS endpoint, authenticator. Clients of AWS, and those that come by the way of
/// AWS, use the front's addresses.
pub(crate) const API_PORT: u16 = 6443;
pub(crate) const ETCD_PORT: u16 = 2379;
pub(crate) const ETCD_PEER_PORT: u16 = 2380;
pub(crate) const REGISTRY_PORT: u16 = 5000;
pub(crate) const AWS_INNER_PORT: u16 = 5556;
pub(crate) const AUTHENTICATOR_PORT: u16 = 21362;
/// The authenticator's health port: no flag moves it off all interfaces, a packet filter rule shuts it.
pub(crate) const AUTHENTICATOR_HEALTH_PORT: u16 = 21363;
/// Health and metrics ports on loopback.
pub(crate) const KUBELET_HEALTH_PORT: u16 = 10248;
pub(crate) const PROXY_METRICS_PORT: u16 = 10249;
pub(crate) const PROXY_HEALTH_PORT: u16 = 10256;
pub(crate) const CONTROLLER_MANAGER_PORT: u16 = 10257;
pub(crate) const SCHEDULER_PORT: u16 = 10259;
/// The front: AWS, the API server on the node's address, the registry.
pub(crate) const AWS_PORT: u16 = 5555;
pub(crate) const KUBERNETES_FRONT_PORT: u16 = 6444;
pub(crate) const REGISTRY_FRONT_PORT: u16 = 5001;
/// Every fixed port, with the program that needs it.
pub(crate) const PORTS: [(u16, &str); 15] = [
    (API_PORT, "kube-apiserver"),
    (ETCD_PORT, "etcd"),
    (ETCD_PEER_PORT, "etcd"),
    (REGISTRY_PORT, "registry"),
    (AWS_INNER_PORT, "aws"),
    (AWS_PORT, "front"),
    (KUBERNETES_FRONT_PORT, "front"),
    (REGISTRY_FRONT_PORT, "front"),
    (AUTHENTICATOR_PORT, "authenticator"),
    (AUTHENTICATOR_HEALTH_PORT, "authenticator"),
    (KUBELET_HEALTH_PORT, "kubelet"),
    (PROXY_METRICS_PORT, "kube-proxy"),
    (PROXY_HEALTH_PORT, "kube-proxy"),
    (CONTROLLER_MANAGER_PORT, "kube-controller-manager"),
    (SCHEDULER_PORT, "kube-scheduler"),
];

/// Below the state: what kubectl keeps of the API, else in the user's home.
pub(crate) const KUBECTL_CACHE: &str = "kubectl-cache";

/// What is recorded about the machine's one sandbox: owner, processes, changed sysctls. Not below a home folder, so that every
/// user and checkout sees the same; on tmpfs, since a reboot ends all that it names.
const RECORDS: &str = "/run/provisioner-sandbox";

/// The node's address, on a bridge of the sandbox's own.
pub(crate) const NODE_IP: &str = "10.200.0.1";
/// The region, the static keys and the account of the AWS endpoint.
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCESS_KEY_ID: &str = "AKIASANDBOX000000DEV";
pub(crate) const SECRET_ACCESS_KEY: &str = "sandbox-secret";
/// User of the registry, as on ECR.
pub(crate) const REGISTRY_USER: &str = "AWS";
pub(crate) const REGISTRY_PASSWORD: &str = "sandbox-registry";

/// The folders of one sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Dirs {
    /// Sources of the sandbox: `sandbox/` of this checkout.
    pub(crate) source: PathBuf,
    /// State of this sandbox: `.sandbox/` or `SANDBOX_DIR`.
    pub(crate) state: PathBuf,
    /// What is built or downloaded, by the hash of its inputs.
    pub(crate) cache: PathBuf,
    /// What is recorded about the machine's one sandbox, whoever started it.
    pub(crate) records: PathBuf,
    /// The EKS cluster id that the authenticator accepts tokens for.
    pub(crate) cluster: String,
}

impl Dirs {
    /// Resolves the folders from the environment. Errors where the state folder would be hidden from the node.
    pub(crate) fn resolve(cluster: &str) -> Result<Self, Error> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let checkout = source.parent().map_or_else(|| source.clone(), Path::to_path_buf);
        let state = env::var_os("SANDBOX_DIR").map_or_else(|| checkout.join(".sandbox"), PathBuf::from);
        let state = std::path::absolute(&state).map_err(|e| Error::cannot("resolve", state.display(), e))?;
        for hidden in ["/run", "/var/lib", "/var/log"] {
            if state.starts_with(hidden) {
                return Err(Error::usage(format!(
                    "SANDBOX_DIR `{}` is below {hidden}, which the node's mount namespace covers",
                    state.display()
                ))
                .with_hint("choose a folder elsewhere, e.g. SANDBOX_DIR=/tmp/sandbox"));
            }
        }
        Ok(Self {
            source,
            state,
            cache: cache_dir()?,
            records: RECORDS.into(),
            cluster: cluster.to_owned(),
        })
    }

    /// A path below the state folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// The same as text, for command lines.
    pub(crate) fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    /// The log file of a program.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.at("logs").join(format!("{name}.log"))
    }

    /// A built program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.at("bin").join(name)
    }

    /// Kubeconfig of the cluster's administrator.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.at("admin.kubeconfig")
    }

    /// Every folder below one, as tests want it.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self {
            source: root.join("source"),
            state: root.join("state"),
            cache: root.join("cache"),
            records: root.join("records"),
            cluster: "demo".into(),
        }
    }
}

fn cache_dir() -> Result<PathBuf, Error> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")))
        .ok_or_else(|| Error::usage("neither XDG_CACHE_HOME nor HOME is set"))?;
    Ok(base.join("provisioner-sandbox"))
}

/// Removes a file, or a folder with all that is in it; of a link the link alone.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|e| Error::cannot("remove", path.display(), e))
}

/// Creates a folder and its parents.
pub(crate) fn create_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|e| Error::cannot("create", path.display(), e))
}

/// Writes a file, creating its folder; mode 0600 where `private`. Whoever is killed while writing leaves the old file or none.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>, private: bool) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let mode = if private { 0o600 } else { 0o644 };
    let partial = partial(path);
    let _ = fs::remove_file(&partial);
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(&partial)
        .and_then(|mut file| file.write_all(contents.as_ref()))
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|e| Error::cannot("write", path.display(), e))
}

/// Where something is made before it is renamed to `path`.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}
