//! `alertmanager`: posts alerts to the API (v2) of one Alertmanager or of all members of a cluster, which then fans out.
//!
//! Members do not pass alerts on to each other, so each is posted to; the message is told when one has taken it. An
//! Alertmanager ends by itself what nobody posts again, so what fires is posted with an end far ahead (`ends_after`), and
//! the end itself when it comes: `ends_after` must be longer than the repeat interval. Severity is a label and so part of
//! who an alert is there: a change of severity ends the other severities, and an end ends all of them.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{BoxFuture, join_all};
use reqwest::Url;
use serde::Serialize;

use super::{ChannelKind, ChannelSettings, Means, Settings, Traits};
use crate::deliver::http::{Address, Http, HttpSettings, Login};
use crate::deliver::labelled::{self, Pairs};
use crate::deliver::{Channel, Message, Receipt, SendError, render};
use crate::model::{Notice, NoticeKind, Reach, Severity};
use crate::problem::Problem;
use crate::yaml::Fields;

/// Seconds after which an Alertmanager ends what we post, where nobody says: a week.
const ENDS_AFTER_S: u64 = 7 * 86_400;
/// The same of a drill: long enough for the receiver's own `group_wait`, as what ends before that is told to nobody there.
const DRILL_ENDS_AFTER_S: u64 = 300;
/// Legal values of `ends_after`: an hour to a quarter of a year.
const LEGAL_S: std::ops::RangeInclusive<u64> = 3_600..=92 * 86_400;
/// Where alerts are posted to.
const PATH: &str = "api/v2/alerts";

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "alertmanager",
    doc: "posts alerts to an Alertmanager, or to every member of a cluster of them",
    example: "kind: alertmanager\nurls: [https://am-1.example, https://am-2.example]   # every member; a path prefix is kept; or {env: NAME}, {file: /path}\nends_after: 7d                    # must be longer than the repeat; a crash of all pgstewards leaves alerts open this long\nusername: pgsteward               # or `token`, or nothing\npassword: {env: AM_PASSWORD}\ntimeout: 10s                      # also: proxy, ca, cert, key\n",
    traits: Traits { stateful: true, reach: Reach::Tell, most: 64, digest: false, rate: None, draws: false },
    refused: "put a login that the receiver takes into `token`, or into `username` and `password`",
    settings,
};

#[derive(Debug, Clone, Serialize)]
struct AlertmanagerSettings {
    urls: Vec<Address>,
    /// Seconds.
    ends_after: u64,
    #[serde(flatten)]
    login: Login,
    #[serde(flatten)]
    http: HttpSettings,
}

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    let urls = urls(fields);
    let ends_after = ends_after(fields);
    let (login, http) = (Login::read(fields), HttpSettings::read(fields));
    Some(ChannelSettings(Arc::new(AlertmanagerSettings { urls: urls?, ends_after: ends_after?, login, http })))
}

fn urls(fields: &mut Fields<'_>) -> Option<Vec<Address>> {
    let node = fields.required("urls")?;
    let list = fields.list("urls")?;
    let urls: Vec<Address> = list.iter().filter_map(|node| Address::of(fields, "urls", node)).collect();
    if list.is_empty() {
        fields.error(node, "`urls` must name at least one Alertmanager");
    }
    (!urls.is_empty() && urls.len() == list.len()).then_some(urls)
}

fn ends_after(fields: &mut Fields<'_>) -> Option<u64> {
    let seconds = fields.seconds("ends_after").unwrap_or(ENDS_AFTER_S);
    if LEGAL_S.contains(&seconds) {
        return Some(seconds);
    }
    let at = fields.node("ends_after").map(|node| node.at);
    fields.problems.push(Problem::error(fields.file(), at, "`ends_after` must be from 1h to 92d"));
    None
}

impl Settings for AlertmanagerSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Alertmanager { name: name.into(), http: Http::new(&self.http, &means.env), settings: self.clone() })
    }
}

