//! A server under watch. The name is its identity and survives a change of address; how to reach it is `config`'s.

use serde::{Deserialize, Serialize};

use super::Labels;

/// Who is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Unique name, part of every fingerprint.
    pub name: String,
    /// The cluster it belongs to, if configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Labels for routing and windows, such as `tier: prod`.
    #[serde(default)]
    pub labels: Labels,
}

impl Target {
    /// The name of the target that our own troubles are alerts of; none of a config may have it.
    pub const OWN: &str = "pgsteward";
}
