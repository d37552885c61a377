//! Images of others, copied into the stack's own registry before anything is applied that names them.
//!
//! ```text
//! manifests --wanted--> Wanted: image, repository     no network; what is in the stack's registry stays where it is
//!           --look--> Mirror                          a copy that is there, else the source's manifests
//!           --publish--> blobs, and last the tag      --references--> what manifests name instead
//! ```
//!
//! What a copy is of is told by its tag, which never moves. So the registry is what remembers which digest a name stood
//! for: where it has the copy, the source is asked for nothing, whatever became of it.

mod problem;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};

use super::deploy::{self, UNRESOLVED};
use crate::cluster::authority::Authority;
use crate::cluster::{ObjectRef, images};
use crate::config::Config;
use crate::error::Error;
use crate::image::{self, Image, ImageRef, Platform, RetryPolicy};
use crate::names::{APP, LOAD, StackName};
use crate::report::{Outcome, Reporter};
use crate::target::Registry;
use problem::{Clashes, NotMirrored, Problem};

/// Images that are looked for at once: each asks two registries a few short questions.
const PARALLEL: usize = 4;

/// An image of others that manifests name; its copy goes into the repository that bears the last part of its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// As manifests write it.
    given: String,
    image: ImageRef,
    /// The first object that names it.
    by: ObjectRef,
}

/// One image and its copy.
#[derive(Debug)]
pub(super) struct Copied {
    wanted: Wanted,
    tag: String,
    /// What manifests name instead.
    pub(super) reference: String,
    /// What is sent; none where the registry has the copy.
    image: Option<Box<Image>>,
}

/// Everything that is mirrored, as it was found.
#[derive(Debug, Default)]
pub(super) struct Mirror(Vec<Copied>);

/// The images of others in the stack's manifests that are not in its registry; none unless the settings ask for them.
/// What may be an image and is left as it is, is warned of.
///
/// # Errors
/// Two would go into one repository: exit 2.
pub(super) fn wanted(
    config: &Config,
    stack: &StackName,
    registry: &Registry,
    report: &dyn Reporter,
) -> Result<Vec<Wanted>, Error> {
    let (mut named, mut unclear) = (BTreeMap::new(), BTreeMap::new());
    if config.stack.mirror {
        // Who signs certificates is not known yet, and decides which objects there are.
        for authority in [Authority::Own, Authority::CertManager] {
            let components = deploy::render_unresolved(config, stack, authority, &BTreeMap::new())?;
            let found = images::named(&components);
            named.extend(found.images);
            unclear.extend(found.unclear);
        }
    }
    for left in of_others(unclear, |_| false) {
        report.warning(&format!(
            "`{}` of {} is not copied: outside of containers and volumes only what is written in full, like `{}`, is known to be \
             an image",
            left.given, left.by, left.image
        ));
    }
    let wanted = of_others(named, |image| registry.holds(image));
    let clashes = clashes(&wanted);
    if clashes.is_empty() {
        return Ok(wanted);
    }
    Err(Error::usage(Clashes(clashes)).hint(
        "copy one of them into a repository of another name in the stack's registry yourself, and name that in the manifests: \
         what is in that registry is used where it is",
    ))
}

/// The repositories of the stack that copies go into, by what follows the stack's name.
pub(super) fn repositories(wanted: &[Wanted]) -> BTreeSet<String> {
    wanted.iter().map(|one| one.name().to_owned()).collect()
}

/// What is no reference is left to the cluster to refuse, as anywhere else.
fn of_others(named: BTreeMap<String, ObjectRef>, is_there: impl Fn(&ImageRef) -> bool) -> Vec<Wanted> {
    let others = named.into_iter().filter(|(given, _)| given != UNRESOLVED);
    let parsed = others.filter_map(|(given, by)| {
        let image = given.parse().ok()?;
        Some(Wanted { given, image, by })
    });
    parsed.filter(|wanted| !is_there(&wanted.image)).collect()
}

/// Every repository that would hold images of more than one, in words.
fn clashes(wanted: &[Wanted]) -> Vec<String> {
    let mut sources: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for one in wanted {
        let source = format!("{}/{}", one.image.host(), one.image.repository());
        sources.entry(one.name()).or_default().insert(source);
    }
    let clash = |(name, sources): (&str, BTreeSet<String>)| {
        let listed = Vec::from_iter(sources).join("`, `");
        match name {
            APP => Some(format!("`{listed}`: repository `{name}` is that of the app")),
            LOAD => Some(format!("`{listed}`: repository `{name}` is that of the loader")),
            _ if listed.contains("`, `") => Some(format!("`{listed}`: all of them would go into repository `{name}`")),
            _ => None,
        }
    };
    sources.into_iter().filter_map(clash).collect()
}

