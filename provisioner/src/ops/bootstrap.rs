//! `bootstrap`: from source to an autoscaling deployment, idempotent and resumable.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use tokio::try_join;

use super::forecast::Forecast;
use super::images::Checked;
use super::mirror::{self, Mirror};
use super::summary::Summary;
use super::{ANSWER, Bill, CHECK, Context, ask, deploy, elsewhere, images};
use crate::aws::{drift, preflight};
use crate::cluster::authority::{Authority, Choice};
use crate::cluster::changes::Planned;
use crate::cluster::manifest::Component;
use crate::cluster::nodes;
use crate::cluster::ownership::Existing;
use crate::cluster::values::Namespaces;
use crate::cluster::{ObjectRef, parent, preview};
use crate::config::Config;
use crate::error::Error;
use crate::image::Platform;
use crate::names::{APP, StackName};
use crate::plan::Plan;
use crate::report::Answer;
use crate::target::{self, Place, Prepared, Registry, Session, State};

/// What a bootstrap knows once it has looked at everything, before it asks or changes anything.
pub(super) struct Looked {
    pub(super) plan: Plan,
    /// The stack's objects, as far as they are known before images and cluster are.
    pub(super) wanted: Vec<Component>,
    pub(super) place: Place,
    pub(super) registry: Registry,
    pub(super) images: Checked,
    /// The image that was made elsewhere, where one is named.
    pub(super) elsewhere: Option<elsewhere::Found>,
    /// Images of others and their copies.
    pub(super) mirror: Mirror,
    pub(super) prepared: Prepared,
    pub(super) forecast: Forecast,
}

