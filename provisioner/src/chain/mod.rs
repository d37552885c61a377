//! The metric chain as typed hops: app -> Prometheus -> adapter -> HPA.
