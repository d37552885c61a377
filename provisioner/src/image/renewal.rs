//! New credentials in the middle of a push: those of ECR end after 12 hours, or when whoever gave them takes them back.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

/// User and password of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// A secret.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &"(hidden)")
            .finish()
    }
}

type Renewed = BoxFuture<'static, Result<Credentials, Box<dyn Error + Send + Sync>>>;

/// How to get new credentials, given the password that the registry no longer takes.
#[derive(Clone)]
pub struct Renewal(Arc<dyn Fn(String) -> Renewed + Send + Sync>);

impl Renewal {
    /// From a function; it is asked at most once per refused password.
    pub fn new(renew: impl Fn(String) -> Renewed + Send + Sync + 'static) -> Self {
        Self(Arc::new(renew))
    }

    pub(super) async fn renew(&self, refused: String) -> Result<Credentials, Box<dyn Error + Send + Sync>> {
        (self.0)(refused).await
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

/// The same function, not one that does the same.
impl PartialEq for Renewal {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Renewal {}
