//! Headers that every request gets beside our own.

use std::str::FromStr;

use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};

/// A name and a value. The value may be a credential: it is in no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// Why a text is not a header.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("not a header, write it like `host: shop.example`")]
    Syntax,
    #[error("`{0}` follows from how requests are sent, it cannot be set")]
    Ours(HeaderName),
}

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, value) = text.split_once(':').ok_or(HeaderError::Syntax)?;
        let name: HeaderName = name.trim().parse().map_err(|_| HeaderError::Syntax)?;
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return Err(HeaderError::Ours(name));
        }
        let mut value: HeaderValue = value.trim().parse().map_err(|_| HeaderError::Syntax)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_name_and_value_apart() {
        for (text, name, value) in [
            ("Host: shop.example", "host", "shop.example"),
            ("x-a:b:c", "x-a", "b:c"),
            ("x-empty:", "x-empty", ""),
        ] {
            let header: Header = text.parse().unwrap();
            assert_eq!((header.name.as_str(), header.value.to_str().unwrap()), (name, value));
        }
    }

    #[test]
    fn refuses_what_is_no_header_or_not_to_be_set() {
        for text in ["", "host", "a b: c", ": x", "x: a\nb: c"] {
            assert_eq!(text.parse::<Header>(), Err(HeaderError::Syntax), "{text:?}");
        }
        assert_eq!(
            "Connection: close".parse::<Header>(),
            Err(HeaderError::Ours(CONNECTION))
        );
    }

    #[test]
    fn a_value_is_not_shown() {
        let header: Header = "authorization: Bearer secret".parse().unwrap();
        assert!(!format!("{header:?}").contains("secret"));
    }
}
