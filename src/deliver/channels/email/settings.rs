//! The settings of a mail channel, read and checked.

use std::path::{Path, PathBuf};

use lettre::Address;
use lettre::message::Mailbox;
use serde::{Serialize, Serializer};

use crate::deliver::escape::Escape;
use crate::deliver::template::Templates;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::yaml::{Fields, Node, text_of};

/// Seconds that all of one mail may take; no send is waited for longer than 30 s.
const TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=29;

#[derive(Debug, Clone, Serialize)]
pub(super) struct EmailSettings {
    #[serde(serialize_with = "one_shown")]
    pub from: Mailbox,
    #[serde(serialize_with = "all_shown")]
    pub to: Vec<Mailbox>,
    #[serde(serialize_with = "all_shown", skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<Mailbox>,
    #[serde(flatten)]
    pub carrier: Carrier,
    /// Subject and body of a mail about one alert, in the user's words.
    pub templates: Templates,
}

/// What takes a mail over.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Carrier {
    Smtp(Smtp),
    Sendmail(Sendmail),
}

/// A mail server.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// Why the connection need not be encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What we call ourselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
    #[serde(rename = "timeout")]
    pub timeout_s: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    Starttls,
    Implicit,
    None,
}

impl Tls {
    fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Login {
    pub user: String,
    pub password: Secret,
}

/// A local program that takes mails, with its own arguments; sender and recipients are added to them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sendmail {
    #[serde(rename = "sendmail")]
    pub command: Vec<String>,
    #[serde(rename = "timeout")]
    pub timeout_s: u64,
}

/// Takes the keys of the kind and notes what is wrong with them.
pub(super) fn read(file: &str, fields: &mut Fields<'_>) -> Option<EmailSettings> {
    let from = fields.required("from").and_then(|node| mailbox(fields, "from", node));
    fields.required("to");
    let to = mailboxes(fields, "to");
    let cc = mailboxes(fields, "cc");
    let timeout_s = timeout(fields);
    // Plain text: the HTML part escapes it itself.
    let templates = Templates::take(fields, Escape::Plain);
    let carrier = match fields.node("sendmail") {
        Some(node) => sendmail(fields, node, timeout_s?),
        None => smtp(file, fields, timeout_s),
    };
    Some(EmailSettings { from: from?, to: to?, cc: cc?, carrier: carrier?, templates })
}

fn mailboxes(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<Mailbox>> {
    let Some(list) = fields.list(key) else { return (key == "cc").then(Vec::new) };
    if list.is_empty() && key == "to" {
        fields.problems.push(Problem::error(fields.file(), fields.at(), "`to` names nobody"));
        return None;
    }
    let read: Vec<Option<Mailbox>> = list.iter().map(|node| mailbox(fields, key, node)).collect();
    read.into_iter().collect()
}

fn mailbox(fields: &mut Fields<'_>, key: &str, node: &Node) -> Option<Mailbox> {
    let parsed = text_of(node).and_then(|text| text.parse::<Mailbox>().ok());
    match parsed {
        // Other addresses need servers that know SMTPUTF8, all the way.
        Some(mailbox) if AsRef::<str>::as_ref(&mailbox.email).is_ascii() => Some(mailbox),
        Some(_) => {
            fields.error(node, format!("`{key}` must be an address in ASCII; write its domain in the form `xn--..`"));
            None
        }
        None => {
            fields.error(node, format!("`{key}` must be one address a value, such as `dba@example.com` or `DBA team <dba@example.com>`"));
            None
        }
    }
}

fn timeout(fields: &mut Fields<'_>) -> Option<u64> {
    let Some(node) = fields.node("timeout") else { return Some(20) };
    let seconds = fields.seconds("timeout")?;
    if !TIMEOUT_S.contains(&seconds) {
        fields.error(node, "`timeout` must be 1s to 29s");
        return None;
    }
    Some(seconds)
}

fn sendmail(fields: &mut Fields<'_>, node: &Node, timeout_s: u64) -> Option<Carrier> {
    for key in ["host", "port", "tls", "why", "user", "password", "ca", "hello"] {
        fields.refuse(key, "means nothing beside `sendmail`, which has settings of its own");
    }
    let command = fields.texts("sendmail")?;
    if !command.first().is_some_and(|program| Path::new(program).is_absolute()) {
        fields.error(node, "`sendmail` must be the whole path of a program, or a list of it and its arguments");
        return None;
    }
    Some(Carrier::Sendmail(Sendmail { command, timeout_s }))
}

fn smtp(file: &str, fields: &mut Fields<'_>, timeout_s: Option<u64>) -> Option<Carrier> {
    if fields.node("host").is_none() {
        let problem = Problem::error(file, fields.at(), "`host` is missing");
        fields.problems.push(problem.hint("name the mail server, or a local program with `sendmail: /usr/sbin/sendmail`"));
    }
    let host = name(fields, "host");
    let tls = tls(fields);
    let port = port(fields);
    let why = fields.text("why").filter(|why| !why.trim().is_empty());
    let login = login(fields);
    let ca = fields.text("ca").map(|path| Path::new(file).parent().map_or_else(|| path.clone().into(), |folder| folder.join(&path)));
    let hello = name(fields, "hello");
    let (host, tls) = (host?, tls?);
    if tls == Tls::None {
        check_plain(fields, &host, why.is_some(), login.as_ref().is_ok_and(Option::is_some));
    }
    let port = port.ok()?.unwrap_or(tls.port());
    Some(Carrier::Smtp(Smtp { host, port, tls, why, login: login.ok()?, ca, hello, timeout_s: timeout_s? }))
}

/// A host name or address; other characters would end a command.
fn name(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let node = fields.node(key)?;
    let name = text_of(node).filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c)));
    if name.is_none() {
        fields.error(node, format!("`{key}` must be the name or address of a host"));
    }
    name
}

