//! File descriptors: one for each connection, of which the process may have too few.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::connections::SPARE;

/// Beside connections: listener, log, event loop, what a scrape reads, a collector.
const OTHERS: usize = 32;

/// The limit of connections that descriptors suffice for. Beyond it none could be accepted, so that nobody would be told
/// and no probe answered. The soft limit of descriptors is raised as far as needed and allowed.
pub(crate) fn afford(connections: usize) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return connections;
    };
    let needed = u64::try_from(connections.saturating_add(SPARE + OTHERS)).unwrap_or(u64::MAX);
    let raised = needed.min(hard).max(soft);
    let is_raised = raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok();
    let descriptors = if is_raised { raised } else { soft };
    let affordable = affordable(connections, descriptors);
    if affordable < connections {
        tracing::warn!(
            max_connections = affordable,
            asked = connections,
            descriptors,
            "fewer connections than asked for: too few file descriptors (ulimit -n)"
        );
    }
    affordable
}

fn affordable(connections: usize, descriptors: u64) -> usize {
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    connections.min(descriptors.saturating_sub(SPARE + OTHERS).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_than_there_are_descriptors_for() {
        for (connections, descriptors, expected) in [
            (1024, 1_048_576, 1024),
            (1024, 1120, 1024),
            (1024, 1119, 1023),
            (1024, 1024, 928),
            (10, 20, 1),
            (usize::MAX, u64::MAX, usize::MAX - SPARE - OTHERS),
        ] {
            assert_eq!(
                affordable(connections, descriptors),
                expected,
                "{connections} {descriptors}"
            );
        }
    }
}
