//! Kubernetes: read manifests, apply, wait, delete; all by ownership labels.
