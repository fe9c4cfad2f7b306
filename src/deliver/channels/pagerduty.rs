//! `pagerduty`: incidents by PagerDuty's Events API v2. One incident an episode: its `dedup_key` is a hash of the episode, so
//! that whatever is told again updates the incident, and the end closes it.
//!
//! PagerDuty takes events at once (202) and works on them later. It drops an end that comes with another routing key than
//! the beginning did: incidents that are open when the key is changed must be closed by hand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::webhook::hex;
use super::{ChannelKind, ChannelSettings, Doubt, Means, Rate, Settings, Traits};
use crate::deliver::http::{Address, Answer, Http, HttpSettings};
use crate::deliver::{Channel, Message, Receipt, SendError, labelled, render};
use crate::env::Env;
use crate::model::{Notice, NoticeKind, Reach, Severity};
use crate::secret::Secret;
use crate::text::safe;
use crate::yaml::Fields;

/// Where events go, where nobody says.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Characters of a routing key, and what is said of one that is none.
const ROUTING_KEY: usize = 32;
const NO_KEY: &str = "`routing_key` must be the 32 letters and digits of an Events API v2 integration";
/// Most characters of a summary.
const SUMMARY: usize = 1_024;
/// Most characters of the other short texts.
const SHORT: usize = 255;
/// Most bytes of an event.
const EVENT: usize = 512 * 1024;
/// Most links of an event.
const LINKS: usize = 10;
/// Seconds to wait when PagerDuty has had too much and does not say for how long.
const REST_S: u64 = 120;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    doc: "opens, acknowledges and closes incidents by PagerDuty's Events API v2",
    example: "kind: pagerduty\nrouting_key: {file: /run/credentials/pagerduty}     # of an integration of the kind `Events API v2`\nurl: https://events.eu.pagerduty.com/v2/enqueue     # the European service; without it the American one\ntimeout: 10s                                        # also: proxy, ca, cert, key\n",
    traits: Traits { stateful: true, reach: Reach::Page, most: 1, digest: false, rate: Some(Rate { count: 120, per_s: 60 }), draws: false },
    refused: "put the integration key of a live Events API v2 integration into `routing_key`; a key of the European service needs `url` as well",
    settings,
};

#[derive(Debug, Clone, Serialize)]
struct PagerDutySettings {
    routing_key: Secret,
    url: Address,
    #[serde(flatten)]
    http: HttpSettings,
}

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    fields.required("routing_key");
    let routing_key = Secret::take(fields, "routing_key");
    let url = match fields.node("url") {
        Some(_) => Address::take(fields, "url"),
        None => reqwest::Url::parse(URL).ok().map(Address::Open),
    };
    let http = HttpSettings::read(fields);
    Some(ChannelSettings(Arc::new(PagerDutySettings { routing_key: routing_key?, url: url?, http })))
}

impl Settings for PagerDutySettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn doubts(&self, env: &Env) -> Vec<Doubt> {
        let known = self.routing_key.at_hand(env);
        let hint = "copy it from the service's page `Integrations`";
        let doubt = |_| Doubt { key: "routing_key", message: NO_KEY.into(), hint: hint.into() };
        known.filter(|key| !is_routing_key(key.expose())).map(doubt).into_iter().collect()
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(PagerDuty { name: name.into(), http: Http::new(&self.http, &means.env), settings: self.clone() })
    }
}

struct PagerDuty {
    name: String,
    http: Http,
    settings: PagerDutySettings,
}

impl Channel for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.tell(message))
    }

    fn keeps_drills_open(&self) -> bool {
        true
    }
}

impl PagerDuty {
    async fn tell(&self, message: &Message) -> Result<Receipt, SendError> {
        let Some(notice) = message.first() else { return Err(SendError::Permanent { detail: "the message is empty".into() }) };
        if notice.kind == NoticeKind::Heartbeat {
            return Err(SendError::Permanent { detail: "the heartbeat would open an incident each time; give it another channel".into() });
        }
        let key = self.http.reveal("routing_key", &self.settings.routing_key).await?;
        if !is_routing_key(key.expose()) {
            self.http.forget();
            return Err(SendError::Auth { detail: format!("the setting {NO_KEY}") });
        }
        let body = event(notice, key.expose())?;
        let url = self.http.url("url", &self.settings.url).await?;
        let answer = self.http.post(&url, &[("content-type", "application/json")], body.into_bytes()).await?;
        self.judge(&answer).map(|()| Receipt::new(format!("{} accepted, incident key {}", answer.status, dedup_key(&notice.episode))))
    }

