//! `push --rollout`: the images pushed, the installed app moved to them, waited for, and taken back where asked.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::deploy::refused_before_any_change;
use super::{ANSWER, CHECK, Context, deploy, elsewhere, images};
use crate::cli;
use crate::cluster::rollout::{self, End, Images, Moved, Rolled, Rollout, Running};
use crate::cluster::values::Namespaces;
use crate::cluster::{ClusterError, lease};
use crate::error::Error;
use crate::image::Published;
use crate::report::Answer;

/// Decides everything, pushes, then moves the app. The result is worth printing also where the rollout failed: so says
/// the second part.
pub(super) async fn run(flags: &cli::Push, context: &Context) -> Result<(Answer, Result<(), Error>), Error> {
    let (config, report) = (&context.config, &*context.report);
    let (_, stack) = context.target()?;
    let images = images::check(&config.image).await?;
    report.phase(CHECK);
    let place = context.place().await?;
    let registry = elsewhere::registry(context, place.aws()).await?;
    registry.check().await?;
    let found = Box::pin(elsewhere::find(&config.image, &registry, &images.platforms, report)).await?;
    let answer = ANSWER.min(config.output.timeout);
    let session = place.session(stack, answer, report).await?;
    let (cluster, home) = (&session.cluster, Namespaces::default().app);
    let options = deploy::options(config);
    let checked = rollout::check(cluster, stack, &home, options).await;
    if !checked.map_err(refused_before_any_change)? {
        return Err(deploy::no_stack(stack));
    }

    report.phase("image");
    let names = images::names(&config.image);
    let registry = registry.read(stack, names).await?;
    let made = Box::pin(images::make((&registry, stack), &config.image, names, report)).await?;
    let sources = (found.as_ref(), &made);
    let (app, load) = Box::pin(images::publish_app(context, (&registry, stack), &images, sources)).await?;

    report.phase("rollout");
    let began = Instant::now();
    let rollout = Rollout {
        images: &Images {
            app: app.reference.clone(),
            load: load.clone(),
        },
        rollback: flags.rollback_on_failure,
        options,
        timeout: config.output.timeout,
        begun: &|moved| context.rollout.begin(moved.clone()),
    };
    let home = lease::home(stack, &home);
    let terms = context.lease_terms(stack, &home);
    let rolled = Box::pin(rollout::roll(cluster, terms, rollout, report)).await?;
    let result = Report::new(app, load, &rolled, began.elapsed().as_secs_f64());
    let answer = Answer::of(&result).map_err(Error::failed)?;
    Ok((answer, context.verdict(rolled)))
}

impl Context {
    /// What a rollout's end means for the command's; one that came to a good end or was taken back leaves nothing.
    fn verdict(&self, rolled: Rolled) -> Result<(), Error> {
        let Rolled { moved, end, running } = rolled;
        let (why, fact) = match end {
            End::RolledOut => {
                self.rollout.end();
                return Ok(());
            }
            End::RolledBack(why) => {
                self.rollout.end();
                let previous = moved.previous.unwrap_or_default();
                (why, format!("rolled back to `{previous}`, which is ready"))
            }
            End::Failed(why) => (why, told(&running)),
            End::NotRolledBack(why, error) => (why, format!("not rolled back: {error}; {}", told(&running))),
        };
        let hint = deploy::right_to_pull(&why, self.config.target.registry.as_ref());
        let hint = hint.or_else(|| why.hint().map(str::to_owned));
        let error = Error::failed(NotRolledOut {
            image: moved.image,
            fact,
            source: why,
        });
        Err(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }
}

fn told(running: &[Running]) -> String {
    let images = running.iter().map(|one| {
        let Running { image, ready, pods } = one;
        format!("{ready} of {pods} pods with `{image}` are ready")
    });
    match images.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no pod runs".to_owned(),
        some => some,
    }
}

/// The pods do not run the image.
#[derive(Debug, thiserror::Error)]
#[error("cannot roll out `{image}`: {fact}")]
struct NotRolledOut {
    image: String,
    /// What runs instead.
    fact: String,
    source: ClusterError,
}

/// A rollout that was begun, until it has come to a good end: what a failure or an interruption leaves.
#[derive(Debug, Default)]
pub struct Underway(Mutex<Option<Moved>>);

impl Underway {
    pub(super) fn begin(&self, moved: Moved) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moved);
    }

    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is left of it, if anything.
    pub(super) fn left(&self) -> Option<Moved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The result: what was pushed, and what became of it.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    pushed: Published,
    image: String,
    /// The one that makes load from now on; none where the one before stays.
    load_image: Option<String>,
    /// The image before; none where the app had this one already.
    previous: Option<String>,
    rolled_out: bool,
    rolled_back: bool,
    running: Vec<Running>,
    rollout_s: f64,
}

