//! A notice as Alertmanager, and whatever reads its webhooks, sees an alert: labels that say who it is, annotations that
//! say what is wrong. Names follow Prometheus' habits: `alertname`, `severity`, `summary`, `description`.
//!
//! Labels are identity to those receivers, so they hold what does not change within an episode, and the severity, which
//! their routes are written with. Texts are as they came, but cut: whoever shows them escapes them; JSON carries all.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Url;

use super::render::cut;
use crate::model::{ActionRequest, Evidence, Notice, NoticeKind};

/// Characters of one label value.
const LABEL: usize = 1_000;
/// Characters of a summary.
const SUMMARY: usize = 1_000;
/// Characters of a longer text.
const TEXT: usize = 8_000;

/// Label or annotation names with their values.
pub type Pairs<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// The labels. Our own names win over the subject's, those over the routing labels; an empty value is no label.
#[must_use]
pub fn labels(notice: &Notice) -> Pairs<'_> {
    let mut labels = Pairs::new();
    let mut put = |name: &'_ str, value| drop(labels.insert(name.to_string().into(), cut(value, LABEL)));
    notice.labels.0.iter().chain(notice.subject.0.iter()).for_each(|(name, value)| put(&label_name(name), value));
    put("alertname", &notice.rule);
    put("severity", notice.severity.as_str());
    put("target", &notice.target);
    put("category", &notice.category);
    put("cluster", notice.cluster.as_deref().unwrap_or_default());
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// A name that every version of Alertmanager takes: letters, digits and `_`, no digit first.
fn label_name(name: &str) -> String {
    let legal = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    digit.then_some('_').into_iter().chain(legal).collect()
}

/// The annotations; one that has nothing to say is not there.
#[must_use]
pub fn annotations(notice: &Notice) -> Pairs<'_> {
    let drill = if notice.drill { "this is an exercise, nothing is wrong" } else { "" };
    let all = [
        ("summary", cut(&notice.summary, SUMMARY)),
        ("title", cut(&notice.title, SUMMARY)),
        ("description", cut(&notice.detail, TEXT)),
        ("evidence", lines(notice.evidence.iter().map(fact))),
        ("advice", lines(notice.actions.iter().filter_map(advice))),
        ("runbook", cut(&notice.runbook, TEXT)),
        ("reason", cut(&notice.reason, SUMMARY)),
        ("acknowledged", cut(notice.acked.as_deref().unwrap_or_default(), SUMMARY)),
        ("began_during", cut(notice.began_during.as_deref().unwrap_or_default(), SUMMARY)),
        ("fallback_of", cut(notice.fallback_of.as_deref().unwrap_or_default(), SUMMARY)),
        ("drill", drill.into()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.into(), text)).collect()
}

fn lines<'a>(lines: impl Iterator<Item = String>) -> Cow<'a, str> {
    cut(&lines.collect::<Vec<_>>().join("\n"), TEXT).into_owned().into()
}

/// `dead / trigger 6 x (limit 4 x)`.
#[must_use]
pub fn fact(fact: &Evidence) -> String {
    let value = fact.value.map_or("unknown".into(), |value| fact.unit.show(value));
    let limit = fact.threshold.map_or(String::new(), |limit| format!(" (limit {})", fact.unit.show(limit)));
    format!("{} {value}{limit}", fact.metric)
}

/// SQL to run, or what the advice says.
#[must_use]
pub fn advice(action: &ActionRequest) -> Option<String> {
    match action.sql() {
        Ok(Some(sql)) => Some(format!("{sql};")),
        _ => action.params.get("text").cloned(),
    }
}

/// Where to read on: the first link that is a web address.
#[must_use]
pub fn link(notice: &Notice) -> &str {
    notice.links.iter().map(|link| link.url.as_str()).find(|url| is_web(url)).unwrap_or_default()
}

/// Whether a link leads to a page, and not to a script.
#[must_use]
pub fn is_web(link: &str) -> bool {
    Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether it is over.
#[must_use]
pub fn is_over(notice: &Notice) -> bool {
    notice.kind == NoticeKind::Resolved
}

/// `2026-01-05T10:00:00.000Z`.
#[must_use]
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::super::testing::notice;
    use super::*;
    use crate::model::{Link, Unit};

    #[test]
    fn who_it_is_and_what_is_wrong() {
        let notice = Notice { reason: "first of its episode".into(), ..notice("k") };
        insta::assert_snapshot!(serde_json::to_string_pretty(&serde_json::json!([labels(&notice), annotations(&notice)])).unwrap());
    }

    #[test]
    fn our_own_names_win_and_every_name_is_legal() {
        let mut notice = notice("k");
        notice.labels = [("severity", "none"), ("app.kubernetes.io/name", "x"), ("5xx", "y"), ("team", "dba")].into_iter().collect();
        notice.subject = [("alertname", "forged"), ("team", "subject"), ("slot", "")].into_iter().collect();
        let labels = labels(&notice);
        let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "_5xx=y",
                "alertname=dead_tuples_past_trigger",
                "app_kubernetes_io_name=x",
                "category=vacuum",
                "severity=warning",
                "target=orders-1",
                "team=subject",
            ]
        );
    }

    #[test]
    fn what_is_no_number_is_a_word() {
        let shown = |value| fact(&Evidence { metric: "m".into(), value, threshold: None, unit: Unit::None });
        assert_eq!([Some(f64::NAN), Some(f64::INFINITY), None].map(shown), ["m unknown", "m infinite", "m unknown"]);
    }

    #[test]
    fn only_web_pages_are_linked() {
        let with = |url: &str| Notice { links: vec![Link { title: "t".into(), url: url.into() }], ..Notice::default() };
        assert_eq!(link(&with("javascript:alert(1)")), "");
        assert_eq!(link(&with("https://wiki.corp/vacuum")), "https://wiki.corp/vacuum");
    }
}
