//! A registry's own lists of what refers to a manifest, where it has any: the same specification, "Listing Referrers".

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK};
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Referrer, names};
use crate::image::ImageError;
use crate::image::answer::{self, RegistryError};
use crate::image::media::{INDEX, LONGEST_MANIFEST};
use crate::image::repository::Repository;
use crate::image::session::Access;
use crate::report::Reporter;

/// Pages that are read of one list: some thousand referrers of one type, more than anything has.
const MOST_PAGES: usize = 50;

/// A part of a list.
struct Page {
    index: Value,
    next: Option<Url>,
}

impl Referrer {
    /// Whether the registry itself lists it; none where it keeps no such lists.
    pub(super) async fn listed(
        &self,
        repository: &Repository,
        reporter: &dyn Reporter,
    ) -> Result<Option<bool>, ImageError> {
        let subject = &self.subject.digest;
        let action = format!("list what refers to {subject} in");
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let from = &next;
            let page = repository.attempt((repository.policy(), reporter), &action, |access| async move {
                let url = match from {
                    Some(url) => Url::clone(url),
                    None => self.first_page(repository)?,
                };
                page(repository, &access, url).await
            });
            let Some(page) = page.await? else {
                return Ok(None);
            };
            if names(&page.index, self.digest()) {
                return Ok(Some(true));
            }
            if page.next.is_none() {
                break;
            }
            next = page.next;
        }
        Ok(Some(false))
    }

    fn first_page(&self, repository: &Repository) -> Result<Url, RegistryError> {
        let mut url = repository.url(&format!("referrers/{}", self.subject.digest))?;
        url.query_pairs_mut().append_pair("artifactType", &self.artifact_type);
        Ok(url)
    }
}

/// A page of a list; none where nobody knows the question. Whatever is no list means that: a registry that lacks this part
/// of the specification answers 404, its web site, or with a way to there.
async fn page(repository: &Repository, access: &Access, url: Url) -> Result<Option<Page>, RegistryError> {
    let request = repository.request(access, Method::GET, url.clone());
    let response = match request.header(ACCEPT, INDEX).send().await {
        Err(error) if error.is_redirect() => return Ok(None),
        outcome => outcome?,
    };
    if response.url().origin() != url.origin() {
        return Ok(None);
    }
    let status = response.status();
    if is_no_answer(status) {
        return Err(RegistryError::of("GET", response).await);
    }
    if status != StatusCode::OK || !is_index(response.headers()) {
        return Ok(None);
    }
    let next = next(response.headers(), response.url());
    let body = answer::limited(response, LONGEST_MANIFEST).await?;
    let index = serde_json::from_slice(&body)
        .map_err(|error| RegistryError::Protocol(format!("its list of referrers is no index: {error}")))?;
    Ok(Some(Page { index, next }))
}

/// A registry that does not let in, or not now, says nothing of what it knows.
fn is_no_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 408 | 425 | 429 | 500..)
}

fn is_index(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split(';').next());
    given.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(INDEX))
}

/// Where the list goes on: `Link: <URL>; rel="next"` (RFC 8288), on the same registry.
fn next(headers: &HeaderMap, page: &Url) -> Option<Url> {
    let links = headers
        .get_all(LINK)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let next = links.filter_map(|text| text.trim().strip_prefix('<')?.split_once('>'));
    let mut next = next.filter(|(_, parameters)| {
        parameters
            .split(';')
            .any(|parameter| matches!(parameter.trim(), r#"rel="next""# | "rel=next"))
    });
    let url = page.join(next.next()?.0).ok()?;
    (url.origin() == page.origin()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_where_the_registry_says_and_nowhere_else() {
        let page = Url::parse("https://r.example/v2/a/referrers/sha256:0?artifactType=a").expect("a URL");
        let next_of = |text: &str| {
            let headers = [(LINK, text.parse().expect("a value"))].into_iter().collect();
            next(&headers, &page).map(String::from)
        };
        for (text, wanted) in [
            (
                r#"</v2/a/referrers/sha256:0?n=1>; rel="next""#,
                Some("https://r.example/v2/a/referrers/sha256:0?n=1"),
            ),
            ("<?n=2>;rel=next", Some("https://r.example/v2/a/referrers/sha256:0?n=2")),
            (r#"<https://other.example/v2/>; rel="next""#, None),
            (r#"</v2/>; rel="prev""#, None),
            ("/v2/", None),
        ] {
            assert_eq!(next_of(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_registry_that_does_not_let_in_or_not_now_is_not_one_without_lists() {
        let of = |code| is_no_answer(StatusCode::from_u16(code).expect("a status"));
        assert!([401, 403, 408, 429, 500, 502, 503].into_iter().all(of));
        assert!(![200, 302, 400, 404, 405, 406, 410].into_iter().any(of));
    }

    #[test]
    fn only_an_index_is_a_list() {
        let of = |text: &str| is_index(&[(CONTENT_TYPE, text.parse().expect("a value"))].into_iter().collect());
        assert!(of(INDEX) && of(&format!("{INDEX}; charset=utf-8")));
        assert!(!of("text/html") && !of("application/json") && !is_index(&HeaderMap::new()));
    }
}
