//! What becomes of the app's image: told from the registry and from what it would be built from, without a build.

use std::fmt;

use serde::Serialize;

use super::super::bootstrap::Looked;
use super::super::{Context, elsewhere, images};
use crate::cluster::diff::KNOWN_AFTER_BUILD;
use crate::error::Error;
use crate::image::{self, Image, ImageError, Platform, Source, Standing};
use crate::names::APP;

/// Stands for a digest that only a build tells: no content has it.
pub(super) const UNBUILT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// What is done with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImageAction {
    /// It is built, then pushed.
    Build,
    /// It is here, and pushed.
    Push,
    /// The registry has it, and gets another tag for it.
    Tag,
    /// The registry has it.
    Reuse,
    /// It is used where it is.
    Use,
}

/// The image and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ImagePlan {
    pub(super) action: ImageAction,
    /// What would be deployed; with [`UNBUILT`] where only a build tells.
    #[serde(serialize_with = "told")]
    pub(super) reference: String,
    /// The tag that it gets; none where that follows from what is built.
    tag: Option<String>,
    platforms: Vec<String>,
}

impl ImagePlan {
    /// # Errors
    /// Its tag is taken, or what was given is no image: exit 2, as a bootstrap would.
    pub(super) async fn of(context: &Context, looked: &Looked) -> Result<Self, Error> {
        let (config, report) = (&context.config.image, &*context.report);
        match &looked.elsewhere {
            Some(elsewhere::Found::InPlace(published)) => {
                return Ok(Self {
                    action: ImageAction::Use,
                    reference: published.reference.clone(),
                    tag: Some(published.tag.clone()).filter(|tag| !tag.is_empty()),
                    platforms: published.platforms.clone(),
                });
            }
            Some(elsewhere::Found::Local(image) | elsewhere::Found::Copied { image, .. }) => {
                return Self::known(context, looked, (image, ImageAction::Push)).await;
            }
            None => {}
        }
        let spec = images::spec(config, APP);
        if matches!(spec.source, Source::Binaries(_)) {
            let binaries = image::build(&spec, report).await?;
            let image = image::assemble(&spec, &binaries)?;
            return Self::known(context, looked, (&image, ImageAction::Push)).await;
        }
        let inputs = image::inputs(&spec).await?.filter(|_| !config.rebuild);
        if let Some(inputs) = &inputs {
            let what = (APP, &spec, inputs);
            if let Some(image) = images::find(&looked.registry, &looked.plan.stack, what, report).await {
                return Self::known(context, looked, (&image, ImageAction::Tag)).await;
            }
        }
        let platforms = looked.images.platforms.iter().map(Platform::to_string).collect();
        Ok(Self {
            tag: config.tag.clone(),
            ..Self::to_build(reference(looked, UNBUILT), platforms)
        })
    }

    pub(super) fn to_build(reference: String, platforms: Vec<String>) -> Self {
        Self {
            action: ImageAction::Build,
            reference,
            tag: None,
            platforms,
        }
    }

    /// An image whose digest is known, and what is done where the registry does not have it under its tag.
    async fn known(
        context: &Context,
        looked: &Looked,
        (image, otherwise): (&Image, ImageAction),
    ) -> Result<Self, Error> {
        let (tag, report) = (context.config.image.tag.as_deref(), &*context.report);
        let standing = match looked.registry.existing(&looked.plan.stack, APP).await? {
            None => Standing::Absent,
            Some(target) => match image::standing(image, &target, tag, report).await {
                Ok(standing) => standing,
                Err(error @ (ImageError::TagTaken { .. } | ImageError::Tag { .. })) => {
                    return Err(Error::from(error).before_any_change());
                }
                // Some registries do not even tell that a repository is still to be made.
                Err(error) => {
                    let error = Error::from(error);
                    report.warning(&format!("cannot look for the image: {}", error.message()));
                    Standing::Absent
                }
            },
        };
        Ok(Self {
            action: if standing == Standing::Same {
                ImageAction::Reuse
            } else {
                otherwise
            },
            reference: reference(looked, image.digest().as_str()),
            tag: Some(tag.map_or_else(|| image.default_tag(), str::to_owned)),
            platforms: image.platforms.clone(),
        })
    }

    /// Whether anything is built or sent.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self.action, ImageAction::Reuse | ImageAction::Use)
    }
}

impl ImageAction {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Push => "push",
            Self::Tag => "tag",
            Self::Reuse => "reuse",
            Self::Use => "use",
        }
    }
}

fn reference(looked: &Looked, digest: &str) -> String {
    let base = looked.registry.reference_base(&looked.plan.stack, APP);
    format!("{base}@{digest}")
}

/// The reference as people read it.
fn shown(reference: &str) -> String {
    reference.replace(UNBUILT, KNOWN_AFTER_BUILD)
}

fn told<S: serde::Serializer>(reference: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(reference))
}

impl fmt::Display for ImagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.tag.as_ref().map(|tag| format!(", tag {tag}")).unwrap_or_default();
        let platforms = self.platforms.join(" and ");
        write!(f, "image `{}` for {platforms}{tag}", shown(&self.reference))
    }
}

#[cfg(test)]
impl ImagePlan {
    pub(super) fn in_place(reference: String) -> Self {
        Self {
            action: ImageAction::Use,
            ..Self::to_build(reference, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_only_a_build_tells_is_never_shown() {
        let plan = ImagePlan {
            tag: Some("v1".to_owned()),
            ..ImagePlan::to_build(format!("r/web-app@{UNBUILT}"), vec!["linux/amd64".to_owned()])
        };
        insta::assert_snapshot!(plan, @"image `r/web-app@(known after build)` for linux/amd64, tag v1");
        let json = serde_json::to_string(&plan).expect("JSON");
        assert!(!json.contains("0000") && json.contains("(known after build)"), "{json}");
    }
}
