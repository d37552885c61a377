//! The cluster's certificate authority and everything that it signs.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use crate::command::run;
use crate::error::Error;
use crate::state::{Dirs, NODE_IP, write};

/// A certificate to sign: file name, organisation, common name, names and addresses.
struct Leaf {
    file: &'static str,
    group: Option<&'static str>,
    user: &'static str,
    names: &'static [&'static str],
}

const LEAVES: [Leaf; 11] = [
    Leaf {
        file: "apiserver",
        group: None,
        user: "kube-apiserver",
        names: &[
            "127.0.0.1",
            "10.96.0.1",
            NODE_IP,
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
    },
    Leaf {
        file: "front",
        group: None,
        user: "front",
        names: &["127.0.0.1", NODE_IP, "localhost"],
    },
    Leaf {
        file: "admin",
        group: Some("system:masters"),
        user: "sandbox-admin",
        names: &[],
    },
    Leaf {
        file: "controller-manager",
        group: None,
        user: "system:kube-controller-manager",
        names: &[],
    },
    Leaf {
        file: "scheduler",
        group: None,
        user: "system:kube-scheduler",
        names: &[],
    },
    Leaf {
        file: "node",
        group: Some("system:nodes"),
        user: "system:node:sandbox",
        names: &["127.0.0.1", NODE_IP, "sandbox"],
    },
    Leaf {
        file: "kube-proxy",
        group: None,
        user: "system:kube-proxy",
        names: &[],
    },
    Leaf {
        file: "kubelet-client",
        group: Some("system:masters"),
        user: "kube-apiserver-kubelet-client",
        names: &[],
    },
    Leaf {
        file: "front-proxy",
        group: None,
        user: "front-proxy-client",
        names: &[],
    },
    Leaf {
        file: "controller-manager-serving",
        group: None,
        user: "controller-manager",
        names: &["127.0.0.1"],
    },
    Leaf {
        file: "authenticator",
        group: None,
        user: "authenticator",
        names: &["127.0.0.1", "localhost"],
    },
];

/// Makes what is missing below `pki/`: a CA, its leaves and the service account key. The CA is the mark that all is there.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    let folder = dirs.at("pki");
    if folder.join("ca.crt").exists() {
        return Ok(());
    }
    let fail = |e: rcgen::Error| Error::cannot("make certificates in", folder.display(), e);
    let ca_key = KeyPair::generate().map_err(fail)?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "sandbox-ca");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let ca_cert = ca.self_signed(&ca_key).map_err(fail)?;
    write(&folder.join("ca.key"), ca_key.serialize_pem(), true)?;
    let issuer = Issuer::new(ca, ca_key);
    for leaf in &LEAVES {
        sign(&folder, leaf, &issuer)?;
    }
    // rcgen's ring backend signs with RSA keys but does not make them.
    run(
        "openssl",
        &[
            "genrsa",
            "-traditional",
            "-out",
            &folder.join("sa.key").display().to_string(),
            "2048",
        ],
    )?;
    write(&folder.join("ca.crt"), ca_cert.pem(), false)
}

fn sign(folder: &Path, leaf: &Leaf, issuer: &Issuer<'_, KeyPair>) -> Result<(), Error> {
    let fail = |e: rcgen::Error| Error::cannot("sign certificate", leaf.file, e);
    let key = KeyPair::generate().map_err(fail)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, leaf.user);
    if let Some(group) = leaf.group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    for name in leaf.names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().map_err(fail)?),
        });
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let cert = params.signed_by(&key, issuer).map_err(fail)?;
    write(&folder.join(format!("{}.key", leaf.file)), key.serialize_pem(), true)?;
    write(&folder.join(format!("{}.crt", leaf.file)), cert.pem(), false)
}
