//! `status`: pods, desired pods, request rate and why it scales or does not: once, as a live view, or a line a second.

mod gather;
mod history;
mod state;
mod terminal;
mod view;
mod watch;

use std::fmt;

use serde::Serialize;

use super::{Context, bill, doctor};
use crate::aws::cost::Cost;
use crate::aws::eks::EksCluster;
use crate::aws::{Aws, ecr, foundation};
use crate::chain::{Board, Route};
use crate::cli;
use crate::cluster::authority::Authority;
use crate::cluster::certificate::Serving;
use crate::cluster::values::Namespaces;
use crate::cluster::{nodes, parent};
use crate::error::Error;
use crate::report::{Answer, printable};
use crate::target::{Found, Place, Session};
use gather::{Gatherer, PACE};

/// One look, or again and again until interrupted or until nobody reads.
pub(super) async fn run(flags: &cli::Status, context: &Context) -> Result<(), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let found = place.find(stack).await?;
    let session = place
        .connect(&found, context.config.output.timeout, &*context.report)
        .await?;
    let route = Route {
        namespaces: Namespaces::default(),
        prometheus: context.config.prometheus.url.clone(),
    };
    let gatherer = Gatherer {
        cluster: &session.cluster,
        route: &route,
        scene: doctor::scene(context),
        pace: PACE,
    };
    if flags.watch {
        return watch::run(context, &gatherer).await;
    }
    let (board, cost, certificate) = tokio::join!(
        gatherer.board(),
        Box::pin(cost(context, &place, &found, &session)),
        serving(context, &gatherer)
    );
    let look = Look {
        elapsed_s: 0.0,
        board: board?,
        cost,
        certificate,
    };
    context.print(&Answer::of(&look).map_err(Error::failed)?).map(drop)
}

/// What the stack costs an hour with the nodes that there are; none outside AWS.
async fn cost(context: &Context, place: &Place, found: &Found, session: &Session) -> Option<Cost> {
    let (aws, found) = (place.aws()?, found.eks()?);
    let (nodes, gateway, copies) = tokio::join!(
        nodes::read(&session.cluster),
        Box::pin(has_gateway(aws, context, found)),
        copies(context, session)
    );
    match (nodes.map_err(Error::from), gateway) {
        (Ok(nodes), Ok(gateway)) => Some(bill::running(found, &nodes, gateway, aws.region()).mirroring(copies)),
        (Err(error), _) | (_, Err(error)) => {
            let why = error.message();
            context.report.warning(&format!("the cost is not known: {why}"));
            None
        }
    }
}

/// How many repositories of ECR the stack says that copies of others' images are in. Who may look at pods need not be able
/// to read what it says, and these are a cent a month: no reason for a warning.
async fn copies(context: &Context, session: &Session) -> u32 {
    let Ok((_, stack)) = context.target() else {
        return 0;
    };
    let parent = parent::read(&session.cluster, stack, &Namespaces::default().app).await;
    in_ecr(&parent.ok().flatten().unwrap_or_default().mirrored)
}

fn in_ecr(repositories: &[String]) -> u32 {
    let hosts = repositories
        .iter()
        .filter_map(|repository| repository.split('/').next());
    u32::try_from(hosts.filter_map(ecr::Host::of).count()).unwrap_or(u32::MAX)
}

/// What the metrics API is served with; warns where that should have been renewed.
async fn serving(context: &Context, gatherer: &Gatherer<'_>) -> Option<Serving> {
    match gatherer.certificate().await {
        Ok(serving) => {
            if let Some(due) = serving.as_ref().and_then(overdue) {
                context.report.warning(&due);
            }
            serving
        }
        Err(error) => {
            let why = error.message();
            context.report.warning(&format!("the certificate is not known: {why}"));
            None
        }
    }
}

