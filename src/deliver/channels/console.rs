//! `console`: notices on the terminal of the process.

use std::sync::PoisonError;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{ChannelKind, ChannelSettings, Means, Settings, Terminal, Traits, blocking};
use crate::deliver::{Channel, Message, Receipt, SendError, render};
use crate::model::Reach;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "console",
    doc: "writes notices to the terminal, for people",
    example: "kind: console\n",
    traits: Traits { stateful: false, reach: Reach::Record, most: 1, digest: false, rate: None, draws: false },
    refused: "",
    settings: |_, _| Some(ChannelSettings(std::sync::Arc::new(ConsoleSettings {}))),
};

#[derive(Debug, Serialize)]
struct ConsoleSettings {}

impl Settings for ConsoleSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Console { name: name.into(), terminal: means.terminal.clone() })
    }
}

struct Console {
    name: String,
    terminal: Terminal,
}

impl Channel for Console {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let text: String = message.notices.iter().map(|notice| render::console(notice, &notice.key, self.terminal.look)).collect();
        let writer = self.terminal.writer.clone();
        // A terminal that is held (Ctrl-S), or a full pipe, blocks.
        Box::pin(blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let written = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
            written.map(|()| Receipt::new("shown")).map_err(|e| SendError::retryable(format!("the terminal cannot be written: {e}")))
        }))
    }
}
