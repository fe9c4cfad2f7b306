//! What every channel over HTTP may be told: `proxy`, `ca`, `cert`, `key`, `timeout`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Address;
use crate::yaml::Fields;

/// Seconds that a message may take, where nobody says.
const TIMEOUT_S: u64 = 10;
/// Longest that it may be set to, in seconds.
const LONGEST_S: u64 = 25;

/// Settings of the line to a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpSettings {
    /// What everything goes through; else what `HTTPS_PROXY` and `NO_PROXY` say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Address>,
    /// Certificates that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Our own certificate and those that vouch for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Seconds that one message may take in all.
    #[serde(rename = "timeout")]
    pub timeout_s: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { proxy: None, ca: None, cert: None, key: None, timeout_s: TIMEOUT_S }
    }
}

impl HttpSettings {
    /// Takes the keys from a channel's map. What is wrong is noted in `fields` and left at its default.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let proxy = Address::take(fields, "proxy");
        let [ca, cert, key] = ["ca", "cert", "key"].map(|name| file(fields, name));
        if cert.is_some() != key.is_some() {
            let (has, lacks) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            let (file, at) = (fields.file(), fields.at());
            fields.problems.push(crate::problem::Problem::error(file, at, format!("`{has}` needs `{lacks}` beside it")));
        }
        Self { proxy, ca, cert, key, timeout_s: timeout(fields).unwrap_or(TIMEOUT_S) }
    }
}

/// A path, beside the config where it is relative.
fn file(fields: &mut Fields<'_>, key: &'static str) -> Option<PathBuf> {
    let path = fields.text(key)?;
    Some(Path::new(fields.file()).parent().map_or_else(|| PathBuf::from(&path), |folder| folder.join(&path)))
}

fn timeout(fields: &mut Fields<'_>) -> Option<u64> {
    let seconds = fields.seconds("timeout")?;
    if (1..=LONGEST_S).contains(&seconds) {
        return Some(seconds);
    }
    let node = fields.node("timeout")?;
    fields.error(node, format!("`timeout` must be from 1s to {LONGEST_S}s"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (serde_json::Value, Vec<String>) {
        let root = crate::yaml::parse("conf/c.yaml", yaml).unwrap();
        let mut fields = Fields::open("conf/c.yaml", &root, "a channel").unwrap();
        let settings = HttpSettings::read(&mut fields);
        (serde_json::json!(settings), fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn files_are_looked_for_beside_the_config() {
        let (settings, problems) = read("proxy: http://proxy:3128\nca: ca.pem\ncert: /etc/c.pem\nkey: /etc/k.pem\ntimeout: 5s\n");
        assert_eq!(problems, Vec::<String>::new());
        let expected =
            serde_json::json!({"proxy": "http://proxy:3128", "ca": "conf/ca.pem", "cert": "/etc/c.pem", "key": "/etc/k.pem", "timeout": 5});
        assert_eq!(settings, expected);
        assert_eq!(read("").0, serde_json::json!({"timeout": 10}));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let (_, problems) = read("proxy: nowhere\ncert: c.pem\ntimeout: 10m\n");
        assert_eq!(
            problems,
            [
                "conf/c.yaml:1:8: error: `proxy` must be an address such as `https://host/path`: relative URL without a base",
                "conf/c.yaml:1:1: error: `cert` needs `key` beside it",
                "conf/c.yaml:3:10: error: `timeout` must be from 1s to 25s",
            ]
        );
    }
}
