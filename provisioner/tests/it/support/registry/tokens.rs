//! Tokens that say themselves what they are good for, as those of the distribution project do.

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::store::{answer, error};

/// Who gives tokens.
#[derive(Default)]
pub(super) struct Tokens {
    /// How many ended.
    pub(super) ended: u32,
    /// Repositories of which they give no right.
    pub(super) denied: Vec<String>,
    /// Whether one right that is not given leaves no token at all.
    pub(super) all_or_nothing: bool,
}

impl Tokens {
    /// A token for the scopes in `query`.
    pub(super) fn give(&self, query: &str) -> Response<Body> {
        let asked = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "scope");
        let asked: Vec<String> = asked.map(|(_, scope)| scope.into_owned()).collect();
        let is_denied = |scope: &String| {
            let denied = self.denied.iter();
            denied
                .into_iter()
                .any(|name| scope.starts_with(&format!("repository:{name}:")))
        };
        if self.all_or_nothing && asked.iter().any(is_denied) {
            return answer(403, &error("DENIED"));
        }
        let given: Vec<_> = asked.into_iter().filter(|scope| !is_denied(scope)).collect();
        let token = format!("{} {}", self.ended, given.join(" "));
        let token = STANDARD.encode(token);
        answer(200, &serde_json::json!({ "token": token }).to_string())
    }

    /// Whether `authorization` is a token that did not end and gives all of `rights`.
    pub(super) fn takes(&self, authorization: Option<&str>, rights: &[(String, &str)]) -> bool {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
        let token = token.and_then(|text| STANDARD.decode(text).ok());
        let token = String::from_utf8(token.unwrap_or_default()).unwrap_or_default();
        let mut words = token.split(' ');
        let is_current = words.next() == Some(&self.ended.to_string());
        let scopes: Vec<_> = words.filter_map(|scope| scope.rsplit_once(':')).collect();
        let has = |(name, right): &(String, &str)| {
            let wanted = format!("repository:{name}");
            let mut scopes = scopes.iter();
            scopes.any(|(scope, rights)| *scope == wanted && rights.split(',').any(|given| given == *right))
        };
        is_current && rights.iter().all(has)
    }
}
