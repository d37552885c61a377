//! The built-in viewer: Grafana's dashboard without Grafana.
//!
//! ```text
//! grafana/web-app.json --board--> panels --span--> queries --prometheus (through the API server)--> frame
//! frame --panel--> SVG --page, server--> the page on loopback
//!                      --picture------> a PNG
//! ```
//!
//! Every query is the dashboard's own: nobody who reaches the page can ask for another. Drawings have classes instead of colours,
//! so that the page shows them light and dark, and a picture is the same drawing with one theme's colours.

mod answer;
mod axis;
mod board;
mod chart;
mod frame;
mod layout;
mod legend;
mod page;
mod panel;
mod picture;
mod prometheus;
mod server;
mod span;
mod svg;
mod theme;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::chain::JOB;
use crate::cluster::Cluster;
use crate::cluster::values::dashboard;
use crate::drawing::DrawError;
use crate::error::Error;
use board::Board;
use frame::{Frame, Source};
use prometheus::{Prometheus, Trouble};

pub use server::{listen, serve};
pub use span::Range;
pub use theme::Theme;

/// How old an answer may be: several pages ask Prometheus once.
const FRESH: Duration = Duration::from_secs(1);
/// How wide a picture is, in the drawing's units.
const PICTURE: f64 = 1280.0;

/// What is shown, and where from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster, as which it is asked.
    pub cluster: Cluster,
    /// Path of the API server at which Prometheus answers.
    pub proxy: String,
    /// Namespace of the app that is shown.
    pub namespace: String,
    /// Which stack this is, for people.
    pub subtitle: String,
    /// Seconds between two scrapes, where no samples tell them.
    pub scrape_s: u32,
    /// The time that is shown at first.
    pub range: Range,
    /// Whose clock is shown.
    pub zone: TimeZone,
}

/// A dashboard and its last answers.
#[derive(Debug)]
pub struct Viewer {
    source: Source,
    subtitle: String,
    range: Range,
    zone: TimeZone,
    scrape_s: u32,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    /// Seconds between two scrapes, once samples have told them.
    scrape_s: Option<u32>,
    frames: BTreeMap<Range, (Instant, Arc<Frame>)>,
}

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewerError {
    /// No answer.
    #[error("cannot ask Prometheus: {0}")]
    Unreachable(String),
    /// The dashboard is none.
    #[error("cannot read dashboard `web-app`: {0}")]
    Dashboard(String),
}

impl ViewerError {
    /// What to try.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "see whether its pod is ready; `provisioner status` shows what the cluster itself knows of the app"
            }
            Self::Dashboard(_) => "grafana/web-app.json has to be a dashboard as Grafana exports it",
        }
    }
}

impl From<ViewerError> for Error {
    fn from(error: ViewerError) -> Self {
        let hint = error.hint();
        Self::failed(error).hint(hint)
    }
}

impl From<DrawError> for Error {
    fn from(error: DrawError) -> Self {
        Self::failed(error)
    }
}

impl Viewer {
    /// A viewer of the shipped dashboard.
    ///
    /// # Errors
    /// The dashboard that is part of the binary cannot be read.
    pub fn new(settings: Settings) -> Result<Self, ViewerError> {
        let board = Board::parse(dashboard()).map_err(|error| ViewerError::Dashboard(error.to_string()))?;
        Ok(Self {
            source: Source {
                prometheus: Prometheus::new(settings.cluster, settings.proxy),
                board,
                namespace: settings.namespace,
            },
            subtitle: settings.subtitle,
            range: settings.range,
            zone: settings.zone,
            scrape_s: settings.scrape_s,
            latest: Mutex::default(),
        })
    }

    /// The dashboard now, as PNG.
    ///
    /// # Errors
    /// Prometheus does not answer, or nothing can be drawn.
    pub async fn picture(&self, theme: Theme) -> Result<Vec<u8>, Error> {
        let frame = self.frame(self.range).await?;
        let drawing = picture::svg(&self.source.board, &frame, &self.subtitle, PICTURE, &self.zone);
        let drawn = tokio::task::spawn_blocking(move || picture::png(&drawing, theme)).await;
        Ok(drawn.map_err(Error::failed)??)
    }

    /// The answers, asked for now unless somebody just did. Who comes meanwhile waits and gets the same.
    async fn frame(&self, range: Range) -> Result<Arc<Frame>, ViewerError> {
        let mut latest = self.latest.lock().await;
        if let Some((asked, frame)) = latest.frames.get(&range)
            && asked.elapsed() < FRESH
        {
            return Ok(Arc::clone(frame));
        }
        let scrape = self.scrape(&mut latest).await?;
        let frame = self.source.frame(range, Timestamp::now(), scrape).await;
        let frame = Arc::new(frame.map_err(ViewerError::Unreachable)?);
        latest.frames.insert(range, (Instant::now(), Arc::clone(&frame)));
        Ok(frame)
    }

    async fn scrape(&self, latest: &mut Latest) -> Result<u32, ViewerError> {
        if let Some(known) = latest.scrape_s {
            return Ok(known);
        }
        match self
            .source
            .prometheus
            .scrape_interval(JOB, &self.source.namespace)
            .await
        {
            Ok(found) => latest.scrape_s = found,
            Err(Trouble::Refused(_)) => {}
            Err(Trouble::Unreachable(why)) => return Err(ViewerError::Unreachable(why)),
        }
        Ok(latest.scrape_s.unwrap_or(self.scrape_s))
    }
}
