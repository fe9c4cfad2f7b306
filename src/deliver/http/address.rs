//! Where a channel sends to: an address that may be read by anybody who reads the config, or one that is a secret.
//!
//! Incoming webhooks carry their password in the path, so even an open address is shown by its host only, and what it
//! says behind that is blotted out of whatever a receiver sends back.

use std::fmt;

use reqwest::Url;
use serde::{Serialize, Serializer};

use crate::secret::Secret;
use crate::text::safe;
use crate::yaml::{Fields, Node, Value, text_of};

/// Shorter parts of a secret are no secret, and blotting them out would blot out everything. A path begins with a sign
/// that few words begin with, so it may be shorter.
const TELLING: usize = 8;
const TELLING_PATH: usize = 4;

/// A web address.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// It stands in the config.
    Open(Url),
    /// It is kept elsewhere, or holds a login.
    Secret(Secret),
}

impl Address {
    /// Takes a key: an address as text, or the way to a secret. An address with a login in it is a secret, and written out it
    /// gets the warning of every secret.
    pub fn take(fields: &mut Fields<'_>, key: &'static str) -> Option<Self> {
        let node = fields.node(key)?;
        Self::of(fields, key, node)
    }

    /// Takes a key whose address is a password, so that written out it gets the warning of every secret. What listens on this
    /// machine, such as `notify catch`, has nothing to guard.
    pub fn secret(fields: &mut Fields<'_>, key: &'static str) -> Option<Self> {
        let written = fields.node(key).and_then(text_of).and_then(|text| parse(&text).ok());
        match written.filter(|url| is_local(url) && !has_login(url)) {
            Some(url) => Some(Self::Open(url)),
            None => Secret::take(fields, key).map(Self::Secret),
        }
    }

    /// The same for a node that stands at that key; where it is no address, the problem does not show its line.
    pub fn of<'a>(fields: &mut Fields<'a>, key: &str, node: &'a Node) -> Option<Self> {
        if let Value::Map(_) = node.value {
            return Secret::of(fields, key, node).map(Self::Secret);
        }
        let parsed = text_of(node).ok_or_else(|| format!("this is {}", node.value.kind())).and_then(|text| parse(&text));
        match parsed {
            Ok(url) if has_login(&url) => Secret::of(fields, key, node).map(Self::Secret),
            Ok(url) => Some(Self::Open(url)),
            Err(why) => {
                fields.secrets.push(node.at);
                fields.error(node, format!("`{key}` must be an address such as `https://host/path`: {why}"));
                None
            }
        }
    }
}

/// An address that something can be sent to; why it is none, without quoting it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| error.to_string())?;
    match url.scheme() {
        // A proxy may speak SOCKS; whatever else has such an address fails when it is first used.
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        "http" | "https" | "socks5" | "socks5h" => Err("it names no host".into()),
        _ => Err("it does not begin with `https://` or `http://`".into()),
    }
}

/// Host and port, safe to show.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    safe(&url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}")))
}

/// The parts of secrets that must not be shown when a receiver sends them back, longest first: themselves, and whatever an
/// address says besides its host, as it is written and as it is meant.
pub(super) fn telling_parts<'a>(secrets: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut parts: Vec<String> = secrets.flat_map(parts_of).collect();
    parts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    parts.dedup();
    parts
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn parts_of(secret: &str) -> Vec<String> {
    let long = |least: usize| move |part: &String| part.len() >= least;
    let mut parts: Vec<String> = [secret.to_string()].into_iter().filter(long(TELLING)).collect();
    if let Some(url) = Url::parse(secret).ok().filter(Url::has_host) {
        let (path, query) = (url.path(), url.query().unwrap_or_default());
        parts.extend(both(path).filter(long(TELLING_PATH)));
        let pieces =
            path.split('/').chain([query]).chain(query.split(['&', '='])).chain([url.username(), url.password().unwrap_or_default()]);
        parts.extend(pieces.flat_map(both).filter(long(TELLING)));
    }
    parts
}

