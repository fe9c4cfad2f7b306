//! The settings of a mail channel, read and checked.

use std::path::{Path, PathBuf};

use lettre::Address;
use lettre::message::Mailbox;
use serde::{Serialize, Serializer};

use crate::deliver::escape::Escape;
use crate::deliver::template::Templates;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::yaml::{Fields, Node, seconds_of, text_of};

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
    #[serde(rename = "timeout")]
    pub timeout_s: u64,
    /// Subject and body of a mail about one alert, in the user's words.
    pub templates: Templates,
}

/// What takes a mail over.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Carrier {
    Smtp(Smtp),
    /// A local program with its own arguments; sender and recipients are added to them.
    Sendmail(Vec<String>),
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

/// Takes the keys of the kind and notes what is wrong with them.
pub(super) fn read(file: &str, fields: &mut Fields<'_>) -> Option<EmailSettings> {
    let from = fields.required("from").and_then(|node| mailbox(fields, "from", node));
    let to = mailboxes(fields, "to");
    let cc = mailboxes(fields, "cc");
    let timeout_s = timeout(fields);
    // Plain text: the HTML part escapes it itself.
    let templates = Templates::take(fields, Escape::Plain);
    let carrier = carrier(file, fields);
    Some(EmailSettings { from: from?, to: to?, cc: cc?, carrier: carrier?, timeout_s: timeout_s?, templates })
}

fn carrier(file: &str, fields: &mut Fields<'_>) -> Option<Carrier> {
    match (fields.node("smtp"), fields.node("sendmail")) {
        (Some(node), None) => {
            let mut own = Fields::open(fields.file(), node, "`smtp`").map_err(|problem| fields.problems.push(problem)).ok()?;
            let smtp = smtp(file, &mut own);
            fields.secrets.append(&mut own.secrets);
            fields.elsewhere.append(&mut own.elsewhere);
            fields.problems.append(&mut own.finish());
            smtp.map(Carrier::Smtp)
        }
        (None, Some(node)) => sendmail(fields, node),
        (Some(_), Some(node)) => {
            fields.error(node, "`sendmail` and `smtp` are two ways to send; leave one out");
            None
        }
        (None, None) => {
            let problem = Problem::error(file, fields.at(), "`smtp` is missing");
            fields.problems.push(problem.hint("write `smtp: {host: relay.example.com}`, or `sendmail: /usr/sbin/sendmail`"));
            None
        }
    }
}