    /// As every answer, but for what PagerDuty means by it.
    fn judge(&self, answer: &Answer) -> Result<(), SendError> {
        let judged = self.http.judge(answer);
        match (answer.status, judged) {
            (202, Ok(())) => Ok(()),
            (status, Ok(())) => {
                Err(SendError::retryable(format!("the receiver `{}` answers {status} where PagerDuty says 202", answer.host)))
            }
            (429, Err(SendError::Retryable { detail, after_s: None })) => Err(SendError::Retryable { detail, after_s: Some(REST_S) }),
            // Nothing is lost when somebody mistypes the key: it waits until they see it.
            (400, Err(SendError::Permanent { detail })) if answer.text().to_lowercase().contains("routing key") => {
                Err(SendError::Auth { detail })
            }
            (_, judged) => judged,
        }
    }
}

fn is_routing_key(text: &str) -> bool {
    text.len() == ROUTING_KEY && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// 64 hex digits, the same for all that is told of an episode.
fn dedup_key(episode: &str) -> String {
    hex(&Sha256::digest(episode.as_bytes()))
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    client: &'static str,
    payload: Payload<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: String,
    severity: &'static str,
    timestamp: String,
    component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    class: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    custom_details: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: String,
}

/// The event as JSON within PagerDuty's limit: what is told besides goes first, then the links.
fn event(notice: &Notice, routing_key: &str) -> Result<String, SendError> {
    let mut event = Event {
        routing_key,
        event_action: action(notice.kind),
        dedup_key: dedup_key(&notice.episode),
        client: "pgsteward",
        payload: payload(notice),
        links: links(notice),
    };
    let mut body = json(&event)?;
    if body.len() > EVENT {
        let note = "left out: the event would be larger than PagerDuty takes".to_string();
        event.payload.custom_details = BTreeMap::from([("key", notice.key.clone()), ("details", note)]);
        body = json(&event)?;
    }
    if body.len() > EVENT {
        event.links.clear();
        body = json(&event)?;
    }
    Ok(body)
}

fn json(event: &Event<'_>) -> Result<String, SendError> {
    let json = serde_json::to_string(event);
    json.map(|json| render::json_safe(&json)).map_err(|e| SendError::Permanent { detail: format!("the notice has no JSON form: {e}") })
}

fn action(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Resolved => "resolve",
        NoticeKind::Acknowledged => "acknowledge",
        _ => "trigger",
    }
}

/// Who nobody has answered for becomes critical.
fn severity(notice: &Notice) -> &'static str {
    if notice.kind == NoticeKind::Escalated { Severity::Critical.as_str() } else { notice.severity.as_str() }
}

fn payload(notice: &Notice) -> Payload<'_> {
    let drill = if notice.drill { "EXERCISE, nothing is wrong: " } else { "" };
    let subject = notice.subject.to_string();
    let about = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
    Payload {
        summary: short(&format!("{drill}{}: {}{about}", notice.target, notice.summary), SUMMARY),
        source: short(&notice.target, SHORT),
        severity: severity(notice),
        timestamp: labelled::time(notice.at),
        component: short(if subject.is_empty() { &notice.target } else { &subject }, SHORT),
        group: short(notice.cluster.as_deref().unwrap_or_default(), SHORT),
        class: short(&notice.rule, SHORT),
        custom_details: details(notice),
    }
}

/// Safe, and at most so many characters.
fn short(text: &str, most: usize) -> String {
    // Nothing behind it can be shown, so nothing behind it is looked at.
    let begin: String = text.chars().take(most + 1).collect();
    render::clip(&safe(&begin), most).into_owned()
}

fn links(notice: &Notice) -> Vec<Link<'_>> {
    let pages = notice.links.iter().filter(|link| labelled::is_web(&link.url));
    pages.take(LINKS).map(|link| Link { href: &link.url, text: short(&link.title, SHORT) }).collect()
}

