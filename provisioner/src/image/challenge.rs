//! How a registry wants to be told who asks: the challenge of its first answer.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use url::Url;

use super::answer::RegistryError;
use super::session::is_safe;

/// Where tokens are given, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: Url,
    service: Option<String>,
}

impl Challenge {
    /// The challenge in `headers`, the answer of `registry`; none where no token is wanted.
    ///
    /// # Errors
    /// It sends whoever signs in to where others could read along.
    pub(super) fn of(headers: &HeaderMap, registry: &Url) -> Result<Option<Self>, RegistryError> {
        let texts = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|text| text.to_str().ok());
        let mut found = texts.flat_map(ChallengeParser::new).filter_map(Result::ok);
        let Some(bearer) = found.find(|challenge| challenge.scheme.eq_ignore_ascii_case("Bearer")) else {
            return Ok(None);
        };
        let Some(realm) = parameter(&bearer, "realm") else {
            return Ok(None);
        };
        let wrong = |what| RegistryError::Protocol(format!("{what}: {}", realm.chars().take(200).collect::<String>()));
        let realm = Url::parse(&realm).map_err(|_| wrong("it names no URL where tokens are given"))?;
        if !is_safe(registry, &realm) {
            return Err(wrong("it wants credentials to be sent over plain HTTP"));
        }
        let service = parameter(&bearer, "service");
        Ok(Some(Self { realm, service }))
    }

    /// Where to ask for a token that is good for all of `scopes`.
    pub(super) fn ask(&self, scopes: &[String]) -> Url {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            query.extend_pairs(self.service.iter().map(|service| ("service", service)));
        }
        url
    }
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let mut all = challenge.params.iter();
    let (_, value) = all.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.to_unescaped())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(registry: &str, texts: &[&'static str]) -> Result<Option<Challenge>, String> {
        let header = |text: &&'static str| (WWW_AUTHENTICATE, http::HeaderValue::from_static(text));
        let headers: HeaderMap = texts.iter().map(header).collect();
        Challenge::of(&headers, &Url::parse(registry).unwrap()).map_err(|error| error.to_string())
    }

    const HTTPS: &str = "https://registry.example/v2/";
    const LOCAL: &str = "http://127.0.0.1:5000/v2/";

    #[test]
    fn a_token_is_asked_for_with_every_scope_where_the_registry_says() {
        let scopes = ["repository:a/b:pull,push".to_owned(), "repository:a/c:pull".to_owned()];
        let query = "scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Aa%2Fc%3Apull";
        for (texts, wanted) in [
            (
                vec![r#"Bearer realm="https://auth.example/token",service="registry.example",scope="ignored""#],
                format!("https://auth.example/token?{query}&service=registry.example"),
            ),
            (
                vec!["Basic realm=\"", r#"bearer Realm="https://auth.example/t?a=1""#],
                format!("https://auth.example/t?a=1&{query}"),
            ),
            (
                vec![r#"Negotiate, Bearer realm="https://auth.example/\"q\"""#],
                format!("https://auth.example/%22q%22?{query}"),
            ),
        ] {
            let found = challenge(HTTPS, &texts).unwrap().expect("a token is wanted");
            assert_eq!(found.ask(&scopes).as_str(), wanted);
        }
    }

    #[test]
    fn what_wants_no_token_or_cannot_be_read_is_no_challenge() {
        for texts in [
            &[][..],
            &["Basic realm=\"x\""],
            &["Bearer service=\"x\""],
            &["", "\"", "Bearer =", ",,,"],
        ] {
            assert_eq!(challenge(HTTPS, texts), Ok(None), "{texts:?}");
        }
    }

    #[test]
    fn credentials_go_nowhere_where_others_read_along() {
        for (registry, text, sent) in [
            (HTTPS, r#"Bearer realm="http://auth.example/token""#, false),
            // What a foreign registry calls this machine is none of its business.
            (HTTPS, r#"Bearer realm="http://127.0.0.1:8080/token""#, false),
            (HTTPS, r#"Bearer realm="ftp://auth.example/token""#, false),
            (HTTPS, r#"Bearer realm="/token""#, false),
            (LOCAL, r#"Bearer realm="http://auth.example/token""#, false),
            (LOCAL, r#"Bearer realm="http://127.0.0.1:5001/token""#, true),
            (LOCAL, r#"Bearer realm="https://auth.example/token""#, true),
        ] {
            assert_eq!(challenge(registry, &[text]).is_ok(), sent, "{registry} {text}");
        }
    }
}
