//! The parent's own annotations, changed without what the stack was made from.

use serde_json::json;

use super::super::apply;
use super::super::fixtures::{Run, components, stack};
use super::super::wire::Wire;
use super::*;
use crate::report::Silent;

const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";

async fn remembered(wire: &Wire, image: &str) -> Result<(), ClusterError> {
    let run = Run::new();
    Box::pin(remember(
        &wire.cluster(),
        run.terms(),
        (ANNOTATION_LOAD_IMAGE, image),
        &Silent,
    ))
    .await
}

#[tokio::test]
async fn an_annotation_is_written_under_the_lease_beside_all_that_was_there() {
    let wire = Wire::default();
    let applied = apply::apply(&wire.cluster(), &stack(), &components(), Options::default(), &Silent).await;
    applied.expect("applied");
    let before = wire.state().objects[RECORD].clone();
    wire.state().log.clear();
    remembered(&wire, "r/load@sha256:1").await.expect("written");
    let mut after = wire.state().objects[RECORD].clone();
    assert_eq!(
        after["metadata"]["annotations"][ANNOTATION_LOAD_IMAGE],
        "r/load@sha256:1"
    );
    let annotations = after["metadata"]["annotations"].as_object_mut().expect("annotations");
    annotations.remove(ANNOTATION_LOAD_IMAGE);
    for part in ["annotations", "labels"] {
        assert_eq!(after["metadata"][part], before["metadata"][part]);
    }
    let changes = wire.changes();
    assert!(
        changes[0].starts_with("POST") && changes[0].contains("/leases"),
        "{changes:#?}"
    );
    assert!(
        changes
            .iter()
            .any(|change| change.starts_with(&format!("PATCH {RECORD}"))),
        "{changes:#?}"
    );
    // A stack that goes on with what it remembers finds nothing to do.
    let mut wanted = components();
    annotate(&mut wanted, &stack(), ANNOTATION_LOAD_IMAGE, "r/load@sha256:1");
    let planned = changes::plan(&wire.cluster(), &stack(), &wanted, Options::default()).await;
    assert!(planned.expect("planned").iter().all(changes::Planned::is_as_wanted));
}

#[tokio::test]
async fn nothing_is_written_where_there_is_no_stack_or_the_record_is_not_ours() {
    let wire = Wire::default();
    let missing = remembered(&wire, "r/load@sha256:1").await;
    assert!(matches!(missing, Err(ClusterError::NotInstalled { .. })), "{missing:?}");
    wire.put(
        RECORD,
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provisioner-demo"}}),
    );
    let foreign = remembered(&wire, "r/load@sha256:1").await;
    assert!(matches!(foreign, Err(ClusterError::NotInstalled { .. })), "{foreign:?}");
    assert_eq!(wire.state().objects[RECORD]["metadata"].get("annotations"), None);
}
