//! The standard `OTEL_*` variables: what they ask of us, checked before anything starts.

use std::time::Duration;

use crate::semconv::Methods;

/// Default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a timeout of zero stands for, which the specification reads as none.
const NO_TIMEOUT: Duration = Duration::from_millis(u32::MAX as u64);

/// The section of `--help`.
pub(crate) const HELP: &str = "\
OpenTelemetry's variables:
  Metrics are always there to be scraped at /metrics. Traces and logs are sent over OTLP (http/protobuf, without TLS: to a
  collector in the cluster or on the node) when one of these asks for it:

  OTEL_EXPORTER_OTLP_ENDPOINT       where to, for traces and logs, like http://collector:4318; `/v1/traces`, `/v1/logs` are added
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT
                                    where to, for one of them, as it stands
  OTEL_TRACES_EXPORTER, OTEL_LOGS_EXPORTER
                                    `otlp` or `none`, whatever the endpoints say [default endpoint: http://localhost:4318]
  OTEL_SDK_DISABLED                 `true`: send neither

  OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_PROTOCOL (also ..._TRACES_..., ..._LOGS_...)
                                    headers of what is sent, milliseconds for it (0: no limit), and only `http/protobuf`
  OTEL_TRACES_SAMPLER               always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off,
                                    parentbased_traceidratio [default: parentbased_always_on]
  OTEL_TRACES_SAMPLER_ARG           share of traces for ...traceidratio, from 0 to 1 [default: 1]
  OTEL_PROPAGATORS                  `tracecontext` (W3C traceparent) or `none` [default: tracecontext]
  OTEL_BSP_*, OTEL_BLRP_*           queue and batch sizes, delays
  OTEL_SERVICE_NAME                 name of the service [default: app]
  OTEL_RESOURCE_ATTRIBUTES          attributes of the service, like key=value,key=value
  OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS
                                    methods that are a label of their own, separated by commas; others are `_OTHER`";

/// What the variables ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Otel {
    pub(crate) service_name: Option<String>,
    pub(crate) methods: Methods,
    pub(crate) traces: Option<Sending>,
    pub(crate) logs: Option<Sending>,
    /// Whether `traceparent` of a request makes its span part of the caller's trace.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only spans read it"))]
    pub(crate) trace_context: bool,
}

/// How a signal is sent, as far as the exporter does not read it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sending {
    /// For one batch, repetitions included.
    pub(crate) timeout: Duration,
}

/// A variable that asks for what is not here.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum OtelError {
    #[error("cannot use `{value}` for {name}: {expected}")]
    Value {
        name: String,
        value: String,
        expected: &'static str,
    },
    #[error("cannot send {0}: this program was built without the feature `otlp`")]
    NotBuilt(&'static str),
}

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Variables by name; an empty one counts as absent, as the specification has it.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Otel {
    /// Reads the variables of this process.
    pub(crate) fn from_env() -> Result<Self, OtelError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, OtelError> {
        let variables = Variables(variable);
        let disabled = variables.get("OTEL_SDK_DISABLED");
        let disabled = disabled.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let methods = variables.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
        let otel = Self {
            service_name: variables.get("OTEL_SERVICE_NAME"),
            methods: methods.map_or_else(Methods::default, |list| Methods::listed(&list)),
            traces: variables.sending("TRACES")?.filter(|_| !disabled),
            logs: variables.sending("LOGS")?.filter(|_| !disabled),
            trace_context: variables.trace_context()?,
        };
        if otel.traces.is_some() {
            variables.check_sampler()?;
        }
        for (asked, what) in [(otel.traces, "traces"), (otel.logs, "logs")] {
            if asked.is_some() && !cfg!(feature = "otlp") {
                return Err(OtelError::NotBuilt(what));
            }
        }
        Ok(otel)
    }
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty())
    }

    /// The variable of one signal, or the one of all, with its name.
    fn of_signal(&self, signal: &str, suffix: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}"),
            format!("OTEL_EXPORTER_OTLP_{suffix}"),
        ];
        names.into_iter().find_map(|name| Some((self.get(&name)?, name)))
    }

    /// Whether a signal is to be sent, and by means that are here.
    fn sending(&self, signal: &str) -> Result<Option<Sending>, OtelError> {
        let name = format!("OTEL_{signal}_EXPORTER");
        let endpoint = self.of_signal(signal, "ENDPOINT");
        let asked = match self.get(&name) {
            None => endpoint.is_some(),
            Some(value) => match value.as_str() {
                "otlp" => true,
                "none" => false,
                _ => return refuse(name, value, "`otlp` and `none` are known"),
            },
        };
        if !asked {
            return Ok(None);
        }
        for (suffix, allowed, expected) in [
            (
                "PROTOCOL",
                "http/protobuf",
                "only `http/protobuf` is spoken, to port 4318 of most collectors",
            ),
            ("COMPRESSION", "none", "nothing is compressed here, use `none`"),
        ] {
            if let Some((value, name)) = self.of_signal(signal, suffix).filter(|(value, _)| value != allowed) {
                return refuse(name, value, expected);
            }
        }
        if let Some((value, name)) = endpoint.filter(|(value, _)| !is_plain_http(value)) {
            let expected = "an http:// URL of a collector nearby without user and password; TLS is not built in";
            return refuse(name, without_secrets(&value), expected);
        }
        let timeout = match self.of_signal(signal, "TIMEOUT") {
            None => TIMEOUT,
            Some((value, name)) => match value.parse() {
                Ok(0) => NO_TIMEOUT,
                Ok(milliseconds) => Duration::from_millis(milliseconds),
                Err(_) => return refuse(name, value, "a whole number of milliseconds"),
            },
        };
        Ok(Some(Sending { timeout }))
    }

    fn check_sampler(&self) -> Result<(), OtelError> {
        let Some(sampler) = self.get("OTEL_TRACES_SAMPLER") else {
            return Ok(());
        };
        if !SAMPLERS.contains(&sampler.as_str()) {
            let expected = "see `app serve --help` for those that are known";
            return refuse("OTEL_TRACES_SAMPLER".to_owned(), sampler, expected);
        }
        // Without a share all traces are taken.
        let share = self.get("OTEL_TRACES_SAMPLER_ARG");
        if let Some(share) = share.filter(|_| sampler.ends_with("traceidratio"))
            && !share.parse().is_ok_and(|share: f64| (0.0..=1.0).contains(&share))
        {
            let expected = "a share of traces, from 0 to 1";
            return refuse("OTEL_TRACES_SAMPLER_ARG".to_owned(), share, expected);
        }
        Ok(())
    }

    /// Of several propagators ours is picked out; none that we have is an error, or traces would be torn in silence.
    fn trace_context(&self) -> Result<bool, OtelError> {
        let name = "OTEL_PROPAGATORS";
        let Some(list) = self.get(name) else {
            return Ok(true);
        };
        if list.split(',').any(|propagator| propagator.trim() == "tracecontext") {
            return Ok(true);
        }
        if list == "none" {
            return Ok(false);
        }
        refuse(name.to_owned(), list, "`tracecontext` and `none` are known")
    }
}

