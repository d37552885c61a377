//! `push`: the app's image, built and in the registry; its reference on stdout.

use std::fmt;

use serde::Serialize;

use super::{Context, elsewhere, files, images};
use crate::error::Error;
use crate::image::Published;
use crate::names::APP;
use crate::report::Answer;

#[derive(Serialize)]
struct Pushed(Published);

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reference)
    }
}

/// Builds and publishes the app's image.
pub(super) async fn run(context: &Context) -> Result<Answer, Error> {
    let stack = context.stack()?;
    let (config, report) = (&context.config.image, &*context.report);
    let platforms = images::check(config).await?.platforms;
    let registry = elsewhere::registry(context, None).await?;
    registry.check().await?;
    let registry = registry.read(stack, &[APP]).await?;
    report.phase("image");
    let published = if let Some(found) = elsewhere::find(config, &registry, &platforms, report).await? {
        elsewhere::publish(&found, (&registry, stack), config.tag.as_deref(), report).await?
    } else {
        let made = images::make((&registry, stack), config, &[APP], report).await?;
        images::publish(&registry, stack, config, (APP, &made), report).await?
    };
    files::write(config.refs.as_deref(), &format!("{}\n", published.reference))?;
    Answer::of(&Pushed(published)).map_err(Error::failed)
}
