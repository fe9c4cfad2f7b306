//! `teams`: to a channel of Microsoft Teams, through a flow of Workflows that posts what it is sent. The flow's address is
//! its password. Nothing can be replied to or changed: a flow answers before it has posted, and names no message.
//!
//! That also means that a receipt only says that the flow took it; what the flow makes of it shows in its own history.

mod card;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

use super::{ChannelKind, ChannelSettings, Means, Rate, Settings, Traits};
use crate::deliver::escape::Escape;
use crate::deliver::hook::Hook;
use crate::deliver::http::{Answer, Http};
use crate::deliver::story::Story;
use crate::deliver::{Channel, Message, Receipt, SendError};
use crate::model::Reach;
use crate::text::safe;
use crate::yaml::Fields;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "teams",
    doc: "posts Adaptive Cards to a channel of Microsoft Teams, through the address of a Workflows flow (`Post to a channel when a webhook request is received`)",
    example: "kind: teams\nurl: {file: /run/credentials/pgsteward/teams}   # the flow's address; it is a password\n",
    traits: Traits { stateful: false, reach: Reach::Tell, most: 20, digest: true, rate: Some(Rate { count: 4, per_s: 1 }), draws: false },
    refused: "take the address of a flow that lives, and put it into `url`",
    settings,
};

#[derive(Debug, Clone, Serialize)]
struct TeamsSettings(Hook);

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    Hook::take(fields, Escape::Markdown).map(|hook| ChannelSettings(Arc::new(TeamsSettings(hook))))
}

impl Settings for TeamsSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> Value {
        json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Teams { name: name.into(), http: Http::new(&self.0.http, &means.env), hook: self.0.clone() })
    }
}

struct Teams {
    name: String,
    hook: Hook,
    http: Http,
}

impl Channel for Teams {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let story = Story::of(message, &self.hook.templates);
            let body = card::message(&story).ok_or_else(|| SendError::Permanent { detail: "it does not fit into 28 kB".into() })?;
            let url = self.http.url("url", &self.hook.url).await?;
            let answer = self.http.tell(&url, &[("content-type", "application/json")], body.into_bytes()).await?;
            taken(&self.http, &answer)
        })
    }
}

/// A flow answers 200 or 202 with nothing; a gateway on the way may put its own error into a 200.
fn taken(http: &Http, answer: &Answer) -> Result<Receipt, SendError> {
    let text = answer.text();
    let error = serde_json::from_str::<Value>(&text).ok().and_then(|body| {
        let error = body.get("error")?;
        Some(error.get("message").or_else(|| error.get("code")).unwrap_or(error).to_string())
    });
    match error {
        Some(error) => {
            let words = safe(&crate::deliver::render::cut(&http.blot(&error), 200));
            Err(SendError::retryable(format!("the receiver `{}` answers {} with the error {words}", answer.host, answer.status)))
        }
        None => Ok(Receipt::new(format!("{}, taken by the flow", answer.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::http::HttpSettings;
    use crate::env::Env;

    #[test]
    fn a_success_that_holds_an_error_is_none() {
        let of = |status, body: &str| {
            let http = Http::new(&HttpSettings::default(), &Env::of([]));
            let answer = Answer { status, headers: Default::default(), body: body.into(), whole: true, host: "flow.example".into() };
            taken(&http, &answer).map(|receipt| receipt.text).map_err(|error| error.to_string())
        };
        assert_eq!(of(202, ""), Ok("202, taken by the flow".into()));
        assert_eq!(of(200, "1"), Ok("200, taken by the flow".into()));
        assert_eq!(
            of(200, r#"{"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "it is off"}}"#),
            Err("the receiver `flow.example` answers 200 with the error \"it is off\"".into())
        );
    }
}