impl Report {
    fn new(pushed: Published, load_image: Option<String>, rolled: &Rolled, rollout_s: f64) -> Self {
        Self {
            image: pushed.reference.clone(),
            pushed,
            load_image,
            previous: rolled.moved.previous.clone(),
            rolled_out: matches!(rolled.end, End::RolledOut),
            rolled_back: matches!(rolled.end, End::RolledBack(_)),
            running: rolled.running.clone(),
            rollout_s,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;
    use crate::cluster::ObjectRef;

    fn rolled(end: End) -> Rolled {
        let running = |image: &str, ready| Running {
            image: image.to_owned(),
            ready,
            pods: 1,
        };
        Rolled {
            moved: Moved {
                deployment: ObjectRef {
                    api_version: "apps/v1".to_owned(),
                    kind: "Deployment".to_owned(),
                    namespace: Some("web-app".to_owned()),
                    name: "web-app".to_owned(),
                },
                image: "r@sha256:1".to_owned(),
                previous: Some("r@sha256:0".to_owned()),
            },
            end,
            running: vec![running("r@sha256:0", 1), running("r@sha256:1", 0)],
        }
    }

    fn failed() -> ClusterError {
        ClusterError::Failed(vec!["Deployment `web-app/web-app`: CrashLoopBackOff".to_owned()])
    }

    /// The verdict's text, and whether something is left that the error has to tell.
    fn verdict(end: End) -> (String, bool) {
        let (_, context) = given(&["provisioner", "push", "--cluster", "demo", "--rollout"]);
        let rolled = rolled(end);
        context.rollout.begin(rolled.moved.clone());
        let verdict = context.verdict(rolled);
        let left = context.rollout.left().is_some();
        (
            verdict.map_or_else(|error| error.to_string(), |()| "done".to_owned()),
            left,
        )
    }

    #[test]
    fn a_failed_rollout_says_its_cause_and_what_runs_or_that_it_was_taken_back() {
        assert_eq!(verdict(End::RolledOut), ("done".to_owned(), false));
        let (text, left) = verdict(End::Failed(failed()));
        assert!(left);
        insta::assert_snapshot!(text, @r#"
        error: cannot roll out `r@sha256:1`: 1 of 1 pods with `r@sha256:0` are ready, 0 of 1 pods with `r@sha256:1` are ready
          caused by: cannot get objects ready:
          Deployment `web-app/web-app`: CrashLoopBackOff
        "#);
        let (text, left) = verdict(End::RolledBack(failed()));
        assert!(!left);
        insta::assert_snapshot!(text, @r#"
        error: cannot roll out `r@sha256:1`: rolled back to `r@sha256:0`, which is ready
          caused by: cannot get objects ready:
          Deployment `web-app/web-app`: CrashLoopBackOff
        "#);
        let overtaken = ClusterError::Overtaken {
            object: "Deployment `web-app/web-app`".to_owned(),
            image: "r@sha256:2".to_owned(),
        };
        let (text, left) = verdict(End::NotRolledBack(failed(), overtaken));
        assert!(left);
        insta::assert_snapshot!(text, @r#"
        error: cannot roll out `r@sha256:1`: not rolled back: cannot go on with Deployment `web-app/web-app`: somebody else moved it to `r@sha256:2` meanwhile; 1 of 1 pods with `r@sha256:0` are ready, 0 of 1 pods with `r@sha256:1` are ready
          caused by: cannot get objects ready:
          Deployment `web-app/web-app`: CrashLoopBackOff
        "#);
    }

    #[test]
    fn the_result_is_the_reference_and_as_json_all_facts() {
        let pushed = Published {
            reference: "r@sha256:1".to_owned(),
            digest: "sha256:1".to_owned(),
            tag: "t".to_owned(),
            bytes_sent: 7,
            blobs_sent: 1,
            blobs_reused: 2,
            blobs_mounted: 0,
            platforms: vec!["linux/amd64".to_owned()],
            pushed: true,
            sboms: Vec::new(),
            seconds: 0.5,
        };
        let result = Report::new(
            pushed,
            Some("l@sha256:1".to_owned()),
            &rolled(End::RolledBack(failed())),
            1.5,
        );
        let answer = Answer::of(&result).unwrap();
        assert_eq!(answer.text(crate::config::Format::Text), "r@sha256:1\n");
        insta::assert_snapshot!(answer.text(crate::config::Format::Json), @r#"{"schema":1,"reference":"r@sha256:1","digest":"sha256:1","tag":"t","platforms":["linux/amd64"],"bytes_sent":7,"blobs_sent":1,"blobs_reused":2,"blobs_mounted":0,"pushed":true,"sboms":[],"elapsed_s":0.5,"image":"r@sha256:1","load_image":"l@sha256:1","previous":"r@sha256:0","rolled_out":false,"rolled_back":true,"running":[{"image":"r@sha256:0","ready":1,"pods":1},{"image":"r@sha256:1","ready":0,"pods":1}],"rollout_s":1.5}"#);
    }
}
