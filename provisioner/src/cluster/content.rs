//! Objects that hold what others keep in them: their deletion takes it along.

use kube::core::DynamicObject;

use super::object::ObjectRef;

/// Kinds of which that is so always.
pub(super) const KINDS: [&str; 3] = ["PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"];
/// The kind whose volume claims may go with it.
pub(super) const STATEFUL: &str = "StatefulSet";
/// What is said of one that stays because of that.
pub(super) const WHY: &str = "what is kept in it would go with it";

/// Whether it is so of an object: of a `StatefulSet` where its volume claims go with it.
pub(super) fn goes_along(live: &DynamicObject) -> bool {
    let kind = ObjectRef::of(live).kind;
    let claims = live
        .data
        .pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted");
    KINDS.contains(&kind.as_str()) || (kind == STATEFUL && claims.is_some_and(|when| when == "Delete"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_claims_of_a_stateful_set_and_definitions_hold_what_others_keep() {
        for (kind, spec, holds) in [
            ("PersistentVolumeClaim", json!({}), true),
            ("CustomResourceDefinition", json!({}), true),
            ("Deployment", json!({}), false),
            ("StatefulSet", json!({}), false),
            (
                "StatefulSet",
                json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}),
                false,
            ),
            (
                "StatefulSet",
                json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}),
                true,
            ),
        ] {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
            let object: DynamicObject = serde_json::from_value(object).expect("an object");
            assert_eq!(goes_along(&object), holds, "{kind} {:?}", object.data);
        }
    }
}
