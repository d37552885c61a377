//! `push`: the app's image, built and in the registry; its reference on stdout.

use std::fmt;

use serde::Serialize;

use super::{Context, files, images, made};
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
    let platforms = images::check(config).await?;
    let registry = context.registry(None).await?;
    registry.check().await?;
    report.phase("image");
    let published = if let Some(made) = made::find(config, &registry, &platforms, report).await? {
        made::publish(&made, (&registry, stack), config.tag.as_deref(), report).await?
    } else {
        let binaries = images::build(config, report).await?;
        images::publish(&registry, stack, config, (APP, &binaries), report).await?
    };
    files::write(config.refs.as_deref(), &images::refs(&[&published]))?;
    Answer::of(&Pushed(published)).map_err(Error::failed)
}
