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

use futures_util::future::BoxFuture;

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
host: smtp.example.com
port: 587                               # the default is 587, 465 for implicit and 25 for none
tls: starttls                           # implicit: encrypted from the first byte; none: needs `why`, for a network you trust
user: pgsteward
password: {file: /etc/pgsteward/smtp}
timeout: 20s
# templates: {title: "{{ severity }}: {{ summary }}"}   # the subject; `body`: plain text, shown in both parts
# ca: /etc/pgsteward/ca.pem             # trusted instead of the system's certificates
# hello: db-watch.example.com           # what we call ourselves; this machine's name where it is not set
# sendmail: [/usr/sbin/sendmail, -oi]   # a local program instead of host, port, tls, ca, user, password and hello
"#,
    traits: Traits { stateful: false, reach: Reach::Tell, most: 200, digest: true, rate: Some(Rate { count: 30, per_s: 60 }), draws: true },
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
            match &self.settings.carrier {
                Carrier::Smtp(smtp) => smtp::send(smtp, mail.envelope(), &mail.formatted(), &self.env).await,
                Carrier::Sendmail(sendmail) => sendmail::send(sendmail, mail.envelope(), &mail.formatted()).await,
            }
        })
    }
}
