//! `status`: pods, desired pods and request rate, once or as a live table.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Context;
use crate::chain::{Sample, sample};
use crate::cli;
use crate::error::Error;
use crate::report::Answer;

/// Between two lines of the table.
const EVERY: Duration = Duration::from_secs(1);

/// One look, or one line a second until interrupted or until nobody reads.
pub(super) async fn run(flags: &cli::Status, context: &Context) -> Result<(), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let session = place.session(stack, context.config.output.timeout).await?;
    let began = Instant::now();
    if !flags.watch {
        let look = Look {
            elapsed_s: 0.0,
            sample: sample(&session.cluster).await?,
        };
        return context.print(&Answer::of(&look).map_err(Error::failed)?).map(drop);
    }
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        match sample(&session.cluster).await {
            Ok(sample) => {
                let look = Look {
                    elapsed_s: began.elapsed().as_secs_f64(),
                    sample,
                };
                let row = Answer::of(&Row(&look)).map_err(Error::failed)?;
                if !context.print(&row)? {
                    return Ok(());
                }
            }
            Err(error) => context.report.warning(&error.to_string()),
        }
    }
}

/// Figures and when they were read.
#[derive(Debug, Serialize)]
struct Look {
    elapsed_s: f64,
    #[serde(flatten)]
    sample: Sample,
}

/// A look as a line of the table.
#[derive(Serialize)]
struct Row<'a>(&'a Look);

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sample = &self.sample;
        writeln!(f, "pods      {} ready of {}", sample.ready, sample.replicas)?;
        writeln!(
            f,
            "desired   {}, at most {}",
            or_dash(sample.desired),
            or_dash(sample.max)
        )?;
        let rate = sample.rate_total.map(|rate| format!("{rate:.1}"));
        writeln!(f, "rate      {} requests/s", or_dash(rate))?;
        for (pod, rate) in &sample.per_pod {
            writeln!(f, "pod       {pod}: {rate:.1} requests/s")?;
        }
        if let Some(problem) = &sample.problem {
            writeln!(f, "problem   {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Look { elapsed_s, sample } = self.0;
        let rate = or_dash(sample.rate_total.map(|rate| format!("{rate:.1}")));
        write!(
            f,
            "{elapsed_s:>6.0} s  pods {:>2}/{:<2}  desired {:>2}  rate {rate:>7} requests/s",
            sample.ready,
            sample.replicas,
            or_dash(sample.desired),
        )?;
        match &sample.problem {
            Some(problem) => write!(f, "  ({problem})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        let sample = Sample {
            replicas: 10,
            ready: 7,
            desired: Some(10),
            max: Some(10),
            rate_total: Some(99.96),
            per_pod: [("web-app-a".to_owned(), 9.9)].into(),
            problem: None,
        };
        Look {
            elapsed_s: 12.3,
            sample,
        }
    }

    #[test]
    fn one_look_shows_everything() {
        insta::assert_snapshot!(look(), @r#"
        pods      7 ready of 10
        desired   10, at most 10
        rate      100.0 requests/s
        pod       web-app-a: 9.9 requests/s
        "#);
    }

    #[test]
    fn rows_stand_in_columns_and_name_the_problem() {
        let mut blind = Look {
            elapsed_s: 3.0,
            sample: Sample::default(),
        };
        blind.sample.problem = Some("FailedGetPodsMetric: no such metric".into());
        insta::assert_snapshot!(format!("{}\n{}", Row(&look()), Row(&blind)), @r#"
        12 s  pods  7/10  desired 10  rate   100.0 requests/s
         3 s  pods  0/0   desired  -  rate       - requests/s  (FailedGetPodsMetric: no such metric)
        "#);
    }
}
