//! What an answer, or the lack of one, means: pure, and the same for every channel over HTTP.
//!
//! 2xx: taken. Later again: no answer, 408, 425, 429, 5xx. Refused: 401, 403, 407. Never: everything else, redirects too.

use std::error::Error;
use std::io;

use chrono::{DateTime, Utc};
use rustls::{AlertDescription, CertificateError};

use crate::deliver::{SendError, render};

/// Characters of a body that an error repeats.
const BODY_CHARS: usize = 200;

/// What a receiver said.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Its host.
    pub host: &'a str,
    /// The status code.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body.
    pub body: &'a str,
}

/// Whether the message was taken.
///
/// # Errors
/// By the status code; retryable with the seconds that the receiver asks to wait, counted from `now`.
pub fn class(said: &Said<'_>, now: DateTime<Utc>) -> Result<(), SendError> {
    let detail = |advice: &str| format!("the receiver `{}` answers {}{advice}", said.host, words(said));
    match said.status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => {
            Err(SendError::Retryable { detail: detail(""), after_s: said.retry_after.and_then(|text| seconds(text, now)) })
        }
        401 | 403 => Err(SendError::Auth { detail: detail("") }),
        407 => Err(SendError::Auth { detail: detail("; give `proxy` a login") }),
        300..=399 => Err(SendError::Permanent { detail: detail("; redirects are not followed, so set the address that it leads to") }),
        _ => Err(SendError::Permanent { detail: detail("") }),
    }
}

/// `503 Service Unavailable: the body's first line`.
fn words(said: &Said<'_>) -> String {
    let reason = reqwest::StatusCode::from_u16(said.status).ok().and_then(|code| code.canonical_reason());
    let line = said.body.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.map_or(String::new(), |line| format!(": {}", render::cut(line, BODY_CHARS)));
    format!("{}{}{line}", said.status, reason.map_or(String::new(), |reason| format!(" {reason}")))
}

/// `Retry-After`: seconds, or a date.
fn seconds(text: &str, now: DateTime<Utc>) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let until = DateTime::parse_from_rfc2822(text).ok()?;
        Some(u64::try_from((until.to_utc() - now).num_seconds()).unwrap_or(0))
    })
}

/// The error of a request that no answer came to. Its own words may hold the whole address, so only its causes are told.
pub(super) fn no_answer(error: &reqwest::Error, host: &str, proxied: bool, timeout_s: u64) -> SendError {
    let causes: Vec<&(dyn Error + 'static)> = std::iter::successors(error.source(), |cause| inner(*cause)).collect();
    if let Some(tls) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return SendError::retryable(certificate(tls, host));
    }
    let last = causes.last().map_or_else(|| "no reason is known".into(), ToString::to_string);
    if last.contains("proxy authorization required") {
        return SendError::Auth { detail: format!("the proxy on the way to `{host}` wants a login; give it to `proxy`") };
    }
    if last.contains("tunnel error") {
        return SendError::retryable(format!("the proxy on the way to `{host}` opens no way there; its log says why"));
    }
    let way = if proxied { " through the proxy" } else { "" };
    SendError::retryable(match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("the receiver `{host}` takes no connection{way} in time"),
        (true, false) => format!("the receiver `{host}` did not answer within {timeout_s} s"),
        (false, true) => format!("the receiver `{host}` cannot be reached{way}: {last}"),
        (false, false) => format!("the receiver `{host}` broke off: {last}"),
    })
}

/// What an error came from; an IO error may carry it inside.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    carried.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
}

/// What to do about a connection that could not be made safe.
fn certificate(error: &rustls::Error, host: &str) -> String {
    use AlertDescription::{AccessDenied, CertificateExpired, CertificateRevoked, CertificateUnknown, UnknownCA};
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            format!("the certificate of `{host}` has expired; whoever runs it must renew it")
        }
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            format!("the certificate of `{host}` is not valid yet; look at the clocks of both machines")
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            format!("the certificate of `{host}` is for another name; write the name that stands in it into the address")
        }
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            format!("the certificate of `{host}` is signed by nobody that is trusted here; set `ca` to the file with its authority")
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            format!("the receiver `{host}` wants a certificate of ours; set `cert` and `key`")
        }
        rustls::Error::AlertReceived(alert @ (UnknownCA | CertificateExpired | CertificateRevoked | CertificateUnknown | AccessDenied)) => {
            format!("the receiver `{host}` does not take our certificate ({alert:?}); set `cert` and `key` to one that it trusts")
        }
        other => format!("the receiver `{host}` and we do not agree on TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Result<(), SendError> {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        class(&Said { host: "h", status, retry_after, body: "\n  no\u{20ac}pe  \nmore" }, now)
    }

    #[test]
    fn every_status_has_its_class() {
        for status in 0..=999 {
            let word = match answer(status, None) {
                Ok(()) => "taken",
                Err(SendError::Retryable { .. } | SendError::Unready { .. }) => "later",
                Err(SendError::Auth { .. }) => "refused",
                Err(SendError::Permanent { .. }) => "never",
            };
            let expected = match status {
                200..=299 => "taken",
                408 | 425 | 429 | 500..=599 => "later",
                401 | 403 | 407 => "refused",
                _ => "never",
            };
            assert_eq!(word, expected, "{status}");
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_rubbish_is_none() {
        let wait = |text| match answer(429, Some(text)) {
            Err(SendError::Retryable { after_s, .. }) => after_s,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait(" 3600 "), Some(3_600));
        assert_eq!(wait("Thu, 04 Oct 2024 00:01:00 GMT"), None, "the weekday is wrong");
        assert_eq!(wait("Fri, 04 Oct 2024 00:01:00 GMT"), Some(60));
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(["soon", "-5", "1.5", "", "99999999999999999999"].map(wait), [None; 5]);
    }

    #[test]
    fn the_detail_is_one_line_with_the_first_line_of_the_body() {
        assert_eq!(answer(503, None).unwrap_err().to_string(), "the receiver `h` answers 503 Service Unavailable: no\u{20ac}pe");
        assert_eq!(
            answer(302, None).unwrap_err().to_string(),
            "the receiver `h` answers 302 Found: no\u{20ac}pe; redirects are not followed, so set the address that it leads to"
        );
        let long = "\u{1f600}".repeat(5_000);
        let error = class(&Said { host: "h", status: 400, retry_after: None, body: &long }, DateTime::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().chars().count() < 300);
    }
}
