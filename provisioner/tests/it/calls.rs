//! How many requests to the cluster a bootstrap makes, as its objects grow in number. Counts, no times.

use std::fmt::Write as _;
use std::path::Path;

use crate::plan::World;

/// Prometheus is left out: nobody answers here for the chain that is verified with it.
const BOOTSTRAP: &str = "bootstrap --without prometheus --yes --output json";
/// Further objects beside the stack's own.
const FEW: usize = 10;
const MANY: usize = 210;

/// A component of so many objects, of three kinds.
fn write(folder: &Path, count: usize, value: &str) {
    let mut text = String::new();
    for number in 0..count {
        let meta = format!("metadata: {{name: bench-{number}, namespace: web-app}}");
        let object = match number % 3 {
            0 => format!("apiVersion: v1\nkind: ConfigMap\n{meta}\ndata: {{value: {value}}}\n"),
            1 => format!(
                "apiVersion: v1\nkind: Service\n{meta}\nspec: {{selector: {{of: {value}}}, ports: [{{name: http, port: 80}}]}}\n"
            ),
            _ => format!("apiVersion: v1\nkind: ServiceAccount\n{meta}\nimagePullSecrets: [{{name: {value}}}]\n"),
        };
        writeln!(text, "---\n{object}").unwrap();
    }
    let component = folder.join("60-bench");
    std::fs::create_dir_all(&component).unwrap();
    std::fs::write(component.join("all.yaml"), text).unwrap();
}

/// Requests of a first bootstrap, of the next one, and of one whose further objects all change.
async fn asked(count: usize) -> [Vec<String>; 3] {
    let world = World::new().await;
    world.kubernetes.makes_ready();
    let folder = tempfile::tempdir().unwrap();
    let run = async |value: &str| {
        write(folder.path(), count, value);
        world.kubernetes.take_log();
        let ended = world
            .run(&format!("{BOOTSTRAP} --manifests {}", folder.path().display()))
            .await;
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        world.kubernetes.take_log()
    };
    [run("a").await, run("a").await, run("b").await]
}

/// Requests by what they do, for a test that fails.
fn told(asked: &[String]) -> String {
    let mut lines = asked.to_vec();
    lines.sort();
    format!("{} requests: {lines:#?}", asked.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_grow_with_what_changes_and_not_with_what_there_is() {
    let (few, many) = (asked(FEW).await, asked(MANY).await);
    let more = |at: usize| many[at].len() - few[at].len();
    let counts = |asked: &[Vec<String>; 3]| asked.each_ref().map(Vec::len);
    println!(
        "first, again, changed: {:?} with {FEW} further objects, {:?} with {MANY}",
        counts(&few),
        counts(&many)
    );
    // A dry run and an apply of each.
    assert!(more(0) <= 2 * (MANY - FEW) + 10, "first: {}", told(&many[0]));
    assert_eq!(more(1), 0, "again: {} and {}", told(&few[1]), told(&many[1]));
    assert!(more(2) <= 2 * (MANY - FEW) + 10, "changed: {}", told(&many[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_finds_everything_as_wanted_reads_each_kind_three_times() {
    let [_, again, _] = asked(FEW).await;
    let writes = again.iter().filter(|line| !line.starts_with("GET "));
    let writes: Vec<&String> = writes.filter(|line| !line.contains("dryRun=All")).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    let lists = again.iter().filter(|line| line.contains("labelSelector"));
    let lists: Vec<&str> = lists.filter_map(|line| line.split('?').next()).collect();
    let mut kinds = lists.clone();
    kinds.sort_unstable();
    kinds.dedup();
    // For the early check, for the apply, and where there are many of a kind for the wait.
    assert!(lists.len() <= 3 * kinds.len(), "{lists:#?}");
    println!("{}", told(&again));
    // What stands on the cluster once: connection, versions, nodes, password, certificates, features.
    assert!(again.len() - lists.len() <= 20, "{}", told(&again));
}