/// What to do about a certificate that should have been renewed.
fn overdue(serving: &Serving) -> Option<String> {
    let day = serving.ends_at.strftime("%Y-%m-%d");
    let what = renewal(serving.authority);
    let said = format!("the certificate of the custom metrics API ends on {day}: {what}");
    serving.is_due.then_some(said)
}

/// Who renews it, and how.
fn renewal(authority: Authority) -> &'static str {
    match authority {
        Authority::Own => "run `provisioner bootstrap`, which renews it",
        Authority::CertManager => "cert-manager has not renewed it: see what its Certificate says",
    }
}

/// Whether the stack has a NAT gateway to pay for.
async fn has_gateway(aws: &Aws, context: &Context, found: &EksCluster) -> Result<bool, Error> {
    if !found.created_by_us {
        return Ok(false);
    }
    let (_, stack) = context.target()?;
    let ground = foundation::ground(aws, stack).await?;
    Ok(ground.is_some_and(|ground| ground.gateway))
}

/// Figures and when they were read.
#[derive(Debug, Serialize)]
struct Look {
    elapsed_s: f64,
    #[serde(flatten)]
    board: Board,
    /// What it costs; not in a table, which is for figures that move.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
    /// What the metrics API is served with; it does not move either.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Serving>,
}

/// A look as a line of the table.
#[derive(Serialize)]
struct Row<'a>(&'a Look);

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Board { sample, hpa, .. } = &self.board;
        writeln!(f, "pods      {} ready of {}", sample.ready, sample.replicas)?;
        writeln!(
            f,
            "desired   {}, at most {}",
            or_dash(sample.desired),
            or_dash(sample.max)
        )?;
        let rate = sample.rate_total.map(|rate| format!("{rate:.1}"));
        let target = hpa.as_ref().and_then(|hpa| hpa.target);
        let target = target.map_or_else(String::new, |target| format!(", each pod is to have {target}"));
        writeln!(f, "rate      {} requests/s{target}", or_dash(rate))?;
        if let Some(p99_s) = self.board.p99_s {
            writeln!(f, "p99       {:.1} ms", p99_s * 1e3)?;
        }
        for (pod, rate) in &sample.per_pod {
            writeln!(f, "pod       {pod}: {rate:.1} requests/s{}", used(&self.board, pod))?;
        }
        if let Some(why) = &self.board.why {
            writeln!(f, "why       {}", printable(&why.to_string()))?;
        }
        if let Some(problem) = &sample.problem {
            writeln!(f, "problem   {}", printable(problem))?;
        }
        if let Some(serving) = &self.certificate {
            writeln!(f, "certificate ends on {}", serving.ends_at.strftime("%Y-%m-%d"))?;
        }
        if let Some(cost) = &self.cost {
            writeln!(f, "cost      {cost}")?;
        }
        Ok(())
    }
}

