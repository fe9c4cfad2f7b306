//! Detached minisign signatures, checked offline: an ed25519 signature of the file by one of the keys that the config
//! names.

use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

use super::PluginError;

/// `x.wasm.minisig` beside `x.wasm`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// The signature that stands beside a file.
#[must_use]
pub fn signature_of(path: &Path) -> Option<String> {
    std::fs::read_to_string(beside(path)).ok()
}

/// Checks that one of the keys signed these bytes; gives back that key.
///
/// # Errors
/// When there is no signature, or none of the keys made it.
pub fn verify<'a>(bytes: &[u8], signature: Option<&str>, keys: &'a [String]) -> Result<&'a str, PluginError> {
    let signature = signature.ok_or(PluginError::Unsigned)?;
    let signature = Signature::decode(signature).map_err(|error| PluginError::Signature(format!("it cannot be read: {error}")))?;
    let holds = |key: &&String| PublicKey::from_base64(key).is_ok_and(|key| key.verify(bytes, &signature, false).is_ok());
    keys.iter().find(holds).map(String::as_str).ok_or_else(|| PluginError::Signature("none of the keys in the config made it".into()))
}
