//! What a server answered, and whether it takes another request on the same connection.

use hyper::header::CONNECTION;
use hyper::{Response, Version};

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Header `x-pod`.
    pub(super) pod: Option<String>,
}

/// Whether the server takes another request: it announces a close by a word of its `connection` header, in any case of letters,
/// and one of HTTP/1.0 closes unless it says otherwise (RFC 9112, 9.3).
pub(super) fn stays_open<B>(response: &Response<B>) -> bool {
    let says = |word: &str| {
        let values = response.headers().get_all(CONNECTION).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    !says("close") && (response.version() != Version::HTTP_10 || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_close_is_read_as_servers_write_it() {
        for (version, connection, open) in [
            (Version::HTTP_11, "", true),
            (Version::HTTP_11, "close", false),
            (Version::HTTP_11, "Close", false),
            (Version::HTTP_11, "x-pod, close", false),
            (Version::HTTP_11, "keep-alive", true),
            (Version::HTTP_10, "", false),
            (Version::HTTP_10, "Keep-Alive", true),
        ] {
            let response = Response::builder().version(version).header(CONNECTION, connection);
            assert_eq!(
                stays_open(&response.body(()).unwrap()),
                open,
                "{version:?} {connection}"
            );
        }
    }
}
