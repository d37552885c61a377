//! Stands in for `otlp` where that feature is off. Whoever asks for it is refused before, see `otel`.

use std::convert::Infallible;

use opentelemetry_sdk::Resource;
use tracing_subscriber::layer::Identity;

use crate::otel::Otel;
use crate::spans::Spans;

#[derive(Debug, Default)]
pub(crate) struct Export;

impl Export {
    pub(crate) fn start(_: &Otel, _: &Resource) -> Result<Self, Infallible> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "the interface of `otlp`")]
    pub(crate) fn spans(&self) -> Spans {
        Spans
    }

    #[expect(clippy::unused_self, reason = "the interface of `otlp`")]
    pub(crate) fn log_layer(&self) -> Option<Identity> {
        None
    }

    #[expect(clippy::unused_self, clippy::unused_async, reason = "the interface of `otlp`")]
    pub(crate) async fn finish(self) {}
}