fn mailboxes(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<Mailbox>> {
    let list = fields.list(key).unwrap_or_default();
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
    let seconds = seconds_of(node).filter(|seconds| TIMEOUT_S.contains(seconds));
    if seconds.is_none() {
        fields.error(node, "`timeout` must be 1s to 29s");
    }
    seconds
}

fn sendmail(fields: &mut Fields<'_>, node: &Node) -> Option<Carrier> {
    let command = fields.texts("sendmail")?;
    if !command.first().is_some_and(|program| Path::new(program).is_absolute()) {
        fields.error(node, "`sendmail` must be the whole path of a program, or a list of it and its arguments");
        return None;
    }
    Some(Carrier::Sendmail(command))
}

fn smtp(file: &str, fields: &mut Fields<'_>) -> Option<Smtp> {
    fields.required("host");
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
    Some(Smtp { host, port, tls, why, login: login.ok()?, ca, hello })
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
        let (settings, problems) = checked("from: me@x.org\nto: [a@x.org, Ada <b@x.org>]\nsmtp: {host: mail.x.org}\n");
        assert_eq!(problems, Vec::<String>::new());
        let expected = serde_json::json!({
            "from": "me@x.org", "to": ["a@x.org", "Ada <b@x.org>"], "smtp": {"host": "mail.x.org", "port": 587, "tls": "starttls"},
            "timeout": 20, "templates": {}
        });
        assert_eq!(settings.unwrap(), expected);
        let (settings, problems) = checked("from: me@x.org\nto: a@x.org\nsendmail: /usr/sbin/sendmail\n");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.unwrap()["sendmail"], serde_json::json!(["/usr/sbin/sendmail"]));
    }

    #[test]
    fn a_password_is_shown_as_its_way_and_files_stand_beside_the_config() {
        let yaml = "from: me@x.org\nto: a@x.org\nsmtp: {host: h, tls: implicit, user: u, password: {env: PW}, ca: ca.pem}\n";
        let smtp = checked(yaml).0.unwrap()["smtp"].clone();
        assert_eq!(smtp["password"], serde_json::json!({"env": "PW"}));
        assert_eq!((&smtp["port"], &smtp["ca"]), (&465.into(), &"/etc/ca.pem".into()));
    }

    #[test]
    fn a_password_that_is_written_out_is_noted_as_a_secret_place() {
        let root = crate::yaml::parse("c", "from: me@x.org\nto: a@x.org\nsmtp: {host: h, user: u, password: hunter2}\n").unwrap();
        let mut fields = Fields::open("c", &root, "a channel").unwrap();
        let settings = read("c", &mut fields).unwrap();
        assert_eq!(fields.secrets.len(), 1);
        assert!(!format!("{settings:?} {}", serde_json::json!(settings)).contains("hunter2"));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let smtp = "smtp: {host: \"x\\ny\", port: 99999, tls: maybe, user: u, helo: x}";
        let (settings, problems) = checked(&format!("from: a@x.org, b@x.org\nto: [\"a b\", ü@x.org]\n{smtp}\ntimeout: 5m\nsubject: x\n"));
        assert_eq!(settings, None);
        let parts = [
            "1:7: error: `from` must be one address a value",
            "2:6: error: `to` must be one address a value",
            "2:13: error: `to` must be an address in ASCII",
            "4:10: error: `timeout` must be 1s to 29s",
            "3:14: error: `host` must be the name or address of a host",
            "3:40: error: `tls` must be starttls, implicit or none",
            "3:28: error: `port` must be a number",
            "3:53: error: `user` and `password` only work together",
            "3:56: error: unknown key `helo`; did you mean `hello`?",
            "5:1: error: unknown key `subject`; known here: from, to, cc, timeout, templates, smtp, sendmail",
        ];
        assert_eq!(problems.len(), parts.len(), "{problems:#?}");
        for (problem, part) in problems.iter().zip(parts) {
            assert!(problem.starts_with(part), "{part}: {problems:#?}");
        }
    }

    #[test]
    fn plain_mail_needs_a_reason_and_a_password_never_goes_out_plain() {
        let told = |smtp: &str| checked(&format!("from: me@x.org\nto: a@x.org\nsmtp: {{tls: none, {smtp}}}\n")).1.join("\n");
        assert!(told("host: relay").contains("say with `why`"));
        assert_eq!(told("host: relay, why: inside one rack"), "");
        let login = "why: local, user: u, password: {env: PW}";
        assert!(told(&format!("host: relay, {login}")).contains("would send the password"));
        assert_eq!(told(&format!("host: 127.0.0.1, {login}")), "");
    }

    #[test]
    fn there_is_exactly_one_way_to_send() {
        let told = |rest: &str| checked(&format!("from: me@x.org\nto: a@x.org\n{rest}")).1;
        assert_eq!(
            told("sendmail: sendmail\n"),
            ["3:11: error: `sendmail` must be the whole path of a program, or a list of it and its arguments"]
        );
        let both = told("smtp: {host: h}\nsendmail: /usr/sbin/sendmail\n");
        assert_eq!(both, ["4:11: error: `sendmail` and `smtp` are two ways to send; leave one out"]);
        assert!(told("")[0].starts_with("1:1: error: `smtp` is missing; write `smtp: {host: relay.example.com}`"), "{:?}", told(""));
    }
}