fn tls(fields: &mut Fields<'_>) -> Option<Tls> {
    let Some(node) = fields.node("tls") else { return Some(Tls::Starttls) };
    let tls = match text_of(node).as_deref() {
        Some("starttls") => Some(Tls::Starttls),
        Some("implicit") => Some(Tls::Implicit),
        Some("none") => Some(Tls::None),
        _ => None,
    };
    if tls.is_none() {
        fields.error(node, "`tls` must be starttls, implicit or none");
    }
    tls
}

/// `Err` is a problem that has been noted.
fn port(fields: &mut Fields<'_>) -> Result<Option<u16>, ()> {
    let Some(node) = fields.node("port") else { return Ok(None) };
    let port = text_of(node).and_then(|text| text.parse().ok()).filter(|port: &u16| *port > 0);
    if port.is_none() {
        fields.error(node, "`port` must be a number, 1 to 65535");
    }
    port.map(Some).ok_or(())
}

/// `Err` is a problem that has been noted.
fn login(fields: &mut Fields<'_>) -> Result<Option<Login>, ()> {
    let written = (fields.node("user"), fields.node("password"));
    let (user, password) = (fields.text("user"), Secret::take(fields, "password"));
    match (written, user, password) {
        ((None, None), ..) => Ok(None),
        (_, Some(user), Some(password)) => Ok(Some(Login { user, password })),
        ((Some(node), None) | (None, Some(node)), ..) => {
            fields.error(node, "`user` and `password` only work together");
            Err(())
        }
        _ => Err(()),
    }
}

fn check_plain(fields: &mut Fields<'_>, host: &str, why: bool, login: bool) {
    let Some(node) = fields.node("tls") else { return };
    if !why {
        fields.error(node, "`tls: none` sends mails that anybody on the way can read; say with `why` why that is all right here");
    }
    let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if login && !here {
        fields.error(node, "`tls: none` would send the password for anybody to read; leave `user` and `password` out, or encrypt");
    }
}

fn one_shown<S: Serializer>(mailbox: &Mailbox, ser: S) -> Result<S::Ok, S::Error> {
    ser.collect_str(mailbox)
}

fn all_shown<S: Serializer>(mailboxes: &[Mailbox], ser: S) -> Result<S::Ok, S::Error> {
    ser.collect_seq(mailboxes.iter().map(ToString::to_string))
}

