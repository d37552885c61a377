//! Settings of `serve`: flags and environment, all named here. `load` has its own in `load`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, ValueEnum, value_parser};
use tracing::level_filters::LevelFilter;

use crate::duration;
use crate::limits::Limits;
use crate::otel::{Otel, OtelError};

/// Flags of `app serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one, which the log names
    #[arg(long, env = "APP_ADDR", default_value = "0.0.0.0:8080", value_name = "HOST:PORT")]
    addr: SocketAddr,
    /// Name of this pod in metrics and answers [default: the host name]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pod: Option<String>,
    /// Namespace of this pod in metrics [default: default]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// After a signal: how long to keep serving, not ready, until no new traffic is sent here
    #[arg(
        long,
        env = "APP_DRAIN_DELAY",
        default_value = "3s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    drain_delay: Duration,
    /// After the delay: how long requests in flight may take to finish
    #[arg(
        long,
        env = "APP_DRAIN_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    drain_timeout: Duration,
    /// Age at which a connection is closed with its next answer, so that clients find new pods; 0 for never
    #[arg(
        long,
        env = "APP_MAX_CONNECTION_AGE",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    max_connection_age: Duration,
    /// Connections served at once; what comes on further ones is answered 503, but for scrapes and probes. Fewer, with a
    /// warning, where the process may not have 96 file descriptors more than these
    #[arg(long, env = "APP_MAX_CONNECTIONS", default_value_t = 1024, value_name = "N")]
    max_connections: usize,
    /// Size of a request head; more is answered 431
    #[arg(
        long,
        env = "APP_MAX_HEAD_SIZE",
        default_value_t = 16 * 1024,
        value_name = "BYTES",
        value_parser = value_parser!(u32).range(64..)
    )]
    max_head_size: u32,
    /// Number of headers of a request; more is answered 431
    #[arg(long, env = "APP_MAX_HEADERS", default_value_t = 100, value_name = "N")]
    max_headers: u16,
    /// Size of a request body; more is answered 413
    #[arg(long, env = "APP_MAX_BODY_SIZE", default_value_t = 64 * 1024, value_name = "BYTES")]
    max_body_size: u64,
    /// How long an answer may take from the end of the request head; what takes longer is answered 503; 0 for no bound
    #[arg(
        long,
        env = "APP_REQUEST_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    request_timeout: Duration,
    /// How to write the log, on stderr; auto: text on a terminal, else JSON
    #[arg(long, env = "APP_LOG_FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// Least level to log: off, error, warn, info, debug or trace
    #[arg(long, env = "APP_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: LevelFilter,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Text,
}

/// Who this process is: the labels of `http_requests_total` and the `x-pod` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pod: String,
    pub(crate) namespace: String,
    /// `pod`, valid as a header.
    pub(crate) pod_header: HeaderValue,
}

/// Everything `serve` needs, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) addr: SocketAddr,
    pub(crate) identity: Identity,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    /// None: connections live as long as the client likes.
    pub(crate) max_connection_age: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LevelFilter,
    pub(crate) otel: Otel,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot use pod name `{0}`: it has characters that no header can carry")]
    PodName(String),
    #[error(transparent)]
    Otel(#[from] OtelError),
}

impl ServeArgs {
    pub(crate) fn resolve(self) -> Result<Settings, ConfigError> {
        let pod = given(self.pod)
            .or_else(host_name)
            .unwrap_or_else(|| "unknown".to_owned());
        let namespace = given(self.namespace).unwrap_or_else(|| "default".to_owned());
        Ok(Settings {
            addr: self.addr,
            identity: Identity::new(pod, namespace)?,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            max_connection_age: Some(self.max_connection_age).filter(|age| !age.is_zero()),
            limits: Limits {
                connections: self.max_connections,
                head_bytes: usize::try_from(self.max_head_size).unwrap_or(usize::MAX),
                headers: usize::from(self.max_headers),
                body_bytes: self.max_body_size,
                request_time: Some(self.request_timeout).filter(|limit| !limit.is_zero()),
            },
            log_format: self.log_format,
            log_level: self.log_level,
            otel: Otel::from_env()?,
        })
    }
}

impl Identity {
    pub(crate) fn new(pod: String, namespace: String) -> Result<Self, ConfigError> {
        let Ok(pod_header) = HeaderValue::from_str(&pod) else {
            return Err(ConfigError::PodName(pod.escape_debug().to_string()));
        };
        Ok(Self {
            pod,
            namespace,
            pod_header,
        })
    }
}

/// An empty variable counts as absent: templates leave them so.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// The kernel's host name, which is the pod's name in a pod; an image from scratch has no `hostname` to ask.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    given(name.map(|name| name.trim().to_owned())).or_else(|| given(std::env::var("HOSTNAME").ok()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn resolve(args: &[&str]) -> Result<Settings, ConfigError> {
        Cli::try_parse_from([&["app"], args].concat()).unwrap().serve.resolve()
    }

    impl Settings {
        /// The defaults.
        pub(crate) fn for_tests() -> Self {
            resolve(&[]).unwrap()
        }
    }

    #[test]
    fn empty_names_count_as_absent() {
        let settings = resolve(&["--pod", "", "--namespace", ""]).unwrap();
        assert_eq!(settings.identity.namespace, "default");
        assert!(!settings.identity.pod.is_empty());
    }

    #[test]
    fn zero_age_means_no_limit() {
        assert_eq!(
            resolve(&["--max-connection-age", "0"]).unwrap().max_connection_age,
            None
        );
        let default = resolve(&[]).unwrap().max_connection_age;
        assert_eq!(default, Some(Duration::from_secs(30)));
    }

    #[test]
    fn zero_time_means_no_bound_for_requests() {
        let time = |args: &[&str]| resolve(args).unwrap().limits.request_time;
        assert_eq!(time(&[]), Some(Duration::from_secs(10)));
        assert_eq!(time(&["--request-timeout", "0"]), None);
    }

    #[test]
    fn a_pod_name_that_no_header_can_carry_is_refused() {
        let error = resolve(&["--pod", "a\nb"]).unwrap_err().to_string();
        assert_eq!(
            error,
            r"cannot use pod name `a\nb`: it has characters that no header can carry"
        );
    }
}
