//! Flags of `load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{list, path, text};
use crate::config::{Layer, duration};

/// Flags of `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Requests per second, in total
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// How long, e.g. 90s, 2m
    #[arg(long, default_value = "2m", value_parser = duration::parse)]
    pub duration: Duration,
    /// Fail unless the HPA's maximum of pods got ready, and wait until one pod is left
    #[arg(long)]
    pub until_scaled: bool,
    /// Where to, as a pod sees it, e.g. `http://web-app-service.web-app.svc:8080/api/data` [default: the app's Service]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<String>,
    /// What makes the load.
    #[command(flatten)]
    pub loader: LoaderArgs,
}

/// What makes the load: an app that was built here does so itself, one that was made elsewhere needs a loader.
#[derive(Debug, Args)]
#[command(next_help_heading = "Loader, remembered by the stack")]
pub struct LoaderArgs {
    /// Image that makes the load, by its digest; it understands `load --url URL --rate N --duration D --output json`
    #[arg(long, value_name = "REF", conflicts_with = "workspace")]
    pub loader_image: Option<String>,
    /// Build it from the sample app in this cargo workspace, and push it to NAME/load
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// What it is for: linux/amd64, linux/arm64 or both [default: linux/amd64]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
}

impl LoaderArgs {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "loader-image", self.loader_image.as_ref());
        path(layer, "workspace", self.workspace.as_ref());
        list(layer, "platform", &self.platform);
    }
}

/// A URL that the loader takes: plain HTTP without credentials. It is written into YAML, so it has no character that
/// would end a text there; no URL needs one.
fn url(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"\\<>^`{|}".contains(c);
    let uri: http::Uri = match text.parse() {
        Ok(uri) if text.chars().all(is_plain) => uri,
        _ => return Err("it is no URL".to_owned()),
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    match (uri.scheme_str(), authority) {
        (Some("http"), Some(authority)) if authority.as_str().contains('@') => {
            Err("credentials in the URL are not supported".to_owned())
        }
        (Some("http"), Some(_)) => Ok(text.to_owned()),
        _ => Err("it does not start with `http://` and a host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_the_loader_takes_are_taken() {
        for text in [
            "http://web",
            "http://web-app-service.web-app.svc:8080/api/data?x=1&y=%20",
            "http://[::1]:9/",
        ] {
            assert_eq!(url(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_url_for_the_loader_is_refused() {
        for text in [
            "",
            "web:8080",
            "https://web/",
            "http://",
            "http://me:secret@web/",
            "http://web/\", \"--rate\", \"9",
            "http://web/a b",
            "http://web/${stack}",
            "http://web/\n",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
