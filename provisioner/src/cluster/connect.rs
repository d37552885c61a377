//! The client of a cluster, and which kinds the cluster knows.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::api::ListParams;
use kube::client::{Body, ClientBuilder};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{ApiResource, Discovery, Scope};
use kube::{Api, Client, Config};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tower::util::MapRequestLayer;

use super::error::{ClusterError, Failure, chain};
use super::object::ObjectRef;
use super::retry;

/// Where a cluster answers and how it proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// URL of the API server, https.
    pub server: String,
    /// The certificate authority, PEM.
    pub ca_pem: Vec<u8>,
}

/// A cluster that answered: client and known kinds. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    discovery: Arc<Mutex<Option<Arc<Discovery>>>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects with a bearer token that the caller keeps fresh by writing to `token`.
    ///
    /// A new endpoint's name may not resolve yet, and a new access entry may not be known yet: no answer, 401 and 403
    /// are retried until `timeout`, then the last one is the error.
    pub async fn connect(
        endpoint: &Endpoint,
        token: Arc<RwLock<String>>,
        timeout: Duration,
    ) -> Result<Self, ClusterError> {
        let invalid = |message: String| ClusterError::Endpoint {
            server: endpoint.server.clone(),
            message,
        };
        let uri = endpoint.server.parse().map_err(|e| invalid(chain(&e)))?;
        let mut config = tuned(Config::new(uri));
        let certificates = pem::parse_many(&endpoint.ca_pem).map_err(|e| invalid(chain(&e)))?;
        // kube wants DER.
        config.root_cert = Some(certificates.into_iter().map(pem::Pem::into_contents).collect());
        let client = ClientBuilder::try_from(config)
            .map_err(|e| invalid(chain(&e)))?
            .with_layer(&MapRequestLayer::new(move |request| bearer(request, &token)))
            .build();
        let cluster = Self::from_client(client);
        cluster.answers(&endpoint.server, timeout, true).await?;
        Ok(cluster)
    }

    /// Connects as a kubeconfig says: with client certificates, tokens or an exec plugin, which the client runs again
    /// when its token ends. The plugin may take as long as `plugin`, then the server as long as `timeout`.
    pub async fn from_config(config: Config, plugin: Duration, timeout: Duration) -> Result<Self, ClusterError> {
        let server = config.cluster_url.to_string();
        let invalid = |message| ClusterError::Endpoint {
            server: server.clone(),
            message,
        };
        // It runs the plugin and waits for its end.
        let made = tokio::task::spawn_blocking(move || Client::try_from(tuned(config)));
        let made = tokio::time::timeout(plugin, made)
            .await
            .map_err(|_| ClusterError::Plugin {
                server: server.clone(),
                waited: plugin,
            })?;
        let client = made.map_err(|e| invalid(chain(&e)))?.map_err(|e| invalid(chain(&e)))?;
        let cluster = Self::from_client(client);
        cluster.answers(&server, timeout, false).await?;
        Ok(cluster)
    }

    /// Over a client that is connected already.
    pub fn from_client(client: Client) -> Self {
        Self {
            client,
            discovery: Arc::default(),
        }
    }

    /// The client, for callers with needs of their own.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits until the server answers a request that needs both authentication and rights. Where access `spreads`, 401
    /// and 403 may come right.
    async fn answers(&self, server: &str, timeout: Duration, spreads: bool) -> Result<(), ClusterError> {
        let give_up = Instant::now() + timeout;
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client());
        let one = ListParams::default().limit(1);
        loop {
            let Err(failure) = retry::once(namespaces.list(&one)).await else {
                return Ok(());
            };
            let lag = spreads && matches!(failure.code, Some(401 | 403));
            if Instant::now() >= give_up || !(lag || failure.transient) {
                let object = format!("cluster `{server}`");
                return Err(ClusterError::request("reach", object, failure));
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// The kinds that the server knows. One broken aggregated API does not hide the others: its group is empty.
    pub(super) async fn discovery(&self) -> Result<Arc<Discovery>, ClusterError> {
        let mut known = self.discovery.lock().await;
        if let Some(discovery) = known.as_ref() {
            return Ok(Arc::clone(discovery));
        }
        let discovery = retry::call(|| Discovery::new(self.client()).run_aggregated())
            .await
            .map_err(|f| ClusterError::request("list", "the kinds of the cluster", f))?;
        Ok(Arc::clone(known.insert(Arc::new(discovery))))
    }

    /// Forgets the known kinds, after definitions were added.
    pub(super) async fn forget_kinds(&self) {
        self.discovery.lock().await.take();
    }

    /// How objects of a kind are addressed; none where the server does not know it.
    pub(super) async fn resolve(&self, kind: &GroupVersionKind) -> Result<Option<(ApiResource, bool)>, ClusterError> {
        let found = self.discovery().await?.resolve_gvk(kind);
        Ok(found.map(|(resource, can)| (resource, can.scope == Scope::Namespaced)))
    }

    /// How objects of a kind are addressed in the version that the server prefers; `Deployment.apps`, `Secret`.
    pub(super) async fn kind_of_group(&self, group_kind: &str) -> Result<Option<(ApiResource, bool)>, ClusterError> {
        let (kind, group) = group_kind.split_once('.').unwrap_or((group_kind, ""));
        let discovery = self.discovery().await?;
        let kinds = discovery
            .get(group)
            .map(kube::discovery::ApiGroup::resources_by_stability);
        let found = kinds.into_iter().flatten().find(|(resource, _)| resource.kind == kind);
        Ok(found.map(|(resource, can)| (resource, can.scope == Scope::Namespaced)))
    }

    /// The API of an object, or an error that names its kind.
    pub(super) async fn api_of(&self, object: &ObjectRef) -> Result<Api<DynamicObject>, ClusterError> {
        match self.resolve(&object.gvk()).await? {
            Some((resource, namespaced)) => Ok(self.api(&resource, object.namespace.as_deref().filter(|_| namespaced))),
            None => Err(ClusterError::UnknownKinds(vec![format!(
                "{object} ({})",
                object.api_version
            )])),
        }
    }

    pub(super) fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client(), namespace, resource),
            None => Api::all_with(self.client(), resource),
        }
    }

    /// The live object, none where it or its kind is absent.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<DynamicObject>, ClusterError> {
        let Some((resource, namespaced)) = self.resolve(&object.gvk()).await? else {
            return Ok(None);
        };
        let api = self.api(&resource, object.namespace.as_deref().filter(|_| namespaced));
        retry::found(retry::call(|| api.get(&object.name)).await).map_err(|f| ClusterError::on("read", object, f))
    }

    /// GET of a path that answers JSON, once, without retries: for polls that go on anyway.
    pub(crate) async fn get_json(&self, path: &str) -> Result<serde_json::Value, Failure> {
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|e| Failure::local(chain(&e), false))?;
        retry::once(self.client.request(request)).await
    }

    /// Asks once, for JSON, and takes no longer than `within` for the answer.
    pub(crate) async fn ask(
        &self,
        request: Result<Request<Vec<u8>>, http::Error>,
        within: Duration,
    ) -> Result<serde_json::Value, Failure> {
        let request = request.map_err(|e| Failure::local(chain(&e), false))?;
        retry::once_within(within, self.client.request(request)).await
    }

    /// The same for text, whatever it is.
    pub(crate) async fn ask_text(
        &self,
        request: Result<Request<Vec<u8>>, http::Error>,
        within: Duration,
    ) -> Result<String, Failure> {
        let request = request.map_err(|e| Failure::local(chain(&e), false))?;
        retry::once_within(within, self.client.request_text(request)).await
    }
}

/// kube's own retries have no bound that fits a command; ours are in [`retry`].
fn tuned(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config
}

fn bearer(mut request: Request<Body>, token: &RwLock<String>) -> Request<Body> {
    let text = match token.read() {
        Ok(token) => format!("Bearer {token}"),
        Err(poisoned) => format!("Bearer {}", poisoned.get_ref()),
    };
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    request
}
