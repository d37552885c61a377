//! `bootstrap`: from source to an autoscaling deployment, idempotent and resumable.

use std::time::{Duration, Instant};

use tokio::try_join;

use super::summary::Summary;
use super::{Bill, Context, ask, deploy, files, images};
use crate::cluster::{ClusterError, ownership};
use crate::error::Error;
use crate::plan::Plan;
use crate::report::{Answer, Reporter};
use crate::target::{self, Found, Place, Registry, Session, State};

/// How long a cluster that exists may take to answer before anything is changed.
const ANSWER: Duration = Duration::from_mins(1);

/// Decides everything, then acts: cluster and image at once, then the stack on it, then the proof.
pub(super) async fn run(context: &Context) -> Result<Answer, Error> {
    let began = Instant::now();
    let (config, report) = (&context.config, &*context.report);
    let (cluster, stack) = context.target()?;
    let plan = Plan::build(config, cluster, stack);
    deploy::check_manifests(config, stack)?;
    images::check(&config.image).await?;

    report.phase("check");
    let place = context.place().await?;
    let registry = context.registry(place.aws()).await?;
    registry.check().await?;
    tell_where(&place, &registry, report);
    let found = place.find(stack).await?;
    place.check(&plan, &found).await?;
    let ready = check_target(context, &place, &plan, &found).await?;

    report.phase("cluster and image");
    let (found, binary) = try_join!(
        place.provision(&plan, &found, report),
        images::build(&config.image, report),
    )?;

    report.phase("registry");
    let published = images::publish_both(&registry, stack, &config.image, &binary, report);
    let (app, load) = Box::pin(published).await?;
    files::write(config.image.refs.as_deref(), &images::refs(&[&app, &load]))?;

    report.phase("stack");
    let session = match ready {
        Some(session) => session,
        None => place.connect(&found, config.output.timeout).await?,
    };
    let deployed = deploy::run(context, &session.cluster, stack, (&app, &load)).await?;

    let aws = place.aws().or(registry.aws());
    let summary = Summary::new(context, aws, &plan, (app, load), deployed, began.elapsed());
    Answer::of(&summary).map_err(Error::failed)
}

/// Everything about the target that can refuse, before anything is changed. A cluster that is active is connected to
/// and its objects are looked at; for one that will be created somebody has to agree.
async fn check_target(context: &Context, place: &Place, plan: &Plan, found: &Found) -> Result<Option<Session>, Error> {
    if let Place::Eks(aws, _) = place {
        let there = found.eks().filter(|_| found.state() != State::Missing);
        context.bill.get_or_init(|| match there {
            None => Bill::planned(&plan.eks, aws.region()),
            Some(_) => Bill::new(there, aws.region()),
        });
    }
    match found.state() {
        State::Missing if !plan.create_cluster => Err(place.missing()),
        State::Missing => {
            context.report.note(&format!("to be made:\n{plan}"));
            let mut price = String::new();
            if let Some(Bill { cost, .. }) = context.bill.get() {
                context.report.note(&format!("costs {cost}:\n{}", cost.details()));
                price = format!(" for {cost}");
            }
            let question = format!("create EKS cluster `{}`{price}?", plan.cluster);
            ask::confirm(context, &question).await?;
            Ok(None)
        }
        State::Usable => {
            let session = place.connect(found, ANSWER.min(context.config.output.timeout)).await?;
            let wanted = deploy::render_unresolved(&context.config, &plan.stack)?;
            let checked = ownership::check(&session.cluster, &plan.stack, &wanted).await;
            checked.map_err(refused_before_any_change)?;
            Ok(Some(session))
        }
        State::Unfinished => Ok(None),
        State::Unusable => Err(target::not_usable(found).before_any_change()),
    }
}

/// A refusal leaves everything as it was; a failure may be over when the command is run again.
fn refused_before_any_change(error: ClusterError) -> Error {
    let is_refusal = error.is_refusal();
    let error = Error::from(error);
    if is_refusal { error.before_any_change() } else { error }
}

fn tell_where(place: &Place, registry: &Registry, report: &dyn Reporter) {
    if let Some(aws) = place.aws().or(registry.aws()) {
        let identity = aws.identity();
        report.note(&format!(
            "account {} in {} as {}",
            identity.account,
            aws.region(),
            identity.arn
        ));
    }
    if let Place::Context(known) = place {
        report.note(&format!("context `{}` at {}", known.name(), known.server()));
    }
}
