//! Collect: a target and its metrics in, a `Snapshot` out; each frame collected or missing with a reason.

pub mod metrics;
