//! All answers of a dashboard at one moment.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::answer::{Lines, Series, lines};
use super::board::{Board, Panel};
use super::prometheus::{Prometheus, Trouble};
use super::span::{Range, Span};

/// How many queries are asked at once: a page is no reason to keep others from the API server.
const AT_ONCE: usize = 4;

/// What is asked of which dashboard, and where.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) prometheus: Prometheus,
    pub(super) board: Board,
    /// The namespace that is shown: `$namespace` of the dashboard.
    pub(super) namespace: String,
}

/// The answers for each panel, in its order.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) range: Range,
    pub(super) span: Span,
    pub(super) at: Timestamp,
    pub(super) panels: Vec<Lines>,
}

/// A query, and whether its course is asked for.
type Asked = (String, bool);

impl Source {
    /// Asks for everything that the dashboard shows, each query once.
    ///
    /// # Errors
    /// Prometheus does not answer; why, as a sentence. A query that it refuses is told in its panel.
    pub(super) async fn frame(&self, range: Range, at: Timestamp, scrape: u32) -> Result<Frame, String> {
        let span = Span::new(range, at.as_second(), scrape);
        let mut answers: BTreeMap<Asked, Result<Vec<Series>, String>> = BTreeMap::new();
        let asked = self.board.panels.iter().flat_map(|panel| &panel.targets);
        let asked: std::collections::BTreeSet<Asked> = asked
            .map(|target| (span.expand(&target.expr, &self.namespace), !target.instant))
            .collect();
        let each = asked.into_iter().map(|asked| async {
            let (query, is_course) = &asked;
            let answer = if *is_course {
                self.prometheus.course(query, &span).await
            } else {
                self.prometheus.value(query, &span).await
            };
            (asked, answer)
        });
        let mut each = stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some((asked, answer)) = each.next().await {
            let answer = match answer {
                Ok(series) => Ok(series),
                Err(Trouble::Refused(why)) => Err(why),
                Err(Trouble::Unreachable(why)) => return Err(why),
            };
            answers.insert(asked, answer);
        }
        let panels = self
            .board
            .panels
            .iter()
            .map(|panel| self.panel(panel, &span, &answers))
            .collect();
        Ok(Frame {
            range,
            span,
            at,
            panels,
        })
    }

    fn panel(&self, panel: &Panel, span: &Span, answers: &BTreeMap<Asked, Result<Vec<Series>, String>>) -> Lines {
        let mut drawn = Vec::new();
        for target in &panel.targets {
            let asked = (span.expand(&target.expr, &self.namespace), !target.instant);
            if let Some(series) = answers.get(&asked) {
                let more = lines(panel, target, series.as_ref().map_err(String::clone)?, drawn.len());
                drawn.extend(more);
            }
        }
        Ok(drawn)
    }
}
