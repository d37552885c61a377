//! An OTLP collector that writes down what it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::{DEADLINE, read_head};

/// One span or log record, and what sent it.
#[derive(Debug, Clone)]
pub(crate) struct Sent<T> {
    pub(crate) resource: Resource,
    pub(crate) item: T,
}

/// The collector. Answers every request with `status`.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    spans: Receiver<Sent<Span>>,
    logs: Receiver<Sent<LogRecord>>,
    heads: Receiver<Vec<String>>,
}

struct Sink {
    spans: Sender<Sent<Span>>,
    logs: Sender<Sent<LogRecord>>,
    heads: Sender<Vec<String>>,
    status: &'static str,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::answering("200 OK")
    }

    pub(crate) fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ((spans, spans_in), (logs, logs_in), (heads, heads_in)) = (channel(), channel(), channel());
        let sink = Sink {
            spans,
            logs,
            heads,
            status,
        };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                sink.converse(&mut BufReader::new(stream));
            }
        });
        Self {
            address,
            spans: spans_in,
            logs: logs_in,
            heads: heads_in,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn span(&self) -> Sent<Span> {
        self.spans.recv_timeout(DEADLINE).expect("a span was to be sent")
    }

    /// Those that have come and are not taken yet.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.try_iter().map(|sent| sent.item).collect()
    }

    /// The first log record with this text.
    pub(crate) fn log(&self, text: &str) -> Sent<LogRecord> {
        loop {
            let sent = self.logs.recv_timeout(DEADLINE).expect("a log record was to be sent");
            if sent.item.body.as_ref().is_some_and(|body| string(body) == text) {
                return sent;
            }
        }
    }

    /// The head of the next request.
    pub(crate) fn head(&self) -> Vec<String> {
        self.heads.recv_timeout(DEADLINE).expect("a request was to be sent")
    }
}

impl Sink {
    fn converse(&self, stream: &mut BufReader<TcpStream>) {
        while let Some(head) = read_head(stream) {
            let length = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().unwrap())
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            self.keep(&head[0], &body);
            self.heads.send(head).ok();
            let answer = format!("HTTP/1.1 {}\r\ncontent-length: 0\r\n\r\n", self.status);
            stream.get_mut().write_all(answer.as_bytes()).ok();
            stream.fill_buf().ok();
        }
    }

    fn keep(&self, request: &str, body: &[u8]) {
        match request {
            "POST /v1/traces HTTP/1.1" => {
                for group in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                    let resource = group.resource.unwrap();
                    for item in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                        let resource = resource.clone();
                        self.spans.send(Sent { resource, item }).ok();
                    }
                }
            }
            "POST /v1/logs HTTP/1.1" => {
                for group in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                    let resource = group.resource.unwrap();
                    for item in group.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                        let resource = resource.clone();
                        self.logs.send(Sent { resource, item }).ok();
                    }
                }
            }
            other => panic!("no collector has this: {other}"),
        }
    }
}

/// A value as text, numbers too.
pub(crate) fn string(value: &AnyValue) -> String {
    match value.value.as_ref() {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// An attribute as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref().map(string)
}