fn is_plain_http(endpoint: &str) -> bool {
    let uri = endpoint.parse::<axum::http::Uri>();
    uri.is_ok_and(|uri| {
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) && !has_user
    })
}

/// An endpoint as a message may have it: what stands before an `@` and after a `?` may be a credential.
fn without_secrets(endpoint: &str) -> String {
    let endpoint = endpoint.split(['?', '#']).next().unwrap_or_default();
    match endpoint.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => endpoint.to_owned(),
    }
}

fn refuse<T>(name: String, value: String, expected: &'static str) -> Result<T, OtelError> {
    Err(OtelError::Value { name, value, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Otel, OtelError> {
        Otel::read(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn signals_are_sent_when_asked_for() {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        for (variables, traces, logs) in [
            (&[][..], false, false),
            (&[(ALL, "http://collector:4318")], true, true),
            (&[(ALL, "")], false, false),
            (
                &[(ALL, "http://collector:4318"), ("OTEL_LOGS_EXPORTER", "none")],
                true,
                false,
            ),
            (
                &[(ALL, "http://collector:4318"), ("OTEL_SDK_DISABLED", "True")],
                false,
                false,
            ),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], true, false),
            (
                &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://[::1]:4318/v1/logs")],
                false,
                true,
            ),
        ] {
            let otel = read(variables).unwrap();
            assert_eq!(
                (otel.traces.is_some(), otel.logs.is_some()),
                (traces, logs),
                "{variables:?}"
            );
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn what_is_not_here_is_refused_by_name() {
        const ON: (&str, &str) = ("OTEL_TRACES_EXPORTER", "otlp");
        for (variables, named) in [
            (&[("OTEL_TRACES_EXPORTER", "zipkin")][..], "OTEL_TRACES_EXPORTER"),
            (
                &[ON, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ),
            (
                &[ON, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")],
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            ),
            (
                &[ON, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
                "OTEL_EXPORTER_OTLP_COMPRESSION",
            ),
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")],
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")],
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
            (&[ON, ("OTEL_TRACES_SAMPLER", "xray")], "OTEL_TRACES_SAMPLER"),
            (
                &[
                    ON,
                    ("OTEL_TRACES_SAMPLER", "traceidratio"),
                    ("OTEL_TRACES_SAMPLER_ARG", "half"),
                ],
                "OTEL_TRACES_SAMPLER_ARG",
            ),
            (
                &[
                    ON,
                    ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                    ("OTEL_TRACES_SAMPLER_ARG", "5"),
                ],
                "OTEL_TRACES_SAMPLER_ARG",
            ),
            (
                &[ON, ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ),
            (&[("OTEL_PROPAGATORS", "b3")], "OTEL_PROPAGATORS"),
        ] {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.contains(&format!("for {named}:")), "{variables:?}: {error}");
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn what_may_be_left_out_or_be_zero_is_as_the_specification_has_it() {
        let on = ("OTEL_TRACES_EXPORTER", "otlp");
        assert!(read(&[on, ("OTEL_TRACES_SAMPLER", "traceidratio")]).is_ok());
        let timeout = |text| {
            let otel = read(&[on, ("OTEL_EXPORTER_OTLP_TIMEOUT", text)]).unwrap();
            otel.traces.unwrap().timeout
        };
        assert_eq!((timeout(""), timeout("250")), (TIMEOUT, Duration::from_millis(250)));
        assert!(timeout("0") > Duration::from_hours(24), "none");
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn an_endpoint_with_credentials_is_refused_and_not_repeated() {
        let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        for endpoint in [
            "http://me:secret@collector:4318",
            "https://me:secret@collector:4318",
            "me:secret@collector",
            "https://collector/?token=secret",
        ] {
            let error = read(&[(name, endpoint)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("collector"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn our_propagator_is_picked_out_of_several() {
        for (list, expected) in [("", true), ("b3, tracecontext,baggage", true), ("none", false)] {
            assert_eq!(
                read(&[("OTEL_PROPAGATORS", list)]).unwrap().trace_context,
                expected,
                "{list}"
            );
        }
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn a_build_without_otlp_says_so() {
        assert_eq!(
            read(&[("OTEL_LOGS_EXPORTER", "otlp")]).unwrap_err(),
            OtelError::NotBuilt("logs")
        );
    }
}
