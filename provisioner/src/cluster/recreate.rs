//! Objects whose change the server refuses although it would take them anew: a field of theirs cannot be changed in
//! place. On request they are deleted and made again.

use std::time::Duration;

use kube::core::DynamicObject;

use super::changes::{self, Options, Planned};
use super::connect::Cluster;
use super::content;
use super::delete::Run;
use super::error::{ClusterError, Failure};
use super::inventory::Live;
use super::object::ObjectRef;
use super::ownership::Existing;
use crate::report::Reporter;

/// The name under which a new object is tried: nothing is made of it.
const PROBE: &str = "provisioner-probe";
/// How long an object and what hangs on it may take to go.
const GOING: Duration = Duration::from_mins(5);
/// What is said of an object that is not made anew although that is asked for.
pub(super) const NOT_RECREATED: &str = " (`--recreate` does not delete what others keep something in)";
/// A value in an error may be a whole pod template.
const MOST_CHARACTERS: usize = 200;

/// What is planned for an object whose change was refused as invalid: to make it anew, where that is asked for. Whether
/// the object is invalid by itself or only as a change is asked by a dry run of a new one.
///
/// # Errors
/// The refusal, or [`ClusterError::Immutable`] with the fields.
pub(super) async fn instead(
    cluster: &Cluster,
    wanted: &DynamicObject,
    existing: &Existing,
    options: Options,
    refused: ClusterError,
) -> Result<Planned, ClusterError> {
    let object = ObjectRef::of(wanted);
    let ClusterError::Request { failure, .. } = &refused else {
        return Err(refused);
    };
    if failure.code != Some(422) || failure.causes.is_empty() || !would_be_taken_anew(cluster, wanted, options).await? {
        return Err(refused);
    }
    let goes_along = content::goes_along(&existing.live) || object.kind == "Namespace";
    if options.recreate && !goes_along {
        let fields = failure.causes.iter().map(|(field, _)| field.clone()).collect();
        return Ok(Planned::recreated(wanted, fields, existing.live.metadata.uid.clone()));
    }
    let mut fields = fields(&object, failure);
    if options.recreate {
        for line in &mut fields {
            *line += NOT_RECREATED;
        }
    }
    Err(ClusterError::Immutable(fields))
}

/// One line for each field.
fn fields(object: &ObjectRef, failure: &Failure) -> Vec<String> {
    let line = |(field, message): &(String, String)| format!("{object}: field `{field}`: {}", ending(message));
    failure.causes.iter().map(line).collect()
}

/// The end of a message: it begins with the value, and says at last what is wrong.
fn ending(message: &str) -> String {
    let all = message.chars().count();
    if all <= MOST_CHARACTERS {
        return message.to_owned();
    }
    let end: String = message.chars().skip(all - MOST_CHARACTERS).collect();
    format!("...{end}")
}

async fn would_be_taken_anew(
    cluster: &Cluster,
    wanted: &DynamicObject,
    options: Options,
) -> Result<bool, ClusterError> {
    let mut probe = wanted.clone();
    probe.metadata.name = Some(PROBE.to_owned());
    match changes::send(cluster, &ObjectRef::of(&probe), &probe, options, true).await {
        Ok(_) => Ok(true),
        Err(ClusterError::Request { failure, .. }) if failure.code.is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes an object, waits until it is gone with all that was made from it, and applies it again. A run that ends
/// between the two leaves an object that is absent, which the next one makes.
pub(super) async fn anew(
    cluster: &Cluster,
    planned: &Planned,
    options: Options,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let former = Live {
        object: planned.object.clone(),
        uid: planned.uid.clone(),
        controlled: false,
        owners: Vec::new(),
        ours: true,
    };
    let mut run = Run::new(cluster, GOING, report);
    run.delete(&[&former]).await?;
    if !run.receipt.left.is_empty() {
        return Err(ClusterError::Terminating(vec![planned.object.to_string()]));
    }
    changes::send(cluster, &planned.object, &planned.wanted, options, false).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_and_what_is_wrong_with_it_is_not() {
        let message = format!("Invalid value: {}: field is immutable", "x".repeat(5000));
        let said = ending(&message);
        assert!(
            said.starts_with("...x") && said.ends_with(": field is immutable"),
            "{said}"
        );
        assert_eq!(said.chars().count(), MOST_CHARACTERS + 3);
        assert_eq!(ending("short"), "short");
    }
}