impl EmailSettings {
    /// Everybody who gets the mail, each once.
    pub fn recipients(&self) -> Vec<Address> {
        let mut all: Vec<Address> = Vec::new();
        for mailbox in self.to.iter().chain(&self.cc) {
            if !all.contains(&mailbox.email) {
                all.push(mailbox.email.clone());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(yaml: &str) -> (Option<serde_json::Value>, Vec<String>) {
        let root = crate::yaml::parse("/etc/c", yaml).unwrap();
        let mut fields = Fields::open("/etc/c", &root, "a channel").unwrap();
        let settings = read("/etc/c", &mut fields).map(|s| serde_json::json!(s));
        (settings, fields.finish().iter().map(|p| p.to_string().replace("/etc/c:", "")).collect())
    }

    #[test]
    fn a_server_and_two_people_are_enough() {
        let (settings, problems) = checked("from: me@x.org\nto: [a@x.org, Ada <b@x.org>]\nhost: mail.x.org\n");
        assert_eq!(problems, Vec::<String>::new());
        let expected = serde_json::json!({
            "from": "me@x.org", "to": ["a@x.org", "Ada <b@x.org>"], "host": "mail.x.org", "port": 587, "tls": "starttls", "timeout": 20, "templates": {}
        });
        assert_eq!(settings.unwrap(), expected);
        let (settings, problems) = checked("from: me@x.org\nto: a@x.org\nsendmail: /usr/sbin/sendmail\n");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.unwrap()["sendmail"], serde_json::json!(["/usr/sbin/sendmail"]));
    }

    #[test]
    fn a_password_is_shown_as_its_way_and_files_stand_beside_the_config() {
        let yaml = "from: me@x.org\nto: a@x.org\nhost: h\ntls: implicit\nuser: u\npassword: {env: PW}\nca: ca.pem\n";
        let settings = checked(yaml).0.unwrap();
        assert_eq!(settings["password"], serde_json::json!({"env": "PW"}));
        assert_eq!((&settings["port"], &settings["ca"]), (&465.into(), &"/etc/ca.pem".into()));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let (settings, problems) = checked(
            "from: a@x.org, b@x.org\nto: [\"a b\", ü@x.org]\nhost: \"x\\ny\"\nport: 99999\ntls: maybe\nuser: u\ntimeout: 5m\nsubject: x\n",
        );
        assert_eq!(settings, None);
        let known = "from, to, cc, timeout, sendmail, host, tls, port, why, user, password, ca, hello";
        assert_eq!(problems.len(), 9, "{problems:#?}");
        assert!(problems[0].starts_with("1:7: error: `from` must be one address a value"), "{}", problems[0]);
        assert!(problems[8].starts_with("8:1: error: unknown key `subject`"), "{} {known}", problems[8]);
        for part in ["`to` must be an address in ASCII", "`host` must be", "`port` must", "`tls` must", "only work together", "1s to 29s"] {
            assert!(problems.iter().any(|p| p.contains(part)), "{part}: {problems:#?}");
        }
    }

    #[test]
    fn plain_mail_needs_a_reason_and_a_password_never_goes_out_plain() {
        let base = "from: me@x.org\nto: a@x.org\ntls: none\n";
        let told = |rest: &str| checked(&format!("{base}{rest}")).1.join("\n");
        assert!(told("host: relay\n").contains("say with `why`"));
        assert_eq!(told("host: relay\nwhy: inside one rack\n"), "");
        let login = "why: local\nuser: u\npassword: {env: PW}\n";
        assert!(told(&format!("host: relay\n{login}")).contains("would send the password"));
        assert_eq!(told(&format!("host: 127.0.0.1\n{login}")), "");
    }

    #[test]
    fn a_local_program_has_no_server() {
        let (_, problems) = checked("from: me@x.org\nto: a@x.org\nsendmail: sendmail\nhost: h\n");
        assert_eq!(
            problems,
            [
                "4:1: error: `host` means nothing beside `sendmail`, which has settings of its own",
                "3:11: error: `sendmail` must be the whole path of a program, or a list of it and its arguments",
            ]
        );
        assert!(checked("from: me@x.org\nto: a@x.org\n").1.join("").contains("`host` is missing; name the mail server"));
    }
}
