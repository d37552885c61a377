//! The programs outside the node and those in it: command lines, environment, readiness.

use crate::error::Error;
use crate::kubeconfig::front_server;
use crate::network;
use crate::node::{self, inside};
use crate::process::{Ready, Service};
use crate::state::{
    API_PORT, AUTHENTICATOR_PORT, AWS_INNER_PORT, AWS_PORT, CONTROLLER_MANAGER_PORT, Dirs, ETCD_PEER_PORT, ETCD_PORT,
    KUBECTL_CACHE, KUBELET_HEALTH_PORT, NODE_IP, PROXY_HEALTH_PORT, REGION, REGISTRY_FRONT_PORT, REGISTRY_PASSWORD,
    REGISTRY_PORT, REGISTRY_USER, SCHEDULER_PORT, create_dir, write,
};

fn service(dirs: &Dirs, name: &'static str, program: &str, args: &[String], ready: Ready) -> Service {
    Service {
        name,
        program: dirs.program(program),
        args: args.to_vec(),
        env: None,
        ready,
    }
}

fn flags(lines: &str) -> Vec<String> {
    lines
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The image registry, with basic auth as ECR has it.
pub(crate) fn registry(dirs: &Dirs) -> Result<Service, Error> {
    let storage = dirs.at("registry");
    create_dir(&storage)?;
    let config = format!(
        "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}\n\
         http: {{addr: \"127.0.0.1:{REGISTRY_PORT}\", secret: sandbox}}\n\
         auth: {{htpasswd: {{realm: sandbox, path: {passwords}}}}}\n",
        root = storage.display(),
        passwords = dirs.text("htpasswd"),
    );
    write(&dirs.at("registry.yaml"), config, false)?;
    let args = vec!["serve".to_owned(), dirs.text("registry.yaml")];
    Ok(service(
        dirs,
        "registry",
        "registry",
        &args,
        Ready::Port("127.0.0.1", REGISTRY_PORT),
    ))
}

/// The AWS endpoint; when an EKS cluster is deleted there, it calls this program to wipe the real one.
pub(crate) fn aws(dirs: &Dirs) -> Result<Service, Error> {
    let own = std::env::current_exe().map_err(|e| Error::cannot("find", "this program", e))?;
    let call = format!("SANDBOX_DIR='{}' '{}'", dirs.state.display(), own.display());
    let args = flags(&format!(
        "{server}\n--port\n{AWS_INNER_PORT}\n--state\n{state}\n--kube-endpoint\n{kube}\n--kube-ca\n{ca}\n\
         --registry\nhttp://127.0.0.1:{REGISTRY_PORT}\n--proxy-endpoint\nhttp://127.0.0.1:{REGISTRY_FRONT_PORT}\n\
         --registry-password\n{REGISTRY_PASSWORD}\n--wipe-command\n{call} wipe\n--nodes-command\n{call} node",
        server = dirs.source.join("aws/server.py").display(),
        state = dirs.text("aws"),
        kube = front_server(),
        ca = dirs.text("pki/ca.crt"),
    ));
    create_dir(&dirs.at("aws"))?;
    Ok(service(
        dirs,
        "aws",
        "venv/bin/python",
        &args,
        Ready::Port("127.0.0.1", AWS_INNER_PORT),
    ))
}

/// What clients talk to: it counts, holds and fails their calls and passes them on; this program itself.
pub(crate) fn front(dirs: &Dirs) -> Result<Service, Error> {
    let program = std::env::current_exe().map_err(|e| Error::cannot("find", "this program", e))?;
    let caches = dirs.cache.parent().unwrap_or(&dirs.cache);
    let env = [("SANDBOX_DIR", &*dirs.state), ("XDG_CACHE_HOME", caches)];
    Ok(Service {
        name: "front",
        program,
        args: vec!["front".to_owned()],
        env: Some(
            env.map(|(name, path)| (name.to_owned(), path.display().to_string()))
                .to_vec(),
        ),
        ready: Ready::Port("127.0.0.1", AWS_PORT),
    })
}

/// The real aws-iam-authenticator; it reaches "STS" through the AWS endpoint and knows one cluster id.
pub(crate) fn authenticator(dirs: &Dirs) -> Result<Service, Error> {
    let state = dirs.at("authenticator");
    for (from, to) in [("crt", "cert.pem"), ("key", "key.pem")] {
        let source = dirs.at(&format!("pki/authenticator.{from}"));
        let pem = std::fs::read(&source).map_err(|e| Error::cannot("read", source.display(), e))?;
        write(&state.join(to), pem, true)?;
    }
    let config = format!("server: {{dynamicfilepath: {}}}\n", dirs.text("aws/access.json"));
    write(&dirs.at("authenticator.yaml"), config, false)?;
    let args = flags(&format!(
        "server\n--cluster-id\n{}\n--config\n{}\n--address\n127.0.0.1\n--port\n{AUTHENTICATOR_PORT}\n--state-dir\n{}\n\
         --kubeconfig-pregenerated=true\n--backend-mode\nDynamicFile",
        dirs.cluster,
        dirs.text("authenticator.yaml"),
        state.display(),
    ));
    let ready = Ready::Port("127.0.0.1", AUTHENTICATOR_PORT);
    let mut service = service(dirs, "authenticator", "aws-iam-authenticator", &args, ready);
    let env = [
        ("HTTPS_PROXY", format!("http://127.0.0.1:{AWS_INNER_PORT}")),
        ("SSL_CERT_FILE", dirs.text("aws/aws-ca.pem")),
        ("SSL_CERT_DIR", "/nonexistent".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("PATH", "/usr/bin:/bin".to_owned()),
    ];
    service.env = Some(env.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    Ok(service)
}

/// The store; a sandbox is thrown away, so nothing is synced to disk.
pub(crate) fn etcd(dirs: &Dirs) -> Service {
    let args = flags(&format!(
        "--data-dir={}
         --listen-client-urls=http://127.0.0.1:{ETCD_PORT}
         --advertise-client-urls=http://127.0.0.1:{ETCD_PORT}
         --listen-peer-urls=http://127.0.0.1:{ETCD_PEER_PORT}
         --initial-advertise-peer-urls=http://127.0.0.1:{ETCD_PEER_PORT}
         --initial-cluster=default=http://127.0.0.1:{ETCD_PEER_PORT}
         --log-level=warn
         --unsafe-no-fsync",
        dirs.text("etcd"),
    ));
    service(dirs, "etcd", "etcd", &args, Ready::Port("127.0.0.1", ETCD_PORT))
}

/// The API server: aggregation for the custom metrics API, EKS tokens by webhook.
pub(crate) fn api_server(dirs: &Dirs) -> Service {
    let pki = dirs.text("pki");
    let args = flags(&format!(
        "--etcd-servers=http://127.0.0.1:{ETCD_PORT}
         --bind-address={NODE_IP}
         --advertise-address={NODE_IP}
         --secure-port={API_PORT}
         --tls-cert-file={pki}/apiserver.crt
         --tls-private-key-file={pki}/apiserver.key
         --client-ca-file={pki}/ca.crt
         --service-cluster-ip-range=10.96.0.0/16
         --service-account-issuer=https://kubernetes.default.svc
         --service-account-key-file={pki}/sa.key
         --service-account-signing-key-file={pki}/sa.key
         --authorization-mode=Node,RBAC
         --enable-admission-plugins=NodeRestriction
         --kubelet-client-certificate={pki}/kubelet-client.crt
         --kubelet-client-key={pki}/kubelet-client.key
         --kubelet-certificate-authority={pki}/ca.crt
         --kubelet-preferred-address-types=InternalIP
         --requestheader-client-ca-file={pki}/ca.crt
         --requestheader-allowed-names=front-proxy-client
         --requestheader-extra-headers-prefix=X-Remote-Extra-
         --requestheader-group-headers=X-Remote-Group
         --requestheader-username-headers=X-Remote-User
         --proxy-client-cert-file={pki}/front-proxy.crt
         --proxy-client-key-file={pki}/front-proxy.key
         --enable-aggregator-routing=true
         --authentication-token-webhook-config-file={webhook}
         --authentication-token-webhook-cache-ttl=5s",
        webhook = dirs.text("webhook.kubeconfig"),
    ));
    let ready = asked(dirs, "/readyz");
    service(dirs, "kube-apiserver", "kube-apiserver", &args, ready)
}

/// The API server as it is once it reads from its store again: `/readyz` may tell for a while what it last knew of the store,
/// a single object without a resource version is read from there (<https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>).
pub(crate) fn api_server_reads(dirs: &Dirs) -> Service {
    Service {
        ready: asked(dirs, "/api/v1/namespaces/kube-system"),
        ..api_server(dirs)
    }
}

/// The API server answers a request of the administrator.
fn asked(dirs: &Dirs, path: &str) -> Ready {
    let probe = [
        "--kubeconfig",
        &dirs.kubeconfig().display().to_string(),
        "--cache-dir",
        &dirs.text(KUBECTL_CACHE),
        "--request-timeout=5s",
        "get",
        "--raw",
        path,
    ];
    Ready::Succeeds(dirs.program("kubectl"), probe.iter().map(ToString::to_string).collect())
}

/// The controllers; the HPA among them with its default sync period of 15 s.
pub(crate) fn controller_manager(dirs: &Dirs) -> Service {
    let pki = dirs.text("pki");
    let kubeconfig = dirs.text("controller-manager.kubeconfig");
    let args = flags(&format!(
        "--kubeconfig={kubeconfig}
         --authentication-kubeconfig={kubeconfig}
         --authorization-kubeconfig={kubeconfig}
         --service-account-private-key-file={pki}/sa.key
         --root-ca-file={pki}/ca.crt
         --cluster-signing-cert-file={pki}/ca.crt
         --cluster-signing-key-file={pki}/ca.key
         --tls-cert-file={pki}/controller-manager-serving.crt
         --tls-private-key-file={pki}/controller-manager-serving.key
         --use-service-account-credentials=true
         --cluster-cidr=10.244.0.0/16
         --allocate-node-cidrs=true
         --leader-elect=false
         --flex-volume-plugin-dir={plugins}
         --bind-address=127.0.0.1",
        plugins = dirs.text("kubelet-plugins"),
    ));
    let ready = Ready::Port("127.0.0.1", CONTROLLER_MANAGER_PORT);
    service(dirs, "kube-controller-manager", "kube-controller-manager", &args, ready)
}

/// The scheduler.
pub(crate) fn scheduler(dirs: &Dirs) -> Service {
    let pki = dirs.text("pki");
    let kubeconfig = dirs.text("scheduler.kubeconfig");
    let args = flags(&format!(
        "--kubeconfig={kubeconfig}
         --authentication-kubeconfig={kubeconfig}
         --authorization-kubeconfig={kubeconfig}
         --tls-cert-file={pki}/controller-manager-serving.crt
         --tls-private-key-file={pki}/controller-manager-serving.key
         --leader-elect=false
         --bind-address=127.0.0.1",
    ));
    service(
        dirs,
        "kube-scheduler",
        "kube-scheduler",
        &args,
        Ready::Port("127.0.0.1", SCHEDULER_PORT),
    )
}

/// containerd, in the node.
pub(crate) fn containerd(dirs: &Dirs) -> Result<Service, Error> {
    let args = vec!["--config".to_owned(), dirs.text("containerd/config.toml")];
    let (program, args) = inside(dirs, "/usr/bin/containerd".as_ref(), args)?;
    let socket = dirs.text("containerd/containerd.sock");
    let probe = ["--timeout", "5s", "--address", &socket, "version"]
        .map(str::to_owned)
        .to_vec();
    Ok(Service {
        name: "containerd",
        program,
        args,
        env: None,
        ready: Ready::Succeeds("/usr/bin/ctr".into(), probe),
    })
}

/// The kubelet, in the node.
pub(crate) fn kubelet(dirs: &Dirs) -> Result<Service, Error> {
    let args = flags(&format!(
        "--config={}
         --kubeconfig={}
         --hostname-override=sandbox
         --node-ip={NODE_IP}
         --root-dir={}",
        dirs.text("kubelet.yaml"),
        dirs.text("kubelet.kubeconfig"),
        dirs.text("kubelet"),
    ));
    let (program, args) = inside(dirs, &dirs.program("kubelet"), args)?;
    Ok(Service {
        name: "kubelet",
        program,
        args,
        env: None,
        ready: Ready::Port("127.0.0.1", KUBELET_HEALTH_PORT),
    })
}

/// kube-proxy in nftables mode.
pub(crate) fn kube_proxy(dirs: &Dirs) -> Service {
    let args = vec![format!("--config={}", dirs.text("kube-proxy.yaml"))];
    service(
        dirs,
        "kube-proxy",
        "kube-proxy",
        &args,
        Ready::Port("127.0.0.1", PROXY_HEALTH_PORT),
    )
}

/// Everything that has to be written before the first program starts.
pub(crate) fn configure(dirs: &Dirs) -> Result<(), Error> {
    crate::pki::ensure(dirs)?;
    crate::kubeconfig::ensure(dirs)?;
    node::configure(dirs)?;
    network::ensure(dirs)?;
    crate::sysctl::ensure(dirs)?;
    write(&dirs.at("htpasswd"), password_line()?, true)
}

/// The registry reads bcrypt only.
fn password_line() -> Result<String, Error> {
    crate::command::run("htpasswd", &["-nbB", REGISTRY_USER, REGISTRY_PASSWORD])
}
