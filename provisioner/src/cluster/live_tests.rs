//! The whole story on a real cluster, for work on this module: `STACK_IMAGE=... KUBECONFIG=... cargo test -p provisioner
//! --lib live -- --ignored --nocapture --test-threads 1`. The flows of the commands are tested in `tests/e2e`.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::certificate;
use super::changes::{Change, Options};
use super::load_job::{LoadSpec, run_load};
use super::manifest::{self, Component};
use super::values::{Namespaces, Values};
use super::{Cluster, apply, changes, delete, password, wait};
use crate::chain;
use crate::names::StackName;
use crate::report::{Event, Outcome, Reporter};

struct Print(Instant);

impl Reporter for Print {
    fn emit(&self, event: Event) {
        eprintln!("{:6.2} {}", self.0.elapsed().as_secs_f64(), serde_json::json!(event));
    }
}

fn stack() -> StackName {
    "scratch".parse().expect("valid")
}

fn namespaces() -> Namespaces {
    Namespaces {
        app: "c-app".to_owned(),
        monitoring: "c-monitoring".to_owned(),
        metrics: "c-metrics".to_owned(),
    }
}

/// Components to leave out beside Grafana, e.g. `adapter` where another stack holds the metrics API.
fn without() -> Vec<String> {
    let more = std::env::var("STACK_WITHOUT").unwrap_or_default();
    let more = more.split(',').filter(|c| !c.is_empty()).map(ToOwned::to_owned);
    more.chain(["grafana".to_owned()]).collect()
}

fn image() -> String {
    std::env::var("STACK_IMAGE").expect("STACK_IMAGE names an image of the app")
}

async fn connected() -> Cluster {
    rustls::crypto::ring::default_provider().install_default().ok();
    Cluster::from_kubeconfig(None).await.expect("a cluster")
}

async fn components(cluster: &Cluster) -> Vec<Component> {
    let mut values = Values::new(stack(), &image(), &image());
    values.namespaces = namespaces();
    values.tolerance = cluster.keeps_tolerance("default").await.expect("asked");
    assert!(values.tolerance);
    values.grafana_password = password::prepare(cluster, "c-monitoring").await.expect("a password");
    let certificates = certificate::prepare(cluster, "c-metrics", Timestamp::now())
        .await
        .expect("certificates");
    manifest::load(None, &without(), &values, &certificates).expect("loads")
}

fn counts(changes: &[Change]) -> [usize; 4] {
    let of = |o: Outcome| changes.iter().filter(|c| c.outcome == o).count();
    [
        of(Outcome::Created),
        of(Outcome::Updated),
        of(Outcome::Unchanged),
        of(Outcome::Skipped),
    ]
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn live_1_up() {
    let (cluster, report) = (connected().await, Print(Instant::now()));
    let components = components(&cluster).await;
    let first = apply::apply(&cluster, &stack(), &components, &report)
        .await
        .expect("applied");
    wait::wait(&cluster, &components, Duration::from_secs(90), &report)
        .await
        .expect("ready");
    if without().len() > 1 {
        return;
    }
    let chain = chain::verify_in(&cluster, &namespaces(), Duration::from_secs(60), &report).await;
    eprintln!(
        "{:6.2} {:?} {chain:?}",
        report.0.elapsed().as_secs_f64(),
        counts(&first)
    );
    chain.expect("a chain");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn live_2_again_changes_nothing() {
    let cluster = connected().await;
    let start = Instant::now();
    let components = components(&cluster).await;
    eprintln!("prepared {:?}", start.elapsed());
    let planned = changes::plan(&cluster, &stack(), &components, Options::default())
        .await
        .expect("planned");
    eprintln!("planned {:?}", start.elapsed());
    for p in planned.iter().filter(|p| p.change.outcome != Outcome::Unchanged) {
        eprintln!("{:?}", p.change);
    }
    let all: Vec<Change> = planned.into_iter().map(|p| p.change).collect();
    let [created, updated, ..] = counts(&all);
    assert_eq!((created, updated), (0, 0));
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn live_3_load() {
    let (cluster, report) = (connected().await, Print(Instant::now()));
    let mut spec = LoadSpec::new(&image(), 100.0, 40);
    spec.namespaces = namespaces();
    let stack = stack();
    let run = run_load(&cluster, &stack, &spec, Duration::from_secs(90), &report);
    let table = async {
        for _ in 0..60 {
            let s = chain::sample_of(&cluster, &namespaces()).await.expect("a sample");
            let rate = s.rate_total.unwrap_or_default();
            eprintln!(
                "{:6.2} {} {} {:?} {rate:.1} {:?}",
                report.0.elapsed().as_secs_f64(),
                s.replicas,
                s.ready,
                s.desired,
                s.problem
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (result, ()) = tokio::join!(run, table);
    eprintln!("{}", result.expect("a report"));
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn live_4_down() {
    let (cluster, report) = (connected().await, Print(Instant::now()));
    let receipt = delete::delete_stack(&cluster, &stack(), Duration::from_secs(60), &report)
        .await
        .expect("deleted");
    eprintln!(
        "{:6.2} deleted {}, left {:?}",
        report.0.elapsed().as_secs_f64(),
        receipt.deleted.len(),
        receipt.left
    );
    assert!(receipt.left.is_empty());
}
