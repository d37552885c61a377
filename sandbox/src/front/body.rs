//! Bodies on their way through the front: passed on as they come, made here, or cut off.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

use super::line::Lost;

/// A request's or response's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;
/// Why a body did not come to its end.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A body that streams from one side to the other.
pub(crate) fn streamed(incoming: Incoming) -> Body {
    incoming.map_err(Failure::from).boxed_unsync()
}

/// A body that is all here.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// All of a body, e.g. of a control request.
pub(crate) async fn read(body: Body) -> Result<Bytes, Failure> {
    Ok(body.collect().await?.to_bytes())
}

/// The same body, whose bytes are told as they come.
pub(crate) fn counted(body: Body, tell: impl Fn(u64) + Send + 'static) -> Body {
    let tell = Box::new(tell);
    Counted { body, tell }.boxed_unsync()
}

struct Counted {
    body: Body,
    tell: Box<dyn Fn(u64) + Send>,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            (self.tell)(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same body, which fails after `percent` of it and marks the client's connection, where there is one, as lost.
///
/// A body of unknown length is read to its end first.
pub(crate) async fn cut(body: Body, percent: f64, lost: Option<Lost>) -> Result<Body, Failure> {
    let (body, length) = if let Some(length) = body.size_hint().exact() {
        (body, length)
    } else {
        let bytes = read(body).await?;
        let length = bytes.len() as u64;
        (whole(bytes), length)
    };
    Ok(Cut {
        body,
        left: share(length, percent),
        flushed: false,
        lost,
    }
    .boxed_unsync())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "percent is 0 to 100, so the result lies within the length"
)]
fn share(length: u64, percent: f64) -> u64 {
    ((length as f64 * percent / 100.0) as u64).min(length)
}

struct Cut {
    body: Body,
    /// Bytes that still pass.
    left: u64,
    flushed: bool,
    lost: Option<Lost>,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left > 0 {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)?) else {
                return Poll::Ready(None);
            };
            let Ok(mut data) = frame.into_data() else {
                return Poll::Ready(None);
            };
            let passes = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
            data.truncate(passes);
            self.left -= passes as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.flushed {
            // hyper sends what it has buffered when a body is not ready, and drops it when the body fails.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(lost) = &self.lost {
            lost.mark();
        }
        Poll::Ready(Some(Err("the body was cut off by a fault".into())))
    }

    /// The peer is promised all of it.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(mut body: Body) -> (Vec<u8>, bool) {
        let mut passed = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => passed.extend_from_slice(&frame.into_data().expect("data")),
                Err(_) => return (passed, true),
            }
        }
        (passed, false)
    }

    #[tokio::test]
    async fn a_cut_body_fails_after_its_share() {
        for (percent, passes) in [(0.0, ""), (50.0, "01234"), (99.0, "012345678")] {
            let lost = Lost::default();
            let body = cut(whole("0123456789"), percent, Some(lost.clone()))
                .await
                .expect("cuts");
            assert_eq!(body.size_hint().exact(), Some(10), "the peer expects all of it");
            assert_eq!(collected(body).await, (passes.into(), true));
            assert!(lost.is_marked());
        }
    }
}
