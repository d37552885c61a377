//! Whether something may have become of what is waited for. Watches tell, so that a wait that takes long asks the cluster
//! when there is something to see, and not over and over.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll, StreamExt as _, select_all};
use kube::Api;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connect::Cluster;

/// What is watched: of a kind in one namespace, or everywhere, what the configuration selects.
pub(super) struct Watched<'a> {
    pub(super) resource: ApiResource,
    pub(super) namespace: Option<&'a str>,
    pub(super) config: Config,
}

/// What some watches tell.
pub(super) struct News {
    /// Which watch, and whether it works.
    told: SelectAll<BoxStream<'static, (usize, bool)>>,
    /// Watches that failed and have not told anything since.
    blind: BTreeSet<usize>,
}

impl News {
    /// Watches each of these; only names and marks are sent.
    pub(super) fn of(cluster: &Cluster, watched: Vec<Watched<'_>>) -> Self {
        let streams = watched.into_iter().enumerate().map(|(at, one)| {
            let api: Api<PartialObjectMeta<DynamicObject>> = match one.namespace {
                Some(namespace) => Api::namespaced_with(cluster.client(), namespace, &one.resource),
                None => Api::all_with(cluster.client(), &one.resource),
            };
            let events = watcher(api, one.config).default_backoff();
            let told = events.filter_map(move |event| {
                ready(match event {
                    // What there is when a watch begins was looked at before or is told by its end: something may have
                    // become of it in between.
                    Ok(Event::Init | Event::InitApply(_)) => None,
                    Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Some((at, true)),
                    Err(_) => Some((at, false)),
                })
            });
            told.boxed()
        });
        Self {
            told: select_all(streams),
            blind: BTreeSet::new(),
        }
    }

    /// Waits so long; whether it is worth to look then. While a watch does not work nobody knows: it always is.
    pub(super) async fn within(&mut self, time: Duration) -> bool {
        let (end, mut any) = (Instant::now() + time, self.told.is_empty());
        while let Ok(Some((at, works))) = timeout_at(end, self.told.next()).await {
            any = true;
            if works {
                self.blind.remove(&at);
            } else {
                self.blind.insert(at);
            }
        }
        sleep_until(end).await;
        any || !self.blind.is_empty()
    }
}
