//! Why something of EKS's is as it is, in words.

use std::borrow::Borrow;

/// What EKS says about a failure, or that it says nothing.
pub(super) fn reason<S: Borrow<str>>(texts: &[S]) -> String {
    if texts.is_empty() {
        return "EKS names no reason".to_owned();
    }
    texts.join("; ")
}

/// A health issue as a sentence.
pub(super) fn sentence(code: Option<&str>, message: Option<&str>, resources: &[String]) -> String {
    let (code, message) = (code.unwrap_or("issue"), message.unwrap_or("no message"));
    match resources {
        [] => format!("{code}: {message}"),
        ids => format!("{code}: {message} ({})", ids.join(", ")),
    }
}
