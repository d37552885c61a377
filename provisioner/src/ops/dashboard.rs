//! `dashboard`: the built-in viewer on a local port, its picture, or a local port to Grafana or Prometheus.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::Context;
use super::files;
use crate::chain::Route;
use crate::cli;
use crate::cluster::forward::{Forward, ServicePort};
use crate::cluster::password;
use crate::cluster::values::Namespaces;
use crate::error::Error;
use crate::report::Answer;
use crate::target::Session;
use crate::viewer::{self, Settings, Theme, Viewer};

/// The user of Grafana that the stack makes.
const ADMIN: &str = "admin";

/// Draws a picture, or serves until the program is interrupted.
pub(super) async fn run(flags: &cli::Dashboard, context: &Context) -> Result<(), Error> {
    let (cluster, stack) = context.target()?;
    files::check(flags.png.as_deref())?;
    let route = Route {
        namespaces: Namespaces::default(),
        prometheus: context.config.prometheus.url.clone(),
    };
    let proxy = match (flags.grafana, route.prometheus_proxy()) {
        (_, Some(proxy)) => proxy,
        (true, None) => String::new(),
        (false, None) => return Err(out_of_reach(&route)),
    };
    let place = context.place().await?;
    let session = place
        .session(stack, context.config.output.timeout, &*context.report)
        .await?;
    if flags.grafana {
        return grafana(flags, context, &session, &route.namespaces.monitoring).await;
    }
    if flags.prometheus {
        return prometheus(flags, context, &session, &route).await;
    }
    let viewer = Viewer::new(Settings {
        cluster: session.cluster.clone(),
        proxy,
        namespace: route.namespaces.app,
        subtitle: format!("stack {stack} on {cluster}"),
        scrape_s: context.config.reaction.intervals().scrape_s,
        range: flags.range,
        zone: TimeZone::system(),
    })?;
    match &flags.png {
        Some(file) => picture(file, flags, context, &viewer).await,
        None => page(flags, context, viewer).await,
    }
}

async fn page(flags: &cli::Dashboard, context: &Context, viewer: Viewer) -> Result<(), Error> {
    let cannot =
        |error| Error::failed(Listen(flags.port, error)).hint("give another `--port`, or none for one that is free");
    let listener = viewer::listen(flags.port).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    say(context, &Served::at(address, None))?;
    viewer::serve(Arc::new(viewer), listener).await.map_err(Error::failed)
}

async fn picture(file: &Path, flags: &cli::Dashboard, context: &Context, viewer: &Viewer) -> Result<(), Error> {
    let theme = if flags.dark { Theme::Dark } else { Theme::Light };
    let bytes = viewer.picture(theme).await?;
    files::write(Some(file), &bytes)?;
    let drawn = Picture {
        png: file.display().to_string(),
        bytes: bytes.len(),
    };
    context.print(&Answer::of(&drawn).map_err(Error::failed)?).map(drop)
}

async fn grafana(flags: &cli::Dashboard, context: &Context, session: &Session, namespace: &str) -> Result<(), Error> {
    let to = ServicePort {
        namespace: namespace.to_owned(),
        name: "grafana".to_owned(),
        port: 3000,
    };
    let forward = Forward::open(&session.cluster, to, flags.port).await?;
    let password = if flags.show_password {
        password::stored(&session.cluster, namespace).await?
    } else {
        None
    };
    let secret = password::SECRET;
    let sign_in = SignIn {
        user: ADMIN,
        password_command: format!(
            "kubectl -n {namespace} get secret {secret} -o jsonpath='{{.data.password}}' | base64 -d"
        ),
        password,
    };
    say(
        context,
        &Served::at(forward.address().map_err(Error::failed)?, Some(sign_in)),
    )?;
    match forward.run(Arc::clone(&context.report)).await {}
}

async fn prometheus(flags: &cli::Dashboard, context: &Context, session: &Session, route: &Route) -> Result<(), Error> {
    let to = route.prometheus_service().ok_or_else(|| out_of_reach(route))?;
    let forward = Forward::open(&session.cluster, to, flags.port).await?;
    say(context, &Served::at(forward.address().map_err(Error::failed)?, None))?;
    match forward.run(Arc::clone(&context.report)).await {}
}

/// Tells where it is served. From here on an interrupt is the end that was wanted.
fn say(context: &Context, served: &Served) -> Result<(), Error> {
    context.serving.get_or_init(|| ());
    context.print(&Answer::of(served).map_err(Error::failed)?)?;
    context.report.note("Ctrl-C ends it");
    Ok(())
}

fn out_of_reach(route: &Route) -> Error {
    let url = route.prometheus.as_ref().map_or_else(String::new, ToString::to_string);
    Error::usage(OutOfReach(url))
        .hint("open it in a browser where it answers; `dashboard --grafana` shows the stack's Grafana")
}

/// The Prometheus of others is outside of the cluster.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the Prometheus at {0} from here: it is no Service of this cluster")]
struct OutOfReach(String);

/// The local port is taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on port `{0}` of 127.0.0.1")]
struct Listen(u16, #[source] std::io::Error);

/// Where something is served.
#[derive(Debug, Serialize)]
struct Served {
    url: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    sign_in: Option<SignIn>,
}

/// As whom to sign in.
#[derive(Debug, Serialize)]
struct SignIn {
    user: &'static str,
    /// What prints the password.
    password_command: String,
    /// The password, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl Served {
    fn at(address: std::net::SocketAddr, sign_in: Option<SignIn>) -> Self {
        let url = format!("http://{address}");
        Self { url, sign_in }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(sign_in) = &self.sign_in else {
            return f.write_str(&self.url);
        };
        writeln!(f, "url       {}", self.url)?;
        writeln!(f, "user      {}", sign_in.user)?;
        match &sign_in.password {
            Some(password) => write!(f, "password  {password}"),
            None => write!(f, "password  {}", sign_in.password_command),
        }
    }
}

/// A picture that was written.
#[derive(Debug, Serialize)]
struct Picture {
    png: String,
    bytes: usize,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.png)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_shown_where_it_was_asked_for() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let served = |password: Option<&str>| {
            let sign_in = SignIn {
                user: ADMIN,
                password_command: "kubectl get secret".to_owned(),
                password: password.map(str::to_owned),
            };
            Answer::of(&Served::at(address, Some(sign_in))).unwrap()
        };
        let plain = served(None);
        let text = plain.text(crate::config::Format::Text);
        assert_eq!(
            text,
            "url       http://127.0.0.1:4000\nuser      admin\npassword  kubectl get secret\n"
        );
        assert!(!plain.text(crate::config::Format::Json).contains("\"password\""));
        assert!(
            served(Some("s3cret"))
                .text(crate::config::Format::Text)
                .ends_with("password  s3cret\n")
        );
        let page = Answer::of(&Served::at(address, None)).unwrap();
        assert_eq!(page.text(crate::config::Format::Text), "http://127.0.0.1:4000\n");
        assert_eq!(
            page.text(crate::config::Format::Json),
            "{\"schema\":1,\"url\":\"http://127.0.0.1:4000\"}\n"
        );
    }
}
