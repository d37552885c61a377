//! Stands in for `spans` where the feature `otlp` is off: there is nobody to send spans to.

use std::net::SocketAddr;

use axum::extract::Request;

use crate::semconv::Labels;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(#[expect(dead_code, reason = "only spans read it")] pub(crate) SocketAddr);

#[derive(Debug, Default)]
pub(crate) struct Spans;

/// Never made.
#[derive(Debug)]
pub(crate) enum Span {}

impl Spans {
    #[expect(clippy::unused_self, reason = "the interface of `spans`")]
    pub(crate) fn wanted(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "the interface of `spans`")]
    pub(crate) fn begin(&self, _: &Request, _: &Labels) -> Option<Span> {
        None
    }
}

impl Span {
    pub(crate) fn around<F: Future>(&self, _: F) -> F {
        match *self {}
    }

    pub(crate) fn end(&self, _: Option<u16>, _: Option<&'static str>) {
        match *self {}
    }
}
