//! Prometheus, asked through the API server.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::answer::{Series, aligned};
use super::span::Span;
use crate::cluster::Cluster;
use crate::cluster::error::Failure;

/// How long an answer may take: a page that shows the last 5 seconds does not wait for longer.
const ANSWER: Duration = Duration::from_secs(5);

/// A Prometheus at a path of the API server.
#[derive(Debug, Clone)]
pub(super) struct Prometheus {
    cluster: Cluster,
    /// Path of the Service's proxy.
    proxy: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not answer at all.
    Unreachable(String),
    /// It does not take this query.
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Sampled>,
}

/// A series of a vector (`value`) or of a matrix (`values`).
#[derive(Deserialize)]
struct Sampled {
    metric: std::collections::BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    pub(super) fn new(cluster: Cluster, proxy: String) -> Self {
        Self { cluster, proxy }
    }

    /// A query's course over the span.
    pub(super) async fn course(&self, query: &str, span: &Span) -> Result<Vec<Series>, Trouble> {
        let (from, to, step) = (span.from.to_string(), span.to.to_string(), span.step.to_string());
        let pairs = [("query", query), ("start", &from), ("end", &to), ("step", &step)];
        let found = self.ask("query_range", &pairs).await?;
        Ok(found.into_iter().map(|sampled| sampled.series(span)).collect())
    }

    /// A query's value at the end of the span.
    pub(super) async fn value(&self, query: &str, span: &Span) -> Result<Vec<Series>, Trouble> {
        let to = span.to.to_string();
        let found = self.ask("query", &[("query", query), ("time", &to)]).await?;
        Ok(found.into_iter().map(|sampled| sampled.series(span)).collect())
    }

    /// Between two scrapes of a job in a namespace, in seconds: half of the pauses between its samples are no longer. None
    /// where it has none yet.
    pub(super) async fn scrape_interval(&self, job: &str, namespace: &str) -> Result<Option<u32>, Trouble> {
        let query = format!(r#"up{{job="{job}",namespace="{namespace}"}}[3m]"#);
        let found = self.ask("query", &[("query", &query)]).await?;
        let mut pauses: Vec<f64> = found.iter().flat_map(Sampled::pauses).collect();
        pauses.sort_by(f64::total_cmp);
        Ok(pauses.get(pauses.len() / 2).map(|pause| whole(*pause)))
    }

    async fn ask(&self, what: &str, pairs: &[(&str, &str)]) -> Result<Vec<Sampled>, Trouble> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let path = format!("{}/api/v1/{what}?{query}", self.proxy);
        let answer = timeout(ANSWER, self.cluster.get_json(&path)).await;
        let answer = answer.map_err(|_| Trouble::Unreachable(format!("no answer within {} s", ANSWER.as_secs())))?;
        let answer = answer.map_err(|failure| Trouble::of(&failure))?;
        let unread = |error: serde_json::Error| Trouble::Refused(format!("its answer cannot be read: {error}"));
        let answer: Answer = serde_json::from_value(answer).map_err(unread)?;
        if answer.status == "success" {
            Ok(answer.data.result)
        } else {
            Err(Trouble::Refused(answer.error))
        }
    }
}

impl Trouble {
    /// Prometheus itself refuses a query with 400 or 422; all else is between here and there.
    fn of(failure: &Failure) -> Self {
        match failure.code {
            Some(400 | 422) => Self::Refused(reason(&failure.message)),
            _ => Self::Unreachable(failure.to_string()),
        }
    }
}

/// What Prometheus says in the body of a refusal, which the client hands on as text.
fn reason(body: &str) -> String {
    let answer: Result<Answer, _> = serde_json::from_str(body);
    answer.map_or_else(|_| body.to_owned(), |answer| answer.error)
}

impl Sampled {
    fn series(self, span: &Span) -> Series {
        let all = self.values.into_iter().chain(self.value);
        let numbers = all.filter_map(|(at, text)| Some((at, text.parse().ok()?)));
        Series {
            values: aligned(numbers, span),
            labels: self.metric,
        }
    }

    fn pauses(&self) -> impl Iterator<Item = f64> {
        self.values.windows(2).map(|pair| pair[1].0 - pair[0].0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within a minute, and not below one"
)]
fn whole(seconds: f64) -> u32 {
    seconds.round().clamp(1.0, 3600.0) as u32
}
