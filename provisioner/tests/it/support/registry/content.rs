//! What tests see and change of a registry's content, past its protocol.

use serde_json::Value;

use super::{REPOSITORY, Registry, locked, store};

impl Registry {
    /// What a tag or digest stands for; null where it is nothing.
    pub(crate) fn manifest(&self, name: &str) -> Value {
        let mut desk = locked(&self.desk);
        let kept = desk.store.repository(REPOSITORY);
        let digest = kept.tags.get(name).map_or(name, String::as_str);
        let manifest = kept.manifests.get(digest);
        manifest.map_or(Value::Null, |(_, bytes)| serde_json::from_slice(bytes).expect("JSON"))
    }

    /// The content of a blob that is JSON.
    pub(crate) fn document(&self, digest: &str) -> Value {
        let mut desk = locked(&self.desk);
        let blob = desk.store.repository(REPOSITORY).blobs.get(digest);
        serde_json::from_slice(blob.expect("it is there")).expect("JSON")
    }

    /// Puts a manifest there as somebody else would; its digest.
    pub(crate) fn put_manifest(&self, tag: &str, manifest: &Value) -> String {
        let (media_type, text) = (manifest["mediaType"].as_str().expect("a type"), manifest.to_string());
        let digest = store::digest(text.as_bytes());
        let mut desk = locked(&self.desk);
        let kept = desk.store.repository(REPOSITORY);
        kept.manifests
            .insert(digest.clone(), (media_type.to_owned(), text.into()));
        kept.tags.insert(tag.to_owned(), digest.clone());
        digest
    }

    /// Loses a manifest; tags and lists that name it stay.
    pub(crate) fn remove_manifest(&self, digest: &str) {
        let mut desk = locked(&self.desk);
        desk.store
            .repository(REPOSITORY)
            .manifests
            .remove(digest)
            .expect("it was there");
    }
}
