//! `plan`: what a bootstrap would do, as one diff over AWS, images and Kubernetes. Nothing is changed, built or asked.

mod copies;
mod image;
mod objects;
mod preview;

use super::bootstrap::{self, Looked};
use super::{Context, deploy};
use crate::error::{Error, Exit};
use crate::report::Answer;
use image::ImagePlan;
use objects::ObjectPlan;
use preview::Preview;

/// Looks at everything that a bootstrap looks at, and says what would follow.
///
/// # Errors
/// Whatever a bootstrap would refuse before it changes anything: exit 2. Fields that others changed are no error here:
/// they are told beside their values.
pub(super) async fn run(context: &Context) -> Result<(Answer, Exit), Error> {
    let looked = Box::pin(bootstrap::look(context)).await?;
    let session = Box::pin(bootstrap::reach(context, &looked)).await?;
    let image = Box::pin(ImagePlan::of(context, &looked)).await?;

    context.report.phase("plan");
    let Looked { plan, wanted, .. } = &looked;
    let (objects, conflicts) = match &session {
        None => (objects::unasked(wanted), Vec::new()),
        Some(session) => {
            let load = looked.makes_load(context).then_some(image.reference.as_str());
            let mirrored = looked.mirror.references();
            let images = deploy::Images {
                app: &image.reference,
                load,
                mirrored: &mirrored,
            };
            let (planned, conflicts) = Box::pin(deploy::plan(context, &session.cluster, &plan.stack, images)).await?;
            (planned.iter().map(ObjectPlan::of).collect(), conflicts)
        }
    };
    let preview = Preview::new(context, looked, image, (objects, conflicts));
    let exit = if preview.changes { Exit::Changes } else { Exit::Done };
    Ok((Answer::of(&preview).map_err(Error::failed)?, exit))
}
