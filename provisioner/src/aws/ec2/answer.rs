//! EC2's answers: XML with lists of `item`, and errors with a code.

use std::collections::BTreeMap;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The answer of a `Describe` call: its list, under whatever name, and the token of the next page.
pub(in crate::aws) trait List {
    /// One thing of the list.
    type Item;

    /// The things of this page and the token of the next; an empty token ends it.
    fn into_page(self) -> (Vec<Self::Item>, String);
}

/// A tag as EC2 writes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::aws) struct Tag {
    key: String,
    value: String,
}

/// Tags as a map.
pub(in crate::aws) fn tags(list: Vec<Tag>) -> BTreeMap<String, String> {
    list.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// EC2 answered with an error.
#[derive(Debug)]
pub(in crate::aws) struct Refused(ErrorMetadata);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// The list in an answer to `action`. Anything but `actionResponse` is an error: an absent list counts as an empty one,
/// and a proxy's page must not read as "nothing there".
pub(super) fn parse<T: DeserializeOwned>(action: &str, text: &str) -> Result<T, String> {
    let mut reader = Reader::from_str(text);
    let root = loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(root) | Event::Empty(root) => break root.local_name().as_ref().to_owned(),
            Event::Eof => return Err("it is empty".to_owned()),
            _ => {}
        }
    };
    let expected = format!("{action}Response");
    if root != expected {
        return Err(format!("it is `{root}` and no `{expected}`"));
    }
    quick_xml::de::from_str(text).map_err(|error| error.to_string())
}

/// The body of a success, the code and words of anything else.
pub(super) fn read(response: &HttpResponse) -> Result<String, OrchestratorError<Refused>> {
    let body = response.body().bytes().unwrap_or_default();
    let text = std::str::from_utf8(body).map_err(OrchestratorError::other)?;
    if response.status().is_success() {
        return Ok(text.to_owned());
    }
    let mut meta = ErrorMetadata::builder();
    // A proxy's error page has no code: the status is the error then.
    if let Some(error) = quick_xml::de::from_str::<Errors>(text).ok().and_then(Errors::first) {
        meta = meta.code(error.code).message(error.message);
    }
    Err(OrchestratorError::operation(Refused(meta.build())))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Errors {
    errors: ErrorList,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ErrorList {
    error: Vec<ErrorItem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ErrorItem {
    code: String,
    message: String,
}

impl Errors {
    fn first(self) -> Option<ErrorItem> {
        let mut errors = self.errors.error.into_iter();
        errors.next().filter(|error| !error.code.is_empty())
    }
}
