//! Flags of `load`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{list, path, text};
use crate::config::{Layer, duration};
use crate::timeline::picture::PictureFile;

/// Flags of `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Requests per second, in total
    #[arg(long, default_value_t = 100, value_parser = rate)]
    pub rate: u32,
    /// How long, e.g. 90s, 2m
    #[arg(long, default_value = "2m", value_parser = duration::parse)]
    pub duration: Duration,
    /// Instead of both: RATE:DURATION,... In each stage the rate goes in a straight line from that of the stage before, 0 at
    /// first, to RATE; a stage of `0` sets it at once, as in `100:0,100:2m,0:1m`
    #[arg(long, value_name = "STAGES", conflicts_with_all = ["rate", "duration"])]
    pub stages: Option<Stages>,
    /// How far apart requests are: evenly, or at random as from many users
    #[arg(long, value_enum, default_value = "even")]
    pub arrivals: Arrivals,
    /// Fail unless the HPA's maximum of pods got ready; begin when only its minimum is there, and wait until that is left again
    #[arg(long)]
    pub until_scaled: bool,
    /// Fail unless that many pods were ready so soon after the first request, e.g. 30s; begin when no pods come or go
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub max_scale_up: Option<Duration>,
    /// Fail where more requests failed or were never sent, in percent of all, e.g. 0 or 0.1
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub error_rate: Option<f64>,
    /// The highest p99 of a second at which the latency counts as recovered
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration::parse)]
    pub recovered_below: Duration,
    /// Start so many seconds after the HPA's controller looked, which it does each 15 s: that is observed first, by a few requests
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub start_phase: Option<Duration>,
    /// Draw what happened over time into this file, which ends with .svg or .png
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PictureFile>,
    /// Where to, as a pod sees it, e.g. `http://web-app-service.web-app.svc:8080/api/data` [default: the app's Service]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<String>,
    /// End a load that runs, somebody else's too, and take its place
    #[arg(long)]
    pub replace: bool,
    /// What makes the load.
    #[command(flatten)]
    pub loader: LoaderArgs,
}

/// How far apart requests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// As evenly as the rate allows
    Even,
    /// At random, independent of each other
    Poisson,
}

/// Stages that the loader takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// As it takes them.
    pub text: String,
    /// How long all of them take.
    pub duration: Duration,
}

impl FromStr for Stages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stages = text.split(',').map(str::trim);
        let stages: Vec<(f64, Duration)> = stages.map(stage).collect::<Result<_, _>>()?;
        if requests(&stages) < 1.0 {
            return Err("these stages send nothing".to_owned());
        }
        let duration = stages.iter().map(|(_, duration)| *duration).sum();
        Ok(Self {
            text: text.replace(' ', ""),
            duration,
        })
    }
}

/// How many requests stages ask for: the area under their rate.
fn requests(stages: &[(f64, Duration)]) -> f64 {
    let from = std::iter::once(0.0).chain(stages.iter().map(|(rate, _)| *rate));
    let areas = from
        .zip(stages)
        .map(|(from, (to, duration))| f64::midpoint(from, *to) * duration.as_secs_f64());
    areas.sum()
}

/// Where the rate goes in one stage, and how long that takes.
fn stage(text: &str) -> Result<(f64, Duration), String> {
    let no_stage = || format!("`{text}` is no stage: write RATE:DURATION like `100:30s`, with a rate from 0 to 100000");
    let (rate, duration) = text.split_once(':').ok_or_else(no_stage)?;
    let rate: f64 = rate.parse().map_err(|_| no_stage())?;
    if !(0.0..=100_000.0).contains(&rate) {
        return Err(no_stage());
    }
    if duration == "0" {
        return Ok((rate, Duration::ZERO));
    }
    let duration = duration::parse(duration).map(|duration| (rate, duration));
    duration.map_err(|why| format!("stage `{text}`: its duration {why}"))
}

/// Whole requests per second, as many as the loader sends.
fn rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|rate| (1..=100_000).contains(rate));
    rate.ok_or_else(|| "it is no whole number of requests per second from 1 to 100000".to_owned())
}

/// A share of all requests, in percent.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse();
    let percent = number.ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "it is no number of percent from 0 to 100".to_owned())
}

/// A part of the controller's period.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let seconds = seconds.filter(|seconds| (0.0..60.0).contains(seconds));
    let seconds = seconds.map(Duration::from_secs_f64);
    seconds.ok_or_else(|| "it is no number of seconds from 0 to 60".to_owned())
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
    fn stages_are_read_as_the_loader_reads_them() {
        let stages: Stages = "100:0, 100:1m30s,0:500ms".parse().expect("stages");
        assert_eq!(
            (stages.text.as_str(), stages.duration),
            ("100:0,100:1m30s,0:500ms", Duration::from_millis(90_500))
        );
        for text in [
            "",
            "100",
            "100:",
            ":1m",
            "-1:1m",
            "NaN:1m",
            "100001:1m",
            "1:1",
            "100:0",
            "0:1m",
            "0:1m,100:0",
            "0.5:1s",
            "1:1m,,2:1m",
            "1:0s",
        ] {
            assert!(text.parse::<Stages>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_shares_and_phases_have_bounds() {
        assert_eq!((rate("1"), rate("100000")), (Ok(1), Ok(100_000)));
        for text in ["", "0", "100001", "-1", "1.5", "abc"] {
            assert!(rate(text).is_err_and(|why| why.contains("from 1 to 100000")), "{text}");
        }
        for (text, want) in [("0", 0.0_f64), ("0.1", 0.1), ("1%", 1.0), ("100", 100.0)] {
            assert_eq!(percent(text).map(f64::to_bits), Ok(want.to_bits()), "{text}");
        }
        assert_eq!(seconds("7.5"), Ok(Duration::from_millis(7500)));
        for text in ["", "-1", "101", "NaN", "few"] {
            assert!(percent(text).is_err() && seconds(text).is_err(), "{text}");
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
