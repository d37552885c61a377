//! The one reader of the cluster behind all forms of `status`: what is asked, how often, and how long it may take.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::chain::{self, Board, Diagnosis, Pod, Recent, Rescale, Route, Scene, Usage};
use crate::cluster::certificate::{self, Serving};
use crate::cluster::{Cluster, ClusterError};
use crate::error::Error;

/// How long there is between two answers and the next question, by what is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// What moves: five requests each.
    pub(super) figures: Duration,
    /// What metrics-server and the event recorder write.
    pub(super) slower: Duration,
    /// Walks along the chain, about 25 requests each.
    pub(super) walk: Duration,
    /// The certificate.
    pub(super) rarely: Duration,
}

/// What a person can follow, and a cluster does not feel.
pub(super) const PACE: Pace = Pace {
    figures: Duration::from_secs(1),
    slower: Duration::from_secs(5),
    walk: Duration::from_secs(20),
    rarely: Duration::from_mins(1),
};

/// How long reading the certificate may take; what moves has bounds of its own.
const WITHIN: Duration = Duration::from_secs(5);
/// What was before the view began, as far as Prometheus tells.
pub(super) const PAST: SignedDuration = SignedDuration::from_mins(5);

/// Asks one cluster.
pub(super) struct Gatherer<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) route: &'a Route,
    /// How a walk along the chain names things; its time is that of each walk.
    pub(super) scene: Scene,
    pub(super) pace: Pace,
}

/// What moves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub(super) board: Board,
    /// The pods, or why they cannot be told.
    pub(super) pods: Result<Vec<Pod>, String>,
}

/// What one question gave: an answer, or what went wrong, as a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    Figures(Result<Box<Figures>, String>),
    Usage(Result<BTreeMap<String, Usage>, String>),
    Rescales(Result<Vec<Rescale>, String>),
    Certificate(Result<Option<Serving>, String>),
    Diagnosis(Box<Diagnosis>),
    Recent(Recent),
}

impl Gatherer<'_> {
    /// One look at the figures that lines show.
    pub(super) async fn board(&self) -> Result<Board, ClusterError> {
        chain::board(self.cluster, self.route).await
    }

    /// What the metrics API is served with.
    pub(super) async fn certificate(&self) -> Result<Option<Serving>, Error> {
        let namespace = &self.route.namespaces.metrics;
        Ok(certificate::serving(self.cluster, namespace, Timestamp::now()).await?)
    }

    /// Tells everything again and again, each question at its own pace, until it is dropped or nobody listens. A question
    /// is asked again only after its answer came or was given up on, and none while the view is paused.
    pub(super) async fn go_on(&self, desk: &Desk) {
        let past = async {
            let recent = chain::recent(self.cluster, self.route, Timestamp::now(), PAST).await;
            // Nobody listens: the others end by that too.
            let _ = desk.news.send(News::Recent(recent)).await;
        };
        futures::join!(
            Box::pin(past),
            Box::pin(desk.every(self.pace.figures, || self.figures())),
            Box::pin(desk.every(self.pace.slower, || self.usage())),
            Box::pin(desk.every(self.pace.slower, || self.rescales())),
            Box::pin(desk.every(self.pace.walk, || self.walk())),
            Box::pin(desk.every(self.pace.rarely, || self.serving()))
        );
    }

    async fn figures(&self) -> News {
        let app = &self.route.namespaces.app;
        let (board, pods) = futures::join!(
            Box::pin(chain::figures(self.cluster, self.route)),
            Box::pin(chain::roster(self.cluster, app))
        );
        News::Figures(match board {
            Ok(board) => Ok(Box::new(Figures {
                board,
                pods: pods.map_err(|failure| failure.to_string()),
            })),
            Err(error) => Err(Error::from(error).message()),
        })
    }

    async fn usage(&self) -> News {
        let found = chain::usage(self.cluster, &self.route.namespaces.app).await;
        News::Usage(found.map_err(|failure| failure.to_string()))
    }

    async fn rescales(&self) -> News {
        let found = chain::rescales(self.cluster, &self.route.namespaces.app).await;
        News::Rescales(found.map_err(|failure| failure.to_string()))
    }

    async fn walk(&self) -> News {
        let scene = Scene {
            now: Timestamp::now(),
            ..self.scene.clone()
        };
        News::Diagnosis(Box::new(chain::diagnose(self.cluster, &scene).await))
    }

    async fn serving(&self) -> News {
        News::Certificate(match timeout(WITHIN, self.certificate()).await {
            Ok(found) => found.map_err(|error| error.message()),
            Err(_) => Err(format!("no answer within {} s", WITHIN.as_secs())),
        })
    }
}

/// Where news is put for the view, and whether it wants any.
pub(super) struct Desk {
    pub(super) news: mpsc::Sender<News>,
    pub(super) is_paused: watch::Sender<bool>,
}

impl Desk {
    /// A desk, and where its news comes out.
    pub(super) fn new() -> (Self, mpsc::Receiver<News>) {
        let (news, arriving) = mpsc::channel(8);
        let is_paused = watch::Sender::new(false);
        (Self { news, is_paused }, arriving)
    }

    /// Asks at a pace; what a pause kept from being asked is asked at its end.
    async fn every<F: Future<Output = News>>(&self, pace: Duration, ask: impl Fn() -> F) {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut paused = self.is_paused.subscribe();
        loop {
            ticks.tick().await;
            if *paused.borrow_and_update() {
                // It fails where nobody can end the pause.
                if paused.wait_for(|is_paused| !is_paused).await.is_err() {
                    return;
                }
                ticks.reset();
            }
            if self.news.send(ask().await).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
