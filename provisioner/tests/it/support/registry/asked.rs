//! A request, told apart.

use axum::http::Method;
use axum::http::request::Parts;

use super::REPOSITORY;

/// What a request is for.
pub(super) struct Asked {
    /// The repository's name.
    pub(super) name: String,
    /// The path below it; all of it where it is no repository's.
    pub(super) place: String,
    pub(super) query: String,
    pub(super) line: String,
}

impl Asked {
    pub(super) fn of(parts: &Parts) -> Self {
        let path = parts.uri.path();
        let kinds = ["/blobs/", "/manifests/", "/referrers/"];
        let below = path.strip_prefix("/v2/").unwrap_or_default();
        let split = kinds
            .iter()
            .find_map(|kind| below.find(kind))
            .map(|at| below.split_at(at));
        let (name, place) = split.map_or(("", path), |(name, place)| (name, &place[1..]));
        let query = parts.uri.query().unwrap_or_default().replace("%3A", ":");
        let shown = if place.starts_with("blobs/uploads/") {
            let digest = query.strip_prefix("digest=").unwrap_or(&query);
            format!("blobs/uploads/{digest}")
        } else {
            place.to_owned()
        };
        let line = match name {
            REPOSITORY | "" => format!("{} {shown}", parts.method),
            other => format!("{} {other} {shown}", parts.method),
        };
        Self {
            name: name.to_owned(),
            place: place.to_owned(),
            query,
            line,
        }
    }

    /// The rights that it takes, as the registry of the distribution project sees it: a mount reads its source too.
    pub(super) fn rights(&self, method: &Method) -> Vec<(String, &'static str)> {
        let mut rights = vec![(self.name.clone(), "pull")];
        if *method != Method::GET && *method != Method::HEAD {
            rights.push((self.name.clone(), "push"));
        }
        let fields = url::form_urlencoded::parse(self.query.as_bytes());
        let from = fields.filter(|(key, _)| key == "from");
        rights.extend(from.map(|(_, name)| (name.into_owned(), "pull")));
        rights
    }
}
