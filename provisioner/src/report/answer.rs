//! The result of a command: the only thing that goes to stdout.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::printable;
use crate::config::Format;

/// Version of every JSON result.
const SCHEMA: u32 = 1;

/// A result in both formats.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    text: String,
    json: Value,
}

impl Answer {
    /// A result that reads as text and as one JSON object with `schema`.
    ///
    /// # Errors
    /// The value does not serialize to a JSON object.
    pub fn of<T: Display + Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        let mut object = Map::from_iter([("schema".to_owned(), SCHEMA.into())]);
        object.append(&mut serde_json::from_value(serde_json::to_value(value)?)?);
        Ok(Self {
            // Some of it is what programs in the cluster wrote.
            text: printable(&value.to_string()),
            json: Value::Object(object),
        })
    }

    /// A result whose form another program prescribes: the same in both formats.
    pub fn verbatim(text: String) -> Self {
        Self {
            json: Value::Null,
            text,
        }
    }

    /// The result with one line end.
    pub fn text(&self, format: Format) -> String {
        let text = match (format, &self.json) {
            (Format::Json, Value::Object(_)) => self.json.to_string(),
            _ => self.text.clone(),
        };
        format!("{}\n", text.trim_end())
    }

    /// Writes the result; false where its reader has gone, which is no failure.
    ///
    /// # Errors
    /// Any other failure to write.
    pub fn write(&self, format: Format, mut to: impl Write) -> io::Result<bool> {
        let written = to.write_all(self.text(format).as_bytes()).and_then(|()| to.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            other => other.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pushed {
        reference: &'static str,
        total_s: f64,
    }

    impl Display for Pushed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.reference)
        }
    }

    fn written(format: Format) -> String {
        let answer = Answer::of(&Pushed {
            reference: "host/app@sha256:1",
            total_s: 1.5,
        })
        .unwrap();
        let mut bytes = Vec::new();
        answer.write(format, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_carries_the_schema_first_and_text_is_bare() {
        assert_eq!(written(Format::Text), "host/app@sha256:1\n");
        assert_eq!(
            written(Format::Json),
            "{\"schema\":1,\"reference\":\"host/app@sha256:1\",\"total_s\":1.5}\n"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        let answer = Answer::of(&Pushed {
            reference: "a\u{1b}]0;title\u{7}b\tc",
            total_s: 1.0,
        });
        let text = answer.unwrap().text(Format::Text);
        assert_eq!(text, "a\u{fffd}]0;title\u{fffd}b\tc\n");
    }

    #[test]
    fn prescribed_forms_are_the_same_in_both_formats() {
        for format in [Format::Text, Format::Json] {
            let mut bytes = Vec::new();
            Answer::verbatim("{\"kind\":\"x\"}".into())
                .write(format, &mut bytes)
                .unwrap();
            assert_eq!(bytes, b"{\"kind\":\"x\"}\n");
        }
    }

    #[test]
    fn only_a_broken_pipe_is_success() {
        struct Failing(io::ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let answer = Answer::verbatim("x".into());
        assert!(!answer.write(Format::Text, Failing(io::ErrorKind::BrokenPipe)).unwrap());
        assert!(answer.write(Format::Text, Failing(io::ErrorKind::StorageFull)).is_err());
    }
}
