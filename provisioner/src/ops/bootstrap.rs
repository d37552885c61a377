//! `bootstrap`: from source to an autoscaling deployment, idempotent and resumable.

use std::time::{Duration, Instant};

use tokio::try_join;

use super::summary::Summary;
use super::{Context, ask, deploy, files, images};
use crate::aws::Aws;
use crate::aws::eks::{self, EksCluster};
use crate::cluster::ownership;
use crate::error::Error;
use crate::plan::Plan;
use crate::report::{Answer, Reporter};
use crate::target::{self, Session};

/// How long a cluster that exists may take to answer before anything is changed.
const ANSWER: Duration = Duration::from_mins(1);

/// Decides everything, then acts: cluster and image at once, then the stack on it, then the proof.
pub(super) async fn run(context: &Context) -> Result<Answer, Error> {
    let began = Instant::now();
    let (config, report) = (&context.config, &*context.report);
    let (cluster, stack) = context.target()?;
    let plan = Plan::build(config, cluster, stack);
    deploy::check_manifests(config, stack)?;
    images::check(&config.image, report).await?;

    report.phase("check");
    let aws = context.connect_aws().await?;
    let found = eks::find(&aws, cluster, stack).await?;
    let ready = check_target(context, &aws, &plan, found.as_ref()).await?;

    report.phase("cluster and image");
    let (site, binary) = try_join!(
        target::provision(&aws, &plan, found.as_ref(), report),
        images::build(&config.image, report),
    )?;

    report.phase("registry");
    let (app, load) = images::publish_both(&aws, stack, &config.image, &binary, report).await?;
    files::write(config.image.refs.as_deref(), &images::refs(&[&app, &load]))?;

    report.phase("stack");
    let session = match ready {
        Some(session) => session,
        None => target::connect(&aws, &site, config.output.timeout).await?,
    };
    let deployed = deploy::run(context, &session.cluster, stack, (&app, &load)).await?;

    let summary = Summary::new(context, &aws, &plan, (app, load), deployed, began.elapsed());
    Answer::of(&summary).map_err(Error::failed)
}

/// Everything about the target that can refuse, before anything is changed. A cluster that is active is connected to
/// and its objects are looked at; for one that will be created somebody has to agree.
async fn check_target(
    context: &Context,
    aws: &Aws,
    plan: &Plan,
    found: Option<&EksCluster>,
) -> Result<Option<Session>, Error> {
    tell_where(aws, &*context.report);
    // One that is being deleted is as good as missing: what follows it is a new one.
    match found.filter(|found| found.status != "DELETING") {
        None if !plan.create_cluster => Err(target::missing(aws, &plan.cluster)),
        None => {
            let place = format!("account {}, region {}", aws.identity().account, aws.region());
            context.report.note(&format!("to be made in {place}:\n{plan}"));
            let question = format!("create EKS cluster `{}` (billable)?", plan.cluster);
            ask::confirm(context, &question).await?;
            Ok(None)
        }
        Some(found) if target::is_usable(found) => {
            let session = target::connect(aws, found, ANSWER.min(context.config.output.timeout)).await?;
            let wanted = deploy::render_unresolved(&context.config, &plan.stack)?;
            ownership::check(&session.cluster, &plan.stack, &wanted).await?;
            Ok(Some(session))
        }
        Some(found) if found.created_by_us => Ok(None),
        Some(found) => Err(target::not_usable(found)),
    }
}

fn tell_where(aws: &Aws, report: &dyn Reporter) {
    let identity = aws.identity();
    report.note(&format!(
        "account {} in {} as {}",
        identity.account,
        aws.region(),
        identity.arn
    ));
}
