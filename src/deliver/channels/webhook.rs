//! `webhook`: notices as the JSON that Alertmanager's webhooks have (version 4), so that whatever takes those takes ours.
//!
//! A signature over time and body lets a receiver see that we sent it, and when; `Idempotency-Key` and each alert's `key`
//! let it drop what it has already. 2xx means taken, whatever the body says.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

use super::{ChannelKind, ChannelSettings, Means, Settings, Traits};
use crate::deliver::http::{Address, Http, HttpSettings, Login};
use crate::deliver::labelled::{self, Pairs};
use crate::deliver::{Channel, Message, Receipt, SendError, render};
use crate::model::{Group, Labels, Notice, Reach};
use crate::secret::Secret;
use crate::yaml::Fields;

/// Most notices in one message.
const MOST: usize = 64;
/// How Alertmanager writes the end of what has not ended.
const NOT_YET: &str = "0001-01-01T00:00:00Z";

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "webhook",
    doc: "posts notices as JSON in the form of Alertmanager's webhooks (version 4), signed",
    example: "kind: webhook\nurl: https://alerts.example/hook         # or {env: NAME}, {file: /path} where the address is a secret\nsecret: {file: /run/credentials/hook}    # X-Pgsteward-Signature: t=SECONDS,v1=HMAC-SHA256 of `SECONDS.BODY` in hex\ntoken: {env: HOOK_TOKEN}                 # Authorization: Bearer; or `username` and `password`\nmax_alerts: 64                           # more of one group are counted in `truncatedAlerts`\ntimeout: 10s                             # also: proxy, ca, cert, key\n",
    traits: Traits { stateful: false, reach: Reach::Tell, most: MOST, digest: false, rate: None, draws: false },
    refused: "put a login that the receiver takes into `token`, or into `username` and `password`",
    settings,
};

#[derive(Debug, Clone, Serialize)]
struct WebhookSettings {
    url: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
    #[serde(flatten)]
    login: Login,
    max_alerts: usize,
    #[serde(flatten)]
    http: HttpSettings,
}

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    fields.required("url");
    let url = Address::take(fields, "url");
    let secret = Secret::take(fields, "secret");
    let max_alerts = max_alerts(fields);
    let (login, http) = (Login::read(fields), HttpSettings::read(fields));
    Some(ChannelSettings(Arc::new(WebhookSettings { url: url?, secret, login, max_alerts: max_alerts?, http })))
}

fn max_alerts(fields: &mut Fields<'_>) -> Option<usize> {
    let Some(number) = fields.number("max_alerts") else { return Some(MOST) };
    if number.fract() == 0.0 && (1.0..=MOST as f64).contains(&number) {
        return Some(number as usize);
    }
    let node = fields.node("max_alerts")?;
    fields.error(node, format!("`max_alerts` must be a whole number from 1 to {MOST}"));
    None
}

impl Settings for WebhookSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Webhook { name: name.into(), http: Http::new(&self.http, &means.env), settings: self.clone() })
    }
}

struct Webhook {
    name: String,
    http: Http,
    settings: WebhookSettings,
}

impl Channel for Webhook {
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

impl Webhook {
    async fn tell(&self, message: &Message) -> Result<Receipt, SendError> {
        let mut url = self.http.url("url", &self.settings.url).await?;
        let authorization = self.settings.login.put(&self.http, &mut url).await?;
        let json = body(message, &self.name, self.settings.max_alerts)?;
        let signature = match &self.settings.secret {
            Some(secret) => Some(signature(self.http.reveal("secret", secret).await?.expose(), self.http.now(), &json)),
            None => None,
        };
        let mut headers = vec![("content-type", "application/json"), ("idempotency-key", message.key.as_str())];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        headers.extend(signature.as_deref().map(|value| ("x-pgsteward-signature", value)));
        let answer = self.http.tell(&url, &headers, json.into_bytes()).await?;
        Ok(Receipt::new(format!("{} from {}", answer.status, answer.host)))
    }
}

/// `t=1700000000,v1=hex`: the time is signed too, so that an old message cannot be sent again by somebody else.
fn signature(secret: &str, now: DateTime<Utc>, body: &str) -> String {
    let seconds = now.timestamp();
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The form of Alertmanager's webhooks; `key`, `kind` and `episode` of an alert are ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: Labels,
    common_labels: Pairs<'a>,
    common_annotations: Pairs<'a>,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    alerts: Vec<Alert<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: Pairs<'a>,
    annotations: Pairs<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: &'a str,
    key: &'a str,
    kind: &'static str,
    episode: &'a str,
}

impl<'a> Alert<'a> {
    fn of(notice: &'a Notice) -> Self {
        let over = labelled::is_over(notice);
        Self {
            status: status(over),
            labels: labelled::labels(notice),
            annotations: labelled::annotations(notice),
            starts_at: labelled::time(notice.active_at),
            ends_at: if over { labelled::time(notice.at) } else { NOT_YET.into() },
            generator_url: labelled::link(notice),
            fingerprint: &notice.fingerprint.0,
            key: &notice.key,
            kind: notice.kind.as_str(),
            episode: &notice.episode,
        }
    }
}

fn status(over: bool) -> &'static str {
    if over { "resolved" } else { "firing" }
}

