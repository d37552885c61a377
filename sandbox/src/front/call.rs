//! One call through the front: counted, held or not, hit by a fault or not, passed on.

use std::sync::Arc;

use hyper::header::{CONNECTION, HeaderMap, HeaderName, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use super::body::{Body, counted, cut, read, streamed};
use super::fault::{Fault, Kind};
use super::hold::Turn;
use super::journal::operation;
use super::line::Lost;
use super::{Front, Service};
use crate::say;

/// The client gets no answer: its connection is to be reset.
#[derive(Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is to be reset")
    }
}

impl std::error::Error for Gone {}

/// Headers that end at this hop (RFC 9110, 7.6.1), but for those that frame the body, which hyper writes itself.
const HOP: [HeaderName; 3] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

impl Front {
    /// A call of the tool: counted, and held when its turn has come.
    pub(crate) async fn call(
        &self,
        service: Service,
        request: Request<Body>,
        lost: &Lost,
    ) -> Result<Response<Body>, Gone> {
        let turn = self.hold.enter();
        if let Turn::Hold(round) = turn {
            self.hold.released(round).await;
            return Err(Gone);
        }
        // The AWS endpoint has a journal and faults of its own: it knows the operations.
        let entry =
            (service != Service::Aws).then(|| self.journal.begin(service, operation(request.method(), request.uri())));
        let request = match &entry {
            Some(entry) => {
                let entry = Arc::clone(entry);
                request.map(|body| counted(body, move |bytes| entry.came(bytes)))
            }
            None => request,
        };
        let fault = entry.as_ref().and_then(|entry| {
            let fault = self.faults.pick(service, entry.operation())?;
            entry.hit_by(fault.kind);
            Some(fault)
        });
        let answer = match fault {
            None => self.forward(service, request).await,
            Some(fault) => self.faulted(service, request, &fault, lost).await,
        };
        if let Turn::HoldAnswer(round) = turn {
            self.hold.reached(round);
            self.hold.released(round).await;
            return Err(Gone);
        }
        let answer = answer?;
        if let Some(entry) = entry {
            entry.end(answer.status());
        }
        Ok(answer)
    }

    async fn faulted(
        &self,
        service: Service,
        request: Request<Body>,
        fault: &Fault,
        lost: &Lost,
    ) -> Result<Response<Body>, Gone> {
        if let Some(percent) = fault.cut_percent {
            return self
                .cut_off(service, request, percent, fault.after.then(|| lost.clone()))
                .await;
        }
        let (mut done, mut request) = (None, Some(request));
        if fault.after
            && let Some(request) = request.take()
        {
            done = Some(self.forward(service, request).await?);
        }
        sleep(fault.delay()).await;
        match (fault.kind, done, request) {
            (Kind::Delay, Some(answer), _) => Ok(answer),
            (Kind::Delay, None, Some(request)) => self.forward(service, request).await,
            (Kind::Error | Kind::Throttle, _, request) => {
                // An answer in the middle of an upload would be lost in the reset that follows it.
                if let Some(request) = request {
                    read(request.into_body()).await.map_err(|_| Gone)?;
                }
                Ok(fault.answer())
            }
            _ => Err(Gone),
        }
    }

    /// Breaks off the response's body where there is a client's line to lose with it, else the request's.
    async fn cut_off(
        &self,
        service: Service,
        request: Request<Body>,
        percent: f64,
        response: Option<Lost>,
    ) -> Result<Response<Body>, Gone> {
        if response.is_none() {
            let (parts, body) = request.into_parts();
            let body = cut(body, percent, None).await.map_err(|_| Gone)?;
            // Whatever comes back: the client's connection broke with its upload.
            let _ = self.forward(service, Request::from_parts(parts, body)).await;
            return Err(Gone);
        }
        let (parts, body) = self.forward(service, request).await?.into_parts();
        let body = cut(body, percent, response).await.map_err(|_| Gone)?;
        Ok(Response::from_parts(parts, body))
    }

    /// Passes a request on as it is and streams the answer back; what the other side does to its connection, a
    /// refusal as well as a reset, is done to the client's.
    pub(crate) async fn forward(&self, service: Service, mut request: Request<Body>) -> Result<Response<Body>, Gone> {
        let client = takes_over(request.headers()).then(|| hyper::upgrade::on(&mut request));
        if client.is_none() {
            strip(request.headers_mut());
        }
        let shown = operation(request.method(), request.uri());
        *request.uri_mut() = self.upstream(service, request.uri()).map_err(|_| Gone)?;
        *request.version_mut() = Version::HTTP_11;
        let mut response = self.client.request(request).await.map_err(|e| {
            say::line(&format!("{} {shown}: {}", service.name(), chain(&e)));
            Gone
        })?;
        match client {
            Some(client) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                tokio::spawn(splice(client, hyper::upgrade::on(&mut response)));
            }
            _ => strip(response.headers_mut()),
        }
        Ok(response.map(streamed))
    }

    /// The same path and query, byte for byte, at the program behind.
    fn upstream(&self, service: Service, uri: &Uri) -> Result<Uri, hyper::http::Error> {
        let mut parts = self.upstreams[service as usize].clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        Ok(Uri::from_parts(parts)?)
    }
}

fn takes_over(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
}

fn strip(headers: &mut HeaderMap) {
    for name in &HOP {
        headers.remove(name);
    }
}

/// Both directions of a connection that is no longer HTTP, until both ends are done.
async fn splice(client: OnUpgrade, server: OnUpgrade) {
    // Either fails when its side went away before the switch, and nothing is left to carry then.
    if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