/// Looks for the copies, and where one is missing for its source, as far as its manifests. Changes nothing.
///
/// # Errors
/// Every source that does not give its image, with what to try: exit 1, or 2 where trying again would not mend any.
pub(super) async fn look(
    wanted: Vec<Wanted>,
    to: (&Registry, &StackName),
    platforms: &[Platform],
    report: &dyn Reporter,
) -> Result<Mirror, Error> {
    let all = wanted.len();
    let platforms: Vec<&str> = platforms.iter().map(|platform| platform.name()).collect();
    let looks = wanted
        .into_iter()
        .map(|one| Box::pin(look_for(one, to, &platforms, report)));
    let looked: Vec<_> = stream::iter(looks).buffered(PARALLEL).collect().await;
    let (mut copies, mut problems) = (Vec::new(), Vec::new());
    for outcome in looked {
        match outcome {
            Ok(copy) => copies.push(copy),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Mirror(copies))
    } else {
        Err(NotMirrored { all, problems }.into())
    }
}

async fn look_for(
    wanted: Wanted,
    (registry, stack): (&Registry, &StackName),
    platforms: &[&str],
    report: &dyn Reporter,
) -> Result<Copied, Problem> {
    let tag = wanted.image.mirror_tag(platforms);
    let base = registry.reference_base(stack, wanted.name());
    let here = here((registry, stack), (wanted.name(), &tag), report).await;
    let (digest, image) = match here {
        Some(digest) => (digest, None),
        None => match source(&wanted.image, registry, platforms, report).await {
            Ok(image) => (image.digest().clone(), Some(Box::new(image))),
            Err(failure) => return Err(failure.of(&wanted)),
        },
    };
    Ok(Copied {
        reference: format!("{base}@{digest}"),
        wanted,
        tag,
        image,
    })
}

/// The digest of the copy, if the registry says that it has it. Where it cannot be asked, the push will tell why.
async fn here(
    (registry, stack): (&Registry, &StackName),
    (name, tag): (&str, &str),
    report: &dyn Reporter,
) -> Option<image::Digest> {
    let looked = async {
        match registry.existing(stack, name).await? {
            Some(target) => Ok(image::tagged(&target, tag, report).await?),
            None => Ok::<_, Error>(None),
        }
    };
    looked.await.unwrap_or_else(|error| {
        report.warning(&format!("cannot look for the copy `{name}:{tag}`: {}", error.message()));
        None
    })
}

/// The source's image for these platforms.
async fn source(
    image: &ImageRef,
    registry: &Registry,
    platforms: &[&str],
    report: &dyn Reporter,
) -> Result<Image, problem::Failure> {
    let source = registry.source(image).await?;
    let found = image::find(image, &source, platforms, (RetryPolicy::default(), report)).await?;
    Ok(found.image_for(platforms, report).await?)
}

impl Wanted {
    /// The copy's repository, as it follows the stack's name.
    fn name(&self) -> &str {
        self.image.last_part()
    }
}

impl Copied {
    /// The image as it is named in full.
    pub(super) fn source(&self) -> String {
        self.wanted.image.to_string()
    }

    /// The platforms that are sent; none where the registry has the copy.
    pub(super) fn sent_for(&self) -> Option<&[String]> {
        self.image.as_ref().map(|image| image.platforms.as_slice())
    }
}

impl Mirror {
    /// All images with their copies.
    pub(super) fn copies(&self) -> &[Copied] {
        &self.0
    }

    /// What manifests name instead, by what they write.
    pub(super) fn references(&self) -> BTreeMap<String, String> {
        let pairs = self.0.iter();
        pairs
            .map(|copy| (copy.wanted.given.clone(), copy.reference.clone()))
            .collect()
    }

    /// Makes sure that the registry has every copy; what it has is not sent again.
    ///
    /// # Errors
    /// A registry refuses or does not answer: what was sent is kept, and the next run goes on with it.
    pub(super) async fn publish(
        &self,
        (registry, stack): (&Registry, &StackName),
        report: &dyn Reporter,
    ) -> Result<(), Error> {
        let mut targets = BTreeMap::new();
        for copy in &self.0 {
            let name = copy.wanted.name();
            if !targets.contains_key(name) {
                targets.insert(name, registry.target(stack, name, report).await?);
            }
            match (&copy.image, &targets[name]) {
                (None, _) => {
                    let detail = format!("copy of {}", copy.wanted.image);
                    report.done("image", &copy.reference, Outcome::Unchanged, &detail);
                }
                (Some(image), target) => {
                    image::publish(image, target, Some(&copy.tag), report).await?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