/// What a pod uses, as the end of a line.
fn used(board: &Board, pod: &str) -> String {
    let used = board.usage.get(pod);
    used.map_or_else(String::new, |used| {
        format!(
            ", {:.0}m CPU, {:.1} MiB",
            used.cpu * 1e3,
            used.memory_bytes / 1_048_576.0
        )
    })
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Look { elapsed_s, board, .. } = self.0;
        let sample = &board.sample;
        let rate = or_dash(sample.rate_total.map(|rate| format!("{rate:.1}")));
        write!(
            f,
            "{elapsed_s:>6.0} s  pods {:>2}/{:<2}  desired {:>2}  rate {rate:>7} requests/s",
            sample.ready,
            sample.replicas,
            or_dash(sample.desired),
        )?;
        let why = board.why.as_ref().map(ToString::to_string);
        match sample.problem.clone().or(why) {
            Some(said) => write!(f, "  ({})", printable(&said)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::cost::Intents;
    use crate::chain::{Autoscaler, Sample, Usage, Why};

    pub(super) fn board() -> Board {
        let sample = Sample {
            replicas: 10,
            ready: 7,
            desired: Some(10),
            max: Some(10),
            rate_total: Some(99.96),
            per_pod: [("web-app-a".to_owned(), 9.9)].into(),
            problem: None,
        };
        let used = Usage {
            cpu: 0.004,
            memory_bytes: 3_145_728.0,
        };
        let hpa = Autoscaler {
            min: 1,
            max: 10,
            current: 10,
            desired: 10,
            target: Some(10.0),
            ..Autoscaler::default()
        };
        Board {
            sample,
            why: Some(Why::Following { ready: 7, wanted: 10 }),
            hpa: Some(hpa),
            p99_s: Some(0.0123),
            error_ratio: Some(0.001),
            usage: [("web-app-a".to_owned(), used)].into(),
        }
    }

    fn look() -> Look {
        Look {
            elapsed_s: 12.3,
            board: board(),
            cost: Some(Cost::of(&Intents::auto_mode_cluster(), "eu-west-1")),
            certificate: None,
        }
    }

    #[test]
    fn one_look_shows_everything() {
        insta::assert_snapshot!(look(), @r#"
        pods      7 ready of 10
        desired   10, at most 10
        rate      100.0 requests/s, each pod is to have 10
        p99       12.3 ms
        pod       web-app-a: 9.9 requests/s, 4m CPU, 3.0 MiB
        why       pods are starting: 7 of 10 ready
        cost      about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of 2026-08-01; those of eu-west-1 differ)
        "#);
    }

    #[test]
    fn copies_cost_where_they_are_in_ecr() {
        let repositories = [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/grafana",
            "ghcr.io/team/grafana",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/prometheus",
        ];
        assert_eq!(in_ecr(&repositories.map(str::to_owned)), 2);
        assert_eq!(in_ecr(&[]), 0);
    }

    #[test]
    fn a_certificate_that_should_have_been_renewed_is_told_with_who_renews_it() {
        let serving = |is_due, authority| Serving {
            ends_at: "2027-03-01T10:00:00Z".parse().unwrap(),
            is_due,
            authority,
        };
        assert_eq!(overdue(&serving(false, Authority::Own)), None);
        let own = overdue(&serving(true, Authority::Own)).unwrap();
        assert_eq!(
            own,
            "the certificate of the custom metrics API ends on 2027-03-01: run `provisioner bootstrap`, which renews it"
        );
        let theirs = overdue(&serving(true, Authority::CertManager)).unwrap();
        assert!(theirs.contains("cert-manager has not renewed it"), "{theirs}");
        let json = serde_json::to_value(serving(true, Authority::CertManager)).unwrap();
        let want = serde_json::json!({"ends_at": "2027-03-01T10:00:00Z", "is_due": true, "authority": "cert-manager"});
        assert_eq!(json, want);
    }

    /// Scripts read these since the first version.
    #[test]
    fn the_json_keeps_its_fields() {
        let json = serde_json::to_value(look()).unwrap();
        for field in [
            "elapsed_s",
            "replicas",
            "ready",
            "desired",
            "max",
            "rate_total",
            "per_pod",
            "problem",
            "cost",
        ] {
            assert!(json.get(field).is_some(), "{field}: {json}");
        }
        assert_eq!(
            json["why"],
            serde_json::json!({"code": "following", "ready": 7, "wanted": 10})
        );
        assert_eq!(json["hpa"]["target"], 10.0);
    }

    #[test]
    fn rows_stand_in_columns_and_name_the_problem() {
        let mut blind = Look {
            elapsed_s: 3.0,
            board: Board::default(),
            cost: None,
            certificate: None,
        };
        blind.board.sample.problem = Some("FailedGetPodsMetric: no such metric".into());
        insta::assert_snapshot!(format!("{}\n{}", Row(&look()), Row(&blind)), @r#"
        12 s  pods  7/10  desired 10  rate   100.0 requests/s  (pods are starting: 7 of 10 ready)
         3 s  pods  0/0   desired  -  rate       - requests/s  (FailedGetPodsMetric: no such metric)
        "#);
    }
}
