//! The manifests and dashboards that are part of the binary, from `build.rs`.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