fn body(message: &Message, receiver: &str, most: usize) -> Result<String, SendError> {
    let alerts: Vec<Alert<'_>> = message.notices.iter().take(most).map(Alert::of).collect();
    let group = message.first().map_or_else(Group::default, |notice| notice.group.clone());
    let body = Body {
        version: "4",
        group_key: message.first().map_or("", group_key),
        truncated_alerts: message.omitted + message.notices.len().saturating_sub(most),
        status: status(message.is_resolved()),
        receiver,
        group_labels: group.labels,
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        external_url: "",
        alerts,
    };
    let json = serde_json::to_string(&body);
    json.map(|json| render::json_safe(&json)).map_err(|e| SendError::Permanent { detail: format!("the notice has no JSON form: {e}") })
}

/// An alert that is told by itself is a group of its own.
fn group_key(notice: &Notice) -> &str {
    if notice.group.key.is_empty() { &notice.fingerprint.0 } else { &notice.group.key }
}

/// What all of them have, with the same value.
fn common<'a: 'b, 'b>(mut all: impl Iterator<Item = &'b Pairs<'a>>) -> Pairs<'a> {
    let mut common = all.next().cloned().unwrap_or_default();
    all.for_each(|pairs| common.retain(|name, value| pairs.get(name) == Some(value)));
    common
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, hostile_notice, notice};
    use super::*;
    use crate::model::NoticeKind;

    fn parsed(message: &Message, most: usize) -> serde_json::Value {
        serde_json::from_str(&body(message, "hook", most).unwrap()).unwrap()
    }

    fn group_of(count: usize) -> Message {
        let group = Group { key: "0:rule=dead".into(), labels: [("rule", "dead")].into_iter().collect(), ..Group::default() };
        let of = |n: usize| {
            let mut one = Notice { group: group.clone(), ..notice(&format!("k{n}")) };
            one.subject.set("table", format!("t{n}"));
            one
        };
        Message { notices: (0..count).map(of).collect(), ..Message::of(of(0)) }
    }

    #[test]
    fn one_that_fires_and_one_that_is_over() {
        let mut message = group_of(2);
        message.notices[1].kind = NoticeKind::Resolved;
        message.omitted = 3;
        insta::assert_snapshot!(serde_json::to_string_pretty(&parsed(&message, 64)).unwrap());
    }

    #[test]
    fn what_is_too_many_is_counted() {
        let counted = |count, most| {
            let body = parsed(&group_of(count), most);
            (body["alerts"].as_array().unwrap().len(), body["truncatedAlerts"].as_u64().unwrap())
        };
        assert_eq!([(63, 64), (64, 64), (10_000, 64)].map(|(n, most)| counted(n, most)), [(63, 0), (64, 0), (64, 9_936)]);
        assert_eq!(counted(3, 1), (1, 2));
    }

    #[test]
    fn the_signature_is_over_time_and_body() {
        // printf '100.{}' | openssl dgst -sha256 -hmac hunter2
        assert_eq!(signature("hunter2", at(100), "{}"), "t=100,v1=e020d1ef0cbd6840c9fc9b7556081d2a9309cec274bf3569450b254f9dc56ad3");
        assert_ne!(signature("hunter2", at(101), "{}")[6..], signature("hunter2", at(100), "{}")[6..]);
    }

    #[test]
    fn hostile_text_is_carried_whole_and_cannot_break_out() {
        let hostile = hostile_notice("k");
        let body = parsed(&Message::of(hostile.clone()), 64);
        assert_eq!(body["alerts"][0]["annotations"]["summary"], hostile.summary.as_str());
        assert_eq!(body["alerts"][0]["labels"]["table"], hostile.subject.get("table").unwrap());
    }

    #[test]
    fn settings_are_checked_all_at_once() {
        let root = crate::yaml::parse("c", "max_alerts: 65\nusername: u\ntimeout: 0\n").unwrap();
        let mut fields = Fields::open("c", &root, "a channel").unwrap();
        assert!(settings("c", &mut fields).is_none());
        let problems: Vec<String> = fields.finish().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "c:1:1: error: `url` is missing",
                "c:1:13: error: `max_alerts` must be a whole number from 1 to 64",
                "c:1:1: error: give either `token`, or `username` (without a colon) and `password`",
                "c:3:10: error: `timeout` must be from 1s to 25s",
            ]
        );
    }
}
