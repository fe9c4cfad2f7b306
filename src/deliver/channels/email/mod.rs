//! `email`: one mail a message, over SMTP or a local `sendmail`.
//!
//! `settings` are read and checked, `mail` makes the headers and parts, `page` what is read, `smtp` and `sendmail` carry it.
//! A mail is made of the message alone, so that what is sent again is the same to the byte, with the same Message-ID: who
//! gets it twice can drop one. Plots are PNG parts of the mail itself (`cid:`): most mail programs show those at once,
//! few show SVG, and pictures from elsewhere are blocked or tell who reads. All is encoded to ASCII, so a server needs no
//! 8BITMIME. Deliberately absent: kept connections, since a digest stands for a flood; OAuth logins; DKIM, which is the
//! mail server's.

mod mail;
mod page;
mod sendmail;
mod settings;
mod smtp;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::address::Envelope;

use self::settings::{Carrier, EmailSettings};
use super::{ChannelKind, ChannelSettings, Means, Rate, Settings, Traits};
use crate::deliver::{Channel, Message, Receipt, SendError};
use crate::env::Env;
use crate::model::Reach;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "email",
    doc: "sends mails with plots, over SMTP or a local sendmail",
    example: r#"kind: email
from: pgsteward <pgsteward@example.com>
to: [dba@example.com]                   # cc: works the same
smtp:
  host: smtp.example.com
  port: 587                             # the default is 587, 465 for implicit and 25 for none
  tls: starttls                         # implicit: encrypted from the first byte; none: needs `why`, for a network you trust
  user: pgsteward
  password: {file: /etc/pgsteward/smtp}
  # ca: /etc/pgsteward/ca.pem           # trusted instead of the system's certificates
  # hello: db-watch.example.com         # what we call ourselves; this machine's name where it is not set
timeout: 20s
# sendmail: [/usr/sbin/sendmail, -oi]   # a local program instead of `smtp`
# templates: {title: "{{ severity }}: {{ summary }}"}   # the subject; `body`: plain text, shown in both parts
"#,
    traits: Traits { stateful: false, reach: Reach::Tell, most: 200, digest: true, rate: Some(Rate { count: 30, per_s: 60 }), draws: true },
    refused: "put a login that the relay takes into `user` and `password` of `smtp`",
    settings: |file, fields| settings::read(file, fields).map(|settings| ChannelSettings(Arc::new(settings))),
};

impl Settings for EmailSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Email { name: name.into(), settings: self.clone(), env: means.env.clone() })
    }
}

/// A mail as it goes out.
struct Ready {
    envelope: Envelope,
    bytes: Vec<u8>,
}

struct Email {
    name: String,
    settings: EmailSettings,
    env: Env,
}

impl Channel for Email {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let written = mail::write(message, &self.settings);
            let mail = written.map_err(|e| SendError::Permanent { detail: format!("the mail cannot be written: {e}") })?;
            let mail = Ready { envelope: mail.envelope().clone(), bytes: mail.formatted() };
            let limit = Duration::from_secs(self.settings.timeout_s);
            match &self.settings.carrier {
                Carrier::Smtp(smtp) => smtp::send(smtp, limit, &mail, &self.env).await,
                Carrier::Sendmail(command) => sendmail::send(command, limit, &mail).await,
            }
        })
    }
}
