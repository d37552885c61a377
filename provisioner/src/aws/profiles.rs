//! The profiles of the shared AWS files: a misspelled one is told as such, not as a missing region.

use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::AwsError;

/// Refuses a profile that the shared files do not have, where they can be read.
///
/// # Errors
/// [`AwsError::UnknownProfile`] with those that there are.
pub(super) async fn check(name: &str) -> Result<(), AwsError> {
    let files = EnvConfigFiles::default();
    let Ok(all) = aws_config::profile::load(&Fs::real(), &Env::real(), &files, None).await else {
        // What is wrong with the files, the SDK says where it needs them.
        return Ok(());
    };
    if all.get_profile(name).is_some() {
        return Ok(());
    }
    let mut known: Vec<String> = all.profiles().map(str::to_owned).collect();
    known.sort();
    let name = name.to_owned();
    Err(AwsError::UnknownProfile { name, known })
}

/// The profile that the environment names.
pub(super) fn of_environment() -> Option<String> {
    std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty())
}
