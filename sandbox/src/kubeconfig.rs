//! Kubeconfig files of the components, the administrator and the token webhook.

use crate::error::Error;
use crate::state::{API_PORT, AUTHENTICATOR_PORT, Dirs, KUBERNETES_FRONT_PORT, NODE_IP, write};

/// Clients of the API server: the kubeconfig's name and the certificate it uses.
const CLIENTS: [(&str, &str); 5] = [
    ("admin", "admin"),
    ("controller-manager", "controller-manager"),
    ("scheduler", "scheduler"),
    ("kubelet", "node"),
    ("kube-proxy", "kube-proxy"),
];

/// The API server's own address, for the cluster's programs, pods and the administrator.
pub(crate) fn server() -> String {
    format!("https://{NODE_IP}:{API_PORT}")
}

/// Its address behind the front, for clients that come by the way of AWS.
pub(crate) fn front_server() -> String {
    format!("https://{NODE_IP}:{KUBERNETES_FRONT_PORT}")
}

/// Writes all of them.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    let pki = dirs.text("pki");
    for (name, certificate) in CLIENTS {
        let user = format!("{{client-certificate: {pki}/{certificate}.crt, client-key: {pki}/{certificate}.key}}");
        let text = render(&server(), &format!("{pki}/ca.crt"), &user);
        write(&dirs.at(&format!("{name}.kubeconfig")), text, true)?;
    }
    let webhook = format!("https://127.0.0.1:{AUTHENTICATOR_PORT}/authenticate");
    write(
        &dirs.at("webhook.kubeconfig"),
        render(&webhook, &format!("{pki}/ca.crt"), "{}"),
        true,
    )
}

fn render(server: &str, ca: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{name: sandbox, cluster: {{server: \"{server}\", certificate-authority: {ca}}}}}]\n\
         users: [{{name: sandbox, user: {user}}}]\n\
         contexts: [{{name: sandbox, context: {{cluster: sandbox, user: sandbox}}}}]\n\
         current-context: sandbox\n"
    )
}
