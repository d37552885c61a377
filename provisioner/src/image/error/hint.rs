//! What to try where a registry refuses or does not answer.

use super::ImageError;
use crate::image::answer::RegistryError;
use crate::image::import::Defect;

impl ImageError {
    /// What to try where an image of `host`, which others publish, cannot be had; none where the message says it all.
    pub fn way_on(&self, host: &str) -> Option<String> {
        let way = match (self, self.status()) {
            (
                Self::Import {
                    source: Defect::Platform { .. },
                    ..
                },
                _,
            ) => "name a tag that is for it, or leave the component out with `--without`".to_owned(),
            (_, Some(401 | 403)) => format!(
                "check the name, since registries answer so too where there is no such image; where it is private, sign in \
                 with `docker login {host}`"
            ),
            (_, Some(404)) => format!("check repository and tag: `{host}` has no such image"),
            (_, Some(429)) => format!(
                "`{host}` limits how much is asked of it: sign in with `docker login {host}`, which raises the limit, or try again later"
            ),
            _ if self.refusal().is_some_and(RegistryError::is_unanswered) => {
                format!("`{host}` does not answer: check the name, the network and `HTTPS_PROXY`")
            }
            _ => return self.hint(),
        };
        Some(way)
    }
}

pub(super) fn of_registry(error: &RegistryError, reads: bool) -> Option<String> {
    let hint = match error.status() {
        Some(401) => {
            "the registry does not accept the credentials: ECR's are valid for 12 hours and in their own region only"
        }
        Some(403) if reads => {
            "the credentials may not read there: ECR needs `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` on the repository, and the repository's own policy has to allow another account"
        }
        Some(403) => {
            "the credentials may not push there: ECR needs `ecr:BatchCheckLayerAvailability`, `ecr:BatchGetImage`, `ecr:InitiateLayerUpload`, `ecr:UploadLayerPart`, `ecr:CompleteLayerUpload` and `ecr:PutImage` on the repository"
        }
        Some(404) => "the repository does not exist in that registry",
        Some(413) => "the registry or a proxy before it limits the size of an upload",
        Some(429) => "the registry throttles: try again in a minute",
        Some(500..) => "the registry fails: what was uploaded is kept, so run it again",
        None if error.is_unanswered() => {
            "the registry does not answer: check the address, the network and `HTTPS_PROXY`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