struct Alertmanager {
    name: String,
    http: Http,
    settings: AlertmanagerSettings,
}

impl Channel for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.tell(message))
    }
}

impl Alertmanager {
    async fn tell(&self, message: &Message) -> Result<Receipt, SendError> {
        let json = body(message, self.http.now(), self.settings.ends_after)?;
        sum(join_all(self.settings.urls.iter().map(|member| self.tell_one(member, &json))).await)
    }

    async fn tell_one(&self, member: &Address, json: &str) -> Result<String, SendError> {
        let mut url = api(self.http.url("urls", member).await?);
        let authorization = self.settings.login.put(&self.http, &mut url).await?;
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.http.tell(&url, &headers, json.as_bytes().to_vec()).await.map(|answer| answer.host)
    }
}

/// `https://am/prefix/` is posted to at `https://am/prefix/api/v2/alerts`.
fn api(mut url: Url) -> Url {
    let prefix = url.path().trim_end_matches('/');
    let path = if prefix.ends_with(PATH) { prefix.to_string() } else { format!("{prefix}/{PATH}") };
    url.set_path(&path);
    url
}

/// What the members said: told when one has it, else the error that leaves most hope.
fn sum(answers: Vec<Result<String, SendError>>) -> Result<Receipt, SendError> {
    let all = answers.len();
    let (took, mut failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let took: Vec<String> = took.into_iter().flatten().collect();
    if !took.is_empty() {
        let missed: Vec<String> = failed.iter().filter_map(|answer| answer.as_ref().err()).map(|error| format!("; {error}")).collect();
        return Ok(Receipt::new(format!("taken by {} of {all}: {}{}", took.len(), took.join(", "), missed.concat())));
    }
    failed.sort_by_key(|answer| match answer {
        Err(SendError::Retryable { .. } | SendError::Unready { .. }) => 0,
        Err(SendError::Auth { .. }) => 1,
        _ => 2,
    });
    failed.into_iter().next().unwrap_or_else(|| Err(SendError::Permanent { detail: "the channel has no address".into() })).map(Receipt::new)
}

/// An alert as the API takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: Pairs<'a>,
    annotations: Pairs<'a>,
    starts_at: String,
    /// Absent leaves it to the receiver's `resolve_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
}

fn body(message: &Message, now: DateTime<Utc>, ends_after_s: u64) -> Result<String, SendError> {
    let alerts: Vec<Alert<'_>> = message.notices.iter().flat_map(|notice| alerts(notice, now, ends_after_s)).collect();
    let json = serde_json::to_string(&alerts);
    json.map(|json| render::json_safe(&json)).map_err(|e| SendError::Permanent { detail: format!("the notice has no JSON form: {e}") })
}

/// The alert itself, and the ends of its other severities where one of them may be open.
fn alerts(notice: &Notice, now: DateTime<Utc>, ends_after_s: u64) -> Vec<Alert<'_>> {
    let over = labelled::is_over(notice);
    let ends_after_s = if notice.drill { DRILL_ENDS_AFTER_S } else { ends_after_s };
    let ahead = i64::try_from(ends_after_s).ok().and_then(TimeDelta::try_seconds).and_then(|span| now.checked_add_signed(span));
    let ends_at = match notice.kind {
        NoticeKind::Resolved => Some(notice.at),
        // Its whole point is that it ends soon after we do.
        NoticeKind::Heartbeat => None,
        _ => ahead,
    };
    let own = alert(notice, notice.severity, ends_at);
    let changed = over || matches!(notice.kind, NoticeKind::Raised | NoticeKind::Lowered);
    let others = Severity::ALL.into_iter().filter(|severity| changed && *severity != notice.severity);
    std::iter::once(own).chain(others.map(|severity| alert(notice, severity, Some(notice.at)))).collect()
}

