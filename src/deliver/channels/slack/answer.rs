//! What Slack's answers mean. Its API answers 200 to everything and says in the body whether it did it; an incoming webhook
//! answers one word. Both name an error by a word, and the word says more than the status.

use serde_json::Value;

use crate::deliver::SendError;
use crate::deliver::http::{Answer, Http};
use crate::text::safe;

/// Words of errors that pass.
const LATER: [&str; 9] = [
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "rollup_error",
    "team_added_to_org",
];
/// Words by which nothing goes through until a person does something about the login or the webhook.
const REFUSED: [&str; 21] = [
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "org_login_required",
    "ekm_access_denied",
    "team_access_not_granted",
    "two_factor_setup_required",
    "accesslimited",
    "no_service",
    "no_service_id",
    "no_active_hooks",
    "no_team",
    "team_disabled",
    "invalid_token",
    "action_prohibited",
    "posting_to_general_channel_denied",
];
/// Words by which an earlier message cannot be replied to or changed any more.
const GONE: [&str; 6] =
    ["message_not_found", "thread_not_found", "invalid_thread_ts", "cant_update_message", "edit_window_closed", "is_inactive"];

/// Why Slack did not do it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Whether it is only about the earlier message.
    pub(super) gone: bool,
    /// Its class.
    pub(super) error: SendError,
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self { gone: false, error }
    }
}

/// What the API did.
pub(super) fn of_api(http: &Http, answer: &Answer) -> Result<Value, Refusal> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let word = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
    match body.as_ref().and_then(|body| body.get("ok")).and_then(Value::as_bool) {
        Some(true) if answer.status == 200 => Ok(body.unwrap_or_default()),
        // By 429 it says in a header for how long to wait.
        Some(false) if answer.status != 429 => Err(refusal(http, answer, word.unwrap_or("no_error_word"))),
        _ => Err(strange(http, answer).into()),
    }
}

/// What a webhook did.
pub(super) fn of_webhook(http: &Http, answer: &Answer) -> Result<(), SendError> {
    let text = answer.text();
    match text.trim() {
        "ok" if answer.status == 200 => Ok(()),
        word if is_word(word) && answer.status != 429 => Err(refusal(http, answer, word).error),
        _ => Err(strange(http, answer)),
    }
}

fn is_word(text: &str) -> bool {
    (3..60).contains(&text.len()) && text.contains('_') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn refusal(http: &Http, answer: &Answer, word: &str) -> Refusal {
    let advice = match word {
        "channel_not_found" => "; invite the app to that channel, or name the channel by its id",
        "not_in_channel" => "; write `/invite @` and the app's name in that channel",
        "is_archived" | "channel_is_archived" => "; name another `channel`",
        "missing_scope" => "; give the app the scope `chat:write`",
        _ if word.starts_with("no_") => "; the webhook is gone: make a new one and put it into `url`",
        _ => "",
    };
    let detail = format!("the receiver `{}` answers {}{advice}", answer.host, safe(&http.blot(word)));
    let error = if LATER.contains(&word) {
        SendError::retryable(detail)
    } else if REFUSED.contains(&word) {
        http.forget();
        SendError::Auth { detail }
    } else {
        SendError::Permanent { detail }
    };
    Refusal { gone: GONE.contains(&word), error }
}

/// An answer that is not Slack's: by its status, and one of success is none.
fn strange(http: &Http, answer: &Answer) -> SendError {
    match http.judge(answer) {
        Err(error) => error,
        Ok(()) => SendError::retryable(format!("the receiver `{}` answers {} without Slack's word for it", answer.host, answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::http::HttpSettings;
    use crate::env::Env;

    fn answer(status: u16, body: &str) -> (Http, Answer) {
        let http = Http::new(&HttpSettings::default(), &Env::of([]));
        let headers = [("retry-after", "7")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        (http, Answer { status, headers: headers.into_iter().collect(), body: body.into(), whole: true, host: "slack.example".into() })
    }

    fn class(error: &SendError) -> &'static str {
        match error {
            SendError::Retryable { after_s: Some(_), .. } => "later, it says when",
            SendError::Retryable { .. } | SendError::Unready { .. } => "later",
            SendError::Auth { .. } => "refused",
            SendError::Permanent { .. } => "never",
        }
    }

    #[test]
    fn two_hundred_is_not_yet_success() {
        let of = |status, body: &str| {
            let (http, answer) = answer(status, body);
            of_api(&http, &answer).map(|body| body["ts"].to_string()).map_err(|refusal| class(&refusal.error))
        };
        assert_eq!(of(200, r#"{"ok": true, "ts": "1.2"}"#), Ok("\"1.2\"".into()));
        let no = |word: &str| of(200, &serde_json::json!({"ok": false, "error": word}).to_string());
        assert_eq!(["ratelimited", "internal_error"].map(no), [Err("later"), Err("later")]);
        assert_eq!(["invalid_auth", "token_revoked", "account_inactive"].map(no), [Err("refused"), Err("refused"), Err("refused")]);
        assert_eq!(["channel_not_found", "invalid_blocks", "new_word"].map(no), [Err("never"), Err("never"), Err("never")]);
        assert_eq!(of(429, r#"{"ok": false, "error": "ratelimited"}"#), Err("later, it says when"));
        assert_eq!(of(200, ""), Err("later"));
        assert_eq!(of(200, "<html>log in to the hotel's network</html>"), Err("later"));
        assert_eq!(of(503, "busy"), Err("later, it says when"));
    }

    #[test]
    fn a_webhook_says_ok_or_a_word() {
        let of = |status, body: &str| {
            let (http, answer) = answer(status, body);
            of_webhook(&http, &answer).map_err(|error| class(&error))
        };
        assert_eq!(of(200, "ok\n"), Ok(()));
        assert_eq!(of(404, "no_service"), Err("refused"));
        assert_eq!(of(400, "invalid_payload"), Err("never"));
        assert_eq!(of(410, "channel_is_archived"), Err("never"));
        assert_eq!(of(500, "rollup_error"), Err("later"));
        assert_eq!(of(429, "rate_limited"), Err("later, it says when"));
        assert_eq!(of(200, ""), Err("later"));
        assert_eq!(of(403, "forbidden"), Err("refused"));
    }

    #[test]
    fn a_person_is_told_what_to_do() {
        let (http, answer) = answer(404, "no_service");
        assert_eq!(
            of_webhook(&http, &answer).unwrap_err().to_string(),
            "the receiver `slack.example` answers no_service; the webhook is gone: make a new one and put it into `url`"
        );
    }
}