/// As it is written in an address, as it is meant, and as JSON writes its slashes.
fn both(part: &str) -> impl Iterator<Item = String> {
    let meant = percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    [part.to_string(), part.replace('/', "\\/"), meant].into_iter()
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(url) if url.path() == "/" && url.query().is_none() => write!(f, "{}://{}", url.scheme(), host(url)),
            Self::Open(url) => write!(f, "{}://{}/***", url.scheme(), host(url)),
            Self::Secret(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Open(_) => ser.collect_str(self),
            Self::Secret(secret) => secret.serialize(ser),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(yaml: &str) -> (Option<Address>, Vec<String>) {
        let root = crate::yaml::parse("c", yaml).unwrap();
        let mut fields = Fields::open("c", &root, "a channel").unwrap();
        let address = Address::take(&mut fields, "url");
        (address, fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_address_is_shown_by_its_host() {
        let shown = |yaml: &str| serde_json::json!(taken(yaml).0.unwrap()).to_string();
        assert_eq!(shown("url: https://hooks.example/T0/secret"), r#""https://hooks.example/***""#);
        assert_eq!(shown("url: http://127.0.0.1:9093"), r#""http://127.0.0.1:9093""#);
        assert_eq!(shown("url: {env: HOOK}"), r#"{"env":"HOOK"}"#);
        assert_eq!(shown("url: https://bot:hunter2@hooks.example/"), r#"{"plain":"***"}"#);
    }

    #[test]
    fn an_address_that_is_a_password_is_warned_of_unless_it_is_on_this_machine() {
        let problems = |yaml: &str| {
            let root = crate::yaml::parse("c", yaml).unwrap();
            let mut fields = Fields::open("c", &root, "a channel").unwrap();
            assert!(Address::secret(&mut fields, "url").is_some(), "{yaml}");
            fields.finish().len()
        };
        for open in ["http://127.0.0.1:8025/slack", "http://localhost:8025", "http://[::1]/x"] {
            assert_eq!(problems(&format!("url: {open}")), 0, "{open}");
        }
        for secret in ["https://hooks.example/T0/xyz", "http://10.0.0.1/x", "http://localhost.example/x", "http://bot:hunter2@127.0.0.1/"] {
            assert_eq!(problems(&format!("url: {secret}")), 1, "{secret}");
        }
        assert_eq!(problems("url: {env: HOOK}"), 0);
    }

    #[test]
    fn what_is_no_address_is_not_quoted() {
        let problems = |yaml: &str| taken(yaml).1;
        let begin = "c:1:6: error: `url` must be an address such as `https://host/path`: ";
        assert_eq!(problems("url: ftp://hunter2/"), [format!("{begin}it does not begin with `https://` or `http://`")]);
        assert_eq!(problems("url: hunter2"), [format!("{begin}relative URL without a base")]);
        assert_eq!(problems("url: [1]"), [format!("{begin}this is a list")]);
        assert_eq!(problems("url: https://hooks.example/T0/secret"), Vec::<String>::new());
        assert!(problems("url: https://bot:hunter2@h/")[0].contains("warning: `url` is written out in the config"));
    }

    #[test]
    fn a_secret_address_is_blotted_out_by_its_parts() {
        let telling_parts = |secret: &str| telling_parts([secret].into_iter());
        assert_eq!(
            telling_parts("https://hooks.example/T0/B0/xyz?key=0123456789"),
            ["https://hooks.example/T0/B0/xyz?key=0123456789", "key=0123456789", "\\/T0\\/B0\\/xyz", "/T0/B0/xyz", "0123456789"]
        );
        assert_eq!(
            telling_parts("https://bot:hunter%32hunter@h/a"),
            ["https://bot:hunter%32hunter@h/a", "hunter%32hunter", "hunter2hunter"]
        );
        assert_eq!(telling_parts("https://h/tok/"), ["https://h/tok/", "\\/tok\\/", "/tok/"]);
        assert_eq!(telling_parts("https://h/"), ["https://h/"]);
        assert_eq!(telling_parts("short"), Vec::<String>::new());
    }
}
