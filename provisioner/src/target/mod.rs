//! Where a stack lives: the connection to AWS, and the cluster that the use cases work on.

mod eks;
mod session;

pub use eks::{endpoint, existing, is_usable, provision};
pub(crate) use eks::{missing, not_usable};
pub use session::{Session, connect};

use crate::aws::{Aws, Options};
use crate::config::Config;
use crate::error::Error;

/// Connects to AWS as the settings say; asks only who the credentials belong to.
///
/// # Errors
/// Missing or refused credentials or no region: exit 2.
pub async fn connect_aws(config: &Config) -> Result<Aws, Error> {
    let options = Options {
        region: config.target.region.clone(),
        profile: config.target.profile.clone(),
        poll: config.output.poll_interval,
        timeout: config.output.timeout,
    };
    Ok(Aws::connect(&options).await?)
}