fn alert(notice: &Notice, severity: Severity, ends_at: Option<DateTime<Utc>>) -> Alert<'_> {
    let mut labels = labelled::labels(notice);
    labels.insert("severity".into(), severity.as_str().into());
    let mut annotations = labelled::annotations(notice);
    annotations.insert("key".into(), Cow::Borrowed(&notice.key));
    Alert {
        labels,
        annotations,
        starts_at: labelled::time(notice.active_at),
        ends_at: ends_at.map(labelled::time),
        generator_url: labelled::link(notice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, notice};
    use super::*;

    fn posted(kind: NoticeKind) -> Vec<(String, String)> {
        let message = Message::of(Notice { kind, ..notice("k") });
        let body: serde_json::Value = serde_json::from_str(&body(&message, at(700), 3_600).unwrap()).unwrap();
        let alerts = body.as_array().unwrap().iter();
        alerts
            .map(|alert| (alert["labels"]["severity"].as_str().unwrap().into(), alert["endsAt"].as_str().unwrap_or("never").into()))
            .collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn one_severity_is_open_and_an_end_ends_all() {
        let (ahead, told) = ("1970-01-01T01:11:40.000Z", "1970-01-01T00:10:00.000Z");
        for kind in [NoticeKind::Firing, NoticeKind::Repeat, NoticeKind::Acknowledged, NoticeKind::Escalated] {
            assert_eq!(posted(kind), pairs(&[("warning", ahead)]));
        }
        assert_eq!(posted(NoticeKind::Raised), pairs(&[("warning", ahead), ("info", told), ("critical", told)]));
        assert_eq!(posted(NoticeKind::Resolved), pairs(&[("warning", told), ("info", told), ("critical", told)]));
        assert_eq!(posted(NoticeKind::Heartbeat), pairs(&[("warning", "never")]));
    }

    #[test]
    fn a_drill_ends_by_itself_after_five_minutes() {
        let drill = Notice { drill: true, ..notice("k") };
        let ends: Vec<String> = alerts(&drill, at(700), 7 * 86_400).into_iter().filter_map(|alert| alert.ends_at).collect();
        assert_eq!(ends, [labelled::time(at(1_000))]);
    }

    #[test]
    fn an_alert_as_it_is_posted() {
        let posted = body(&Message::of(notice("k")), at(700), 3_600).unwrap();
        let posted: serde_json::Value = serde_json::from_str(&posted).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&posted).unwrap());
    }

    #[test]
    fn a_prefix_is_kept() {
        let api = |url: &str| api(Url::parse(url).unwrap()).to_string();
        assert_eq!(api("https://am"), "https://am/api/v2/alerts");
        assert_eq!(api("https://am/prefix/"), "https://am/prefix/api/v2/alerts");
        assert_eq!(api("https://am/prefix/api/v2/alerts"), "https://am/prefix/api/v2/alerts");
    }

    #[test]
    fn one_member_is_enough_and_the_others_are_named() {
        let retry = || Err(SendError::retryable("am-2 is away"));
        let never = || Err(SendError::Permanent { detail: "am-3 says no".into() });
        assert_eq!(sum(vec![retry(), Ok("am-1".into()), never()]).unwrap().text, "taken by 1 of 3: am-1; am-2 is away; am-3 says no");
        assert_eq!(sum(vec![never(), retry()]).unwrap_err(), SendError::retryable("am-2 is away"));
    }

    #[test]
    fn settings_are_checked_all_at_once() {
        let problems = |yaml: &str| -> Vec<String> {
            let root = crate::yaml::parse("c", yaml).unwrap();
            let mut fields = Fields::open("c", &root, "a channel").unwrap();
            assert!(settings("c", &mut fields).is_none());
            fields.finish().iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            problems("urls: []\nends_after: 5m\n"),
            ["c:1:7: error: `urls` must name at least one Alertmanager", "c:2:13: error: `ends_after` must be from 1h to 92d"]
        );
        assert_eq!(
            problems("urls: [am-1]"),
            ["c:1:8: error: `urls` must be an address such as `https://host/path`: relative URL without a base"]
        );
    }
}