fn details(notice: &Notice) -> BTreeMap<&str, String> {
    let mut details: BTreeMap<&str, String> = BTreeMap::from([("key", notice.key.clone()), ("kind", notice.kind.to_string())]);
    let annotations = labelled::annotations(notice);
    for name in ["title", "description", "evidence", "advice", "runbook", "reason", "acknowledged", "began_during", "fallback_of"] {
        if let Some(text) = annotations.get(name) {
            details.insert(name, text.clone().into_owned());
        }
    }
    let mut labels = String::new();
    for (name, value) in labelled::labels(notice) {
        // Writing to a `String` cannot fail.
        writeln!(labels, "{name}: {value}").unwrap_or_default();
    }
    details.insert("labels", labels);
    details
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{hostile_notice, notice};
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn sent(notice: &Notice) -> serde_json::Value {
        serde_json::from_str(&event(notice, KEY).unwrap()).unwrap()
    }

    #[test]
    fn an_incident_opens() {
        let notice = Notice { cluster: Some("orders".into()), ..notice("k1") };
        insta::assert_snapshot!(serde_json::to_string_pretty(&sent(&notice)).unwrap());
    }

    #[test]
    fn all_that_is_told_of_an_episode_has_one_key() {
        let word = |kind| {
            let sent = sent(&Notice { kind, ..notice("k") });
            assert_eq!(sent["dedup_key"], dedup_key("7f3a-0"));
            format!("{} {}", sent["event_action"].as_str().unwrap(), sent["payload"]["severity"].as_str().unwrap())
        };
        for kind in [NoticeKind::Firing, NoticeKind::Repeat, NoticeKind::Raised, NoticeKind::Flapping, NoticeKind::Settled] {
            assert_eq!(word(kind), "trigger warning");
        }
        assert_eq!(word(NoticeKind::Escalated), "trigger critical");
        assert_eq!(word(NoticeKind::Acknowledged), "acknowledge warning");
        assert_eq!(word(NoticeKind::Resolved), "resolve warning");
        assert_eq!(dedup_key("7f3a-0").len(), 64);
    }

    #[test]
    fn a_summary_fits_at_its_limit() {
        let summary = |text: String| {
            let mut long = notice("k");
            (long.target, long.subject, long.summary) = ("t".into(), crate::model::Labels::default(), text);
            let shown = sent(&long)["payload"]["summary"].as_str().unwrap().to_string();
            (shown.chars().count(), shown.ends_with(".."))
        };
        // `t: ` stands before it.
        assert_eq!([1_020, 1_021, 1_022].map(|n| summary("x".repeat(n))), [(1_023, false), (1_024, false), (1_024, true)]);
        assert_eq!([1_020, 1_021, 1_022].map(|n| summary("\u{1f600}".repeat(n))), [(1_023, false), (1_024, false), (1_024, true)]);
        // One mark stands where the cut would be; its letter goes with it.
        let marked = format!("{}e\u{301}{}", "x".repeat(1_018), "y".repeat(9));
        assert_eq!(summary(marked), (1_023, true));
        // Each control character takes more room once it is shown.
        assert_eq!(summary("\0\r\n".repeat(400)), (1_024, true));
    }

    #[test]
    fn an_event_fits_at_its_limit_and_keeps_its_summary() {
        let with = |bytes: usize| {
            let mut long = notice("k");
            long.links = vec![crate::model::Link { title: "t".into(), url: format!("https://h/{}", "x".repeat(bytes)) }];
            let body = event(&long, KEY).unwrap();
            let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
            (body.len(), sent["payload"]["custom_details"]["evidence"].is_string(), sent["links"].is_array())
        };
        let base = with(0).0;
        assert_eq!(with(EVENT - base - 1), (EVENT - 1, true, true));
        assert_eq!(with(EVENT - base), (EVENT, true, true));
        let (size, evidence, links) = with(EVENT - base + 1);
        assert!(size < EVENT && !evidence && links, "{size}");
        assert!(!with(2 * EVENT).2);
        assert!(with(2 * EVENT).0 < EVENT);
    }

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        let sent = sent(&hostile_notice("k"));
        let summary = sent["payload"]["summary"].as_str().unwrap();
        assert_eq!(safe(summary), summary);
        assert!(summary.contains("forged"));
    }
}