impl Looked {
    /// The platforms that the app's image is for.
    fn runs_on(&self) -> Vec<String> {
        match &self.elsewhere {
            Some(found) => found.platforms().to_vec(),
            None => self.images.platforms.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether the app is what makes load from now on.
    pub(super) fn makes_load(&self, context: &Context) -> bool {
        images::makes_load_too(context, &self.images)
    }
}

/// Decides everything, then acts: cluster and image at once, then the stack on it, then the proof.
pub(super) async fn run(context: &Context) -> Result<Answer, Error> {
    let began = Instant::now();
    let (config, report) = (&context.config, &*context.report);
    let looked = Box::pin(look(context)).await?;
    tell(context, &looked);
    let ready = check_target(context, &looked).await?;
    let Looked {
        plan,
        place,
        registry,
        images,
        elsewhere,
        mirror,
        prepared,
        ..
    } = looked;
    let stack = &plan.stack;

    report.phase("cluster and image");
    let (found, made, ()) = try_join!(
        place.provision(&plan, &prepared, report),
        images::make((&registry, stack), &config.image, images::names(&config.image), report),
        Box::pin(mirror.publish((&registry, stack), report)),
    )?;

    report.phase("registry");
    let sources = (elsewhere.as_ref(), &made);
    let (app, load) = Box::pin(images::publish_app(context, (&registry, stack), &images, sources)).await?;

    report.phase("stack");
    let (session, tried) = match ready {
        Some(ready) => ready,
        None => (place.connect(&found, config.output.timeout, report).await?, Vec::new()),
    };
    let mirrored = mirror.references();
    let references = deploy::Images {
        app: &app.reference,
        load: load.as_deref(),
        mirrored: &mirrored,
    };
    let deployed = Box::pin(deploy::run(context, (&session.cluster, stack), references, &tried)).await?;

    let aws = place.aws().or(registry.aws());
    let summary = Summary::new(context, aws, &plan, (app, load, mirror), deployed, began.elapsed());
    Answer::of(&summary).map_err(Error::failed)
}

/// Reads all that a bootstrap needs. Changes nothing.
///
/// # Errors
/// Whatever can be refused without the cluster: exit 2.
pub(super) async fn look(context: &Context) -> Result<Looked, Error> {
    let (config, report) = (&context.config, &*context.report);
    let (cluster, stack) = context.target()?;
    let wanted = deploy::render_unresolved(config, stack, Authority::Own, &BTreeMap::new())?;
    let images = images::check(&config.image).await?;

    report.phase(CHECK);
    let place = context.place().await?;
    let registry = elsewhere::registry(context, place.aws()).await?;
    registry.check().await?;
    let copies = mirror::wanted(config, stack, &registry, report)?;
    let plan = Plan::build(config, cluster, stack).mirroring(config, mirror::repositories(&copies));
    let elsewhere = Box::pin(elsewhere::find(&config.image, &registry, &images.platforms, report)).await?;
    let prepared = place.prepare(&plan, &registry).await?;
    let registry = registry.knowing(&prepared.repositories);
    let forecast = forecast(context, (&place, &registry), (&plan, &images.platforms), &prepared);
    drift::refuse(&forecast.drifts)?;
    let mirror = Box::pin(mirror::look(copies, (&registry, stack), &images.platforms, report)).await?;
    Ok(Looked {
        plan,
        wanted,
        place,
        registry,
        images,
        elsewhere,
        mirror,
        prepared,
        forecast,
    })
}

/// Connects to a cluster that answers; none where there is no such cluster yet.
///
/// # Errors
/// Whatever a bootstrap refuses before it looks at objects.
pub(super) async fn reach(context: &Context, looked: &Looked) -> Result<Option<Session>, Error> {
    let (plan, found, platforms) = (&looked.plan, &looked.prepared.found, &looked.images.platforms);
    match found.state() {
        State::Missing if !plan.create_cluster => Err(looked.place.missing()),
        State::Missing if needs_cert_manager(&context.config) => Err(no_cert_manager_yet()),
        State::Missing => {
            preflight::check_platform(&platforms.iter().map(|platform| platform.name()).collect::<Vec<_>>())?;
            Ok(None)
        }
        State::Usable => {
            let patience = ANSWER.min(context.config.output.timeout);
            let session = looked.place.connect(found, patience, &*context.report).await?;
            parent::check_version(&session.cluster, &plan.stack, &Namespaces::default().app).await?;
            warn_of_platform(context, &session, looked).await;
            Ok(Some(session))
        }
        State::Unfinished => Ok(None),
        State::Unusable => Err(target::not_usable(found).before_any_change()),
    }
}

/// Everything about the target that can refuse, before anything is changed. A cluster that is active is connected to
/// and its objects are looked at, which is kept for the apply; for one that will be created somebody has to agree.
async fn check_target(context: &Context, looked: &Looked) -> Result<Option<(Session, Vec<Planned>)>, Error> {
    let plan = &looked.plan;
    let Some(session) = Box::pin(reach(context, looked)).await? else {
        if looked.prepared.found.state() == State::Missing {
            let price = context
                .bill
                .get()
                .map_or(String::new(), |bill| format!(" for {}", bill.cost.hourly()));
            let question = format!("create EKS cluster `{}`{price}?", plan.cluster);
            ask::confirm(context, &question).await?;
        }
        return Ok(None);
    };
    let options = deploy::options(&context.config);
    let authority = deploy::authority(&context.config, &session.cluster).await;
    let authority = authority.map_err(deploy::refused_before_any_change)?;
    let mirrored = looked.mirror.references();
    let wanted = deploy::render_unresolved(&context.config, &plan.stack, authority, &mirrored)?;
    let checked = preview::check(&session.cluster, &plan.stack, &wanted, options, deploy::UNRESOLVED).await;
    let checked = checked.map_err(deploy::refused_before_any_change)?;
    confirm_adoption(context, plan, &checked.existing).await?;
    confirm_deletion(context, &plan.stack, &checked.going).await?;
    Ok(Some((session, checked.tried)))
}

fn needs_cert_manager(config: &Config) -> bool {
    config.certificates == Choice::CertManager && deploy::has_adapter(config)
}

/// A new cluster has no cert-manager: that is known before it is paid for.
fn no_cert_manager_yet() -> Error {
    Error::usage("cannot use cert-manager on a cluster that is yet to be made")
        .hint("take `--certificates auto`, and run again once cert-manager is installed: the stack changes over to it")
}

/// Shows what is marked again, and asks.
async fn confirm_adoption(context: &Context, plan: &Plan, existing: &[Existing]) -> Result<(), Error> {
    let adopted: Vec<String> = existing
        .iter()
        .filter(|e| e.adopted)
        .map(|e| e.object.to_string())
        .collect();
    if adopted.is_empty() {
        return Ok(());
    }
    let stack = &plan.stack;
    context.report.note(&format!(
        "applied by provisioner, without the labels of a stack:\n  {}",
        adopted.join("\n  ")
    ));
    ask::confirm(context, &format!("mark {} objects as stack `{stack}`?", adopted.len())).await
}

/// Shows what the stack has and is to have no longer, and asks: one flag that was forgotten takes a component away.
async fn confirm_deletion(context: &Context, stack: &StackName, going: &[ObjectRef]) -> Result<(), Error> {
    if going.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = going.iter().map(ToString::to_string).collect();
    context.report.note(&format!(
        "stack `{stack}` has these and is to have them no longer; they are deleted once the rest works:\n  {}",
        names.join("\n  ")
    ));
    let question = format!(
        "delete what stack `{stack}` no longer has ({} of its objects)?",
        going.len()
    );
    ask::confirm(context, &question).await
}

/// Where, as whom, what, and for how much.
fn forecast(
    context: &Context,
    (place, registry): (&Place, &Registry),
    (plan, platforms): (&Plan, &[Platform]),
    prepared: &Prepared,
) -> Forecast {
    let found = &prepared.found;
    if let Place::Eks(aws, _) = place {
        let there = found.eks().filter(|_| found.state() != State::Missing);
        let foundation = prepared.cluster.as_ref().map(|decided| &decided.readings.foundation);
        let gateway = foundation.is_some_and(|found| found.has_gateway(&plan.stack));
        let copies = plan.images.iter().filter(|image| *image != APP).count() * platforms.len();
        context.bill.get_or_init(|| {
            let bill = match there {
                None => Bill::planned(&plan.eks, aws.region()),
                Some(there) => Bill::new(there, gateway, aws.region()),
            };
            bill.mirroring(if registry.aws().is_some() { copies } else { 0 })
        });
    }
    let version = prepared.cluster.as_ref().and_then(|cluster| cluster.version.as_ref());
    if let Some(warning) = version.and_then(|version| version.warning(Timestamp::now())) {
        context.report.warning(&warning);
    }
    let cost = context.bill.get().map(|bill| bill.cost.clone());
    Forecast::new(place, registry, plan, prepared, cost)
}

/// Says what is going to be done, unless it is not.
fn tell(context: &Context, looked: &Looked) {
    if looked.prepared.found.state() != State::Missing || looked.plan.create_cluster {
        context.report.note(&looked.forecast.to_string());
    }
}

/// Tells of nodes that cannot run the image; where nobody says which nodes there are, of none.
async fn warn_of_platform(context: &Context, session: &Session, looked: &Looked) {
    let Ok(nodes) = nodes::read(&session.cluster).await else {
        return;
    };
    if let Some(warning) = nodes::misfit(&nodes, &looked.runs_on(), nodes::kept_to(&looked.wanted)) {
        context.report.warning(&warning);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;
    use crate::report::Record;

    #[tokio::test]
    async fn nothing_is_deleted_that_nobody_agreed_to() {
        let (_, mut context) = given(&["provisioner", "bootstrap", "--cluster", "demo"]);
        let stack: StackName = "demo".parse().expect("valid");
        let grafana = ObjectRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("monitoring".to_owned()),
            name: "grafana".to_owned(),
        };
        confirm_deletion(&context, &stack, &[]).await.expect("nothing to ask");
        let report = std::sync::Arc::new(Record::default());
        context.report = report.clone();
        let error = confirm_deletion(&context, &stack, std::slice::from_ref(&grafana)).await;
        let error = error.expect_err("nobody can be asked");
        assert_eq!(error.exit(), crate::error::Exit::Usage);
        assert!(
            error
                .to_string()
                .contains("delete what stack `demo` no longer has (1 of its objects)?")
        );
        let told = format!("{:?}", report.0.lock().expect("lock"));
        assert!(told.contains("Deployment `monitoring/grafana`"), "{told}");
        context.yes = true;
        confirm_deletion(&context, &stack, &[grafana]).await.expect("answered");
    }
}
