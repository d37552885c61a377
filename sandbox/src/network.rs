//! The node's bridge and the packet filter rule that shuts the authenticator's health port.

use std::path::Path;

use crate::command::run;
use crate::error::Error;
use crate::state::{AUTHENTICATOR_HEALTH_PORT, Dirs, NODE_IP, write};

/// The bridge that carries the node's address; pods hang on CNI's own.
pub(crate) const NODE_BRIDGE: &str = "sbx0";
/// The bridge that the CNI plugin makes for pods.
pub(crate) const POD_BRIDGE: &str = "sbxpods0";
const TABLE: &str = "provisioner-sandbox";
/// Tables of kube-proxy in nftables mode.
const PROXY_TABLES: [(&str, &str); 2] = [("ip", "kube-proxy"), ("ip6", "kube-proxy")];

/// Makes what is missing, also what an interrupted run left half made.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    if !exists(NODE_BRIDGE) {
        run("ip", &["link", "add", NODE_BRIDGE, "type", "bridge"])?;
    }
    let address = format!("{NODE_IP}/32");
    run("ip", &["address", "replace", &address, "dev", NODE_BRIDGE])?;
    run("ip", &["link", "set", NODE_BRIDGE, "up"])?;
    let rules = format!(
        "add table inet {TABLE}\ndelete table inet {TABLE}\n\
         table inet {TABLE} {{ chain input {{ type filter hook input priority 0; policy accept; \
         iifname != \"lo\" tcp dport {AUTHENTICATOR_HEALTH_PORT} drop; }}; }}\n"
    );
    let file = dirs.at("filter.nft");
    write(&file, rules, false)?;
    run("nft", &["-f", &file.display().to_string()]).map(drop)
}

/// Whether the bridge that only a sandbox makes is there.
pub(crate) fn has_bridge() -> bool {
    exists(NODE_BRIDGE)
}

/// Removes bridges and rules; what is gone already is fine.
pub(crate) fn remove() -> Result<(), Error> {
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
    Ok(())
}

/// Network interfaces and tables that are still there: empty after [`remove`].
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
