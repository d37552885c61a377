//! The node's bridge, the packet filter rule that shuts the authenticator's health port, and the two sysctls.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::process::{run, run_with};
use crate::state::{AUTHENTICATOR_HEALTH_PORT, Dirs, NODE_IP, write};

/// The bridge that carries the node's address; pods hang on CNI's own.
pub(crate) const NODE_BRIDGE: &str = "sbx0";
/// The bridge that the CNI plugin makes for pods.
pub(crate) const POD_BRIDGE: &str = "sbxpods0";
const TABLE: &str = "provisioner-sandbox";
/// Tables of kube-proxy in nftables mode.
const PROXY_TABLES: [(&str, &str); 2] = [("ip", "kube-proxy"), ("ip6", "kube-proxy")];
/// Pods reach services through the host, replies between pods on one bridge too.
const SYSCTLS: [&str; 2] = ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"];

/// Makes what is missing; the values of sysctls that it changes are kept for [`remove`].
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    if !exists(NODE_BRIDGE) {
        run("ip", &["link", "add", NODE_BRIDGE, "type", "bridge"])?;
        run("ip", &["address", "add", &format!("{NODE_IP}/32"), "dev", NODE_BRIDGE])?;
    }
    run("ip", &["link", "set", NODE_BRIDGE, "up"])?;
    for sysctl in SYSCTLS {
        set_sysctl(dirs, sysctl)?;
    }
    let rules = format!(
        "add table inet {TABLE}\ndelete table inet {TABLE}\n\
         table inet {TABLE} {{ chain input {{ type filter hook input priority 0; policy accept; \
         iifname != \"lo\" tcp dport {AUTHENTICATOR_HEALTH_PORT} drop; }}; }}\n"
    );
    let file = dirs.at("filter.nft");
    write(&file, rules, false)?;
    run("nft", &["-f", &file.display().to_string()]).map(drop)
}

/// Removes bridges and rules and puts sysctls back; what is gone already is fine.
pub(crate) fn remove(dirs: &Dirs) -> Result<(), Error> {
    for bridge in [POD_BRIDGE, NODE_BRIDGE] {
        if exists(bridge) {
            run("ip", &["link", "delete", bridge])?;
        }
    }
    let tables = PROXY_TABLES.iter().copied().chain([("inet", TABLE)]);
    for (family, table) in tables {
        if run("nft", &["list", "table", family, table]).is_ok() {
            run("nft", &["delete", "table", family, table])?;
        }
    }
    for sysctl in SYSCTLS {
        let saved = saved_sysctl(dirs, sysctl);
        if let Ok(value) = fs::read_to_string(&saved) {
            let path = format!("/proc/sys/{sysctl}");
            fs::write(&path, value).map_err(|e| Error::cannot("restore", path, e))?;
            let _ = fs::remove_file(saved);
        }
    }
    Ok(())
}

/// Network interfaces, tables and sysctls that are still there: empty after [`remove`].
pub(crate) fn left() -> Vec<String> {
    let mut left: Vec<String> = [NODE_BRIDGE, POD_BRIDGE]
        .iter()
        .filter(|b| exists(b))
        .map(|b| format!("interface {b}"))
        .collect();
    let tables = run("nft", &["list", "tables"]).unwrap_or_default();
    left.extend(
        tables
            .lines()
            .filter(|t| t.contains(TABLE) || t.contains("kube-proxy"))
            .map(str::to_owned),
    );
    left
}

fn exists(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).exists()
}

fn set_sysctl(dirs: &Dirs, sysctl: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/{sysctl}");
    if !Path::new(&path).exists() {
        let _ = run_with(std::process::Command::new("modprobe").arg("br_netfilter"));
    }
    let value = fs::read_to_string(&path).map_err(|e| {
        Error::cannot("read", &path, e).with_hint("the kernel module `br_netfilter` is needed: `modprobe br_netfilter`")
    })?;
    if value.trim() == "1" {
        return Ok(());
    }
    // Saved first: after a crash between the two lines nothing is lost.
    let saved = saved_sysctl(dirs, sysctl);
    if !saved.exists() {
        write(&saved, &value, false)?;
    }
    fs::write(&path, "1").map_err(|e| Error::cannot("set", path, e))
}

/// Below the cache, not the state: another checkout must be able to put the value back.
fn saved_sysctl(dirs: &Dirs, sysctl: &str) -> std::path::PathBuf {
    dirs.cache.join("sysctl").join(sysctl.replace('/', "."))
}
