//! How busy the service's own event loop is.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::Handle;

use crate::connections::Connections;

/// Registers what tokio tells of itself without its unstable interfaces, and the connections. `rate(tokio_worker_busy_seconds_total)` near 1
/// says that the one thread is the limit.
pub(crate) fn observe(meter: &Meter, handle: &Handle, connections: &Arc<Connections>) {
    let metrics = handle.metrics();
    meter
        .f64_observable_counter("tokio.worker.busy")
        .with_unit("s")
        .with_description("Time in which the event loop worked, without waiting for events")
        .with_callback({
            let metrics = metrics.clone();
            move |busy| busy.observe(metrics.worker_total_busy_duration(0).as_secs_f64(), &[])
        })
        .build();
    meter
        .u64_observable_gauge("tokio.alive_tasks")
        .with_unit("{task}")
        .with_description("Tasks of the event loop that have not ended")
        .with_callback({
            let metrics = metrics.clone();
            move |tasks| tasks.observe(count(metrics.num_alive_tasks()), &[])
        })
        .build();
    meter
        .u64_observable_gauge("tokio.global_queue_depth")
        .with_unit("{task}")
        .with_description("Tasks woken from other threads that wait for the event loop")
        .with_callback(move |depth| depth.observe(count(metrics.global_queue_depth()), &[]))
        .build();
    let open = Arc::clone(connections);
    meter
        .u64_observable_gauge("app.connections")
        .with_unit("{connection}")
        .with_description("Open connections, scrapes and probes included")
        .with_callback(move |gauge| gauge.observe(count(open.open()), &[]))
        .build();
    let refused = Arc::clone(connections);
    meter
        .u64_observable_counter("app.connections.refused")
        .with_unit("{connection}")
        .with_description("Connections beyond the limit: answered 503, or closed at once")
        .with_callback(move |counter| counter.observe(refused.refused(), &[]))
        .build();
}

/// A series of its own that says which build it is, as exporters of the field have it.
pub(crate) fn build_info(meter: &Meter) {
    let features = if cfg!(feature = "otlp") { "otlp" } else { "" };
    let labels = [
        KeyValue::new("version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("target_arch", std::env::consts::ARCH),
        KeyValue::new("target_os", std::env::consts::OS),
        KeyValue::new("features", features),
    ];
    meter
        .u64_observable_gauge("app.build_info")
        .with_description("Always 1; the labels say what was built")
        .with_callback(move |info| info.observe(1, &labels))
        .build();
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
