//! HTTP for channels: one line to a receiver, which sends a body once and classes what comes back.
//!
//! `settings` is what every channel over HTTP may be told (proxy, certificates, timeout), `address` where it sends to,
//! `login` who we are there, `client` the connection, `class` what an answer or a failure means. Secrets and certificates are read when they are
//! first needed and read anew after a refusal, so that what was renewed needs no restart. No word of an error holds an
//! address beyond its host, or a secret: a receiver that sends one back is blotted out.
//!
//! Deliberately absent: redirects, cookies, compression, and trying again.

mod address;
mod class;
mod client;
mod login;
mod settings;

pub use address::Address;
pub use class::{Said, class};
pub use login::Login;
pub use settings::HttpSettings;

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};

use super::SendError;
use crate::clock::Clock;
use crate::env::Env;
use crate::secret::{Revealed, Secret};

/// Bytes of an answer that are read.
pub const MOST_READ: usize = 64 * 1024;

/// What a receiver answered, whatever it means.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The first 64 kB of the body.
    pub body: Vec<u8>,
    /// Whether that is all of it. The status is known even when the body broke off.
    pub whole: bool,
    /// The receiver's host, for messages.
    pub host: String,
}

impl Answer {
    /// The value of a header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; bytes that are none are shown as such.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// A line to one receiver. Opens nothing until something is sent.
#[derive(Debug)]
pub struct Http {
    settings: HttpSettings,
    env: Env,
    clock: Clock,
    kept: Mutex<Kept>,
}

/// What is kept from one message to the next.
#[derive(Debug, Default)]
struct Kept {
    client: Option<Client>,
    secrets: Vec<Held>,
}

/// The latest value of a secret. One that is to be read anew stays until then: an answer may still send it back.
#[derive(Debug)]
struct Held {
    secret: Secret,
    value: Revealed,
    stale: bool,
}

impl Http {
    /// A line by those settings; secrets and proxies are looked up in `env`.
    #[must_use]
    pub fn new(settings: &HttpSettings, env: &Env) -> Self {
        Self { settings: settings.clone(), env: env.clone(), clock: Clock::System, kept: Mutex::default() }
    }

    /// The time now, for what must carry the time of sending.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The value of a secret, which `setting` names; kept until the receiver refuses us.
    ///
    /// # Errors
    /// Unready when it is not to be had: files, variables and commands may come back by themselves.
    pub async fn reveal(&self, setting: &'static str, secret: &Secret) -> Result<Revealed, SendError> {
        if let Some(held) = self.kept().secrets.iter().find(|held| held.secret == *secret && !held.stale) {
            return Ok(held.value.clone());
        }
        let revealed = secret.reveal(&self.env).await;
        let revealed = revealed.map_err(|e| SendError::no_secret(setting, &e))?;
        let mut kept = self.kept();
        kept.secrets.retain(|held| held.secret != *secret);
        kept.secrets.push(Held { secret: secret.clone(), value: revealed.clone(), stale: false });
        Ok(revealed)
    }

    /// The address, read from where it is kept.
    ///
    /// # Errors
    /// As `reveal`; and auth when what came is no web address, since nothing can be sent until somebody mends it.
    pub async fn url(&self, setting: &'static str, address: &Address) -> Result<Url, SendError> {
        match address {
            // Kept as a secret is, to be blotted out.
            Address::Open(url) => self.reveal(setting, &Secret::plain(url.as_str())).await.map(|_| url.clone()),
            Address::Secret(secret) => {
                let revealed = self.reveal(setting, secret).await?;
                address::parse(revealed.expose())
                    .map_err(|why| SendError::Auth { detail: format!("the setting `{setting}` is no address to send to: {why}") })
            }
        }
    }

    /// Sends a body and gives back the answer if it is one of success. An answer that refuses us makes secrets and
    /// certificates be read anew next time.
    ///
    /// # Errors
    /// Classed as `class` says; retryable when no answer came.
    pub async fn tell(&self, url: &Url, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<Answer, SendError> {
        let answer = self.post(url, headers, body).await?;
        self.judge(&answer).map(|()| answer)
    }

    /// Sends a body and gives back whatever the receiver answers.
    ///
    /// # Errors
    /// Retryable when no answer came; auth when a header cannot be written or the proxy refuses us.
    pub async fn post(&self, url: &Url, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<Answer, SendError> {
        self.send(Method::POST, url, headers, body).await
    }

    /// The same for what was posted before and is to be changed.
    ///
    /// # Errors
    /// As `post`.
    pub async fn patch(&self, url: &Url, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<Answer, SendError> {
        self.send(Method::PATCH, url, headers, body).await
    }

    async fn send(&self, method: Method, url: &Url, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<Answer, SendError> {
        let host = address::host(url);
        let client = self.client().await?;
        let request = client.request(method, url.clone()).headers(header_map(headers)?).body(body).build();
        let request = request.map_err(|error| class::no_answer(&error, &host, self.settings.proxy.is_some(), self.settings.timeout_s))?;
        // Whoever sends the header back sends the password back.
        let login = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        if let Some(login) = login {
            self.reveal("password", &Secret::plain(login)).await?;
        }
        match client.execute(request).await {
            Ok(response) => Ok(read(response, host).await),
            Err(error) => {
                let error = class::no_answer(&error, &host, self.settings.proxy.is_some(), self.settings.timeout_s);
                // A certificate may have been renewed on the disk, on either side.
                self.forget();
                Err(error)
            }
        }
    }

    /// What an answer means.
    ///
    /// # Errors
    /// As `class` says.
    pub fn judge(&self, answer: &Answer) -> Result<(), SendError> {
        let body = self.blot(&answer.text());
        let said = Said { host: &answer.host, status: answer.status, retry_after: answer.header("retry-after"), body: &body };
        class(&said, self.now()).inspect_err(|error| {
            if !matches!(error, SendError::Retryable { .. }) {
                self.forget();
            }
        })
    }

    /// Lets go of secrets and certificates, so that they are read anew: for channels whose receiver refuses us within a body.
    pub fn forget(&self) {
        let mut kept = self.kept();
        kept.client = None;
        kept.secrets.iter_mut().for_each(|held| held.stale = true);
    }

    /// A text of the receiver without the secrets that it was sent.
    #[must_use]
    pub fn blot(&self, text: &str) -> String {
        let kept = self.kept();
        let parts = address::telling_parts(kept.secrets.iter().map(|held| held.value.expose()));
        parts.iter().fold(text.to_string(), |text, part| text.replace(part, "***"))
    }

    async fn client(&self) -> Result<Client, SendError> {
        if let Some(client) = &self.kept().client {
            return Ok(client.clone());
        }
        let proxy = match &self.settings.proxy {
            Some(proxy) => Some(self.url("proxy", proxy).await?),
            None => None,
        };
        let client = client::build(&self.settings, &self.env, proxy)?;
        self.kept().client = Some(client.clone());
        Ok(client)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header_map(headers: &[(&'static str, &str)]) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for &(name, value) in headers {
        let mut value = HeaderValue::from_str(value).map_err(|_| SendError::Auth {
            detail: format!("the value of the header `{name}` holds characters that no header may hold"),
        })?;
        value.set_sensitive(true);
        map.insert(HeaderName::from_static(name), value);
    }
    Ok(map)
}

/// Reads as much of the body as is wanted; a body that breaks off leaves the status what it is.
async fn read(mut response: Response, host: String) -> Answer {
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let (mut body, mut whole) = (Vec::new(), true);
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) => {
                let room = MOST_READ - body.len();
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                whole = chunk.len() <= room;
            }
            Err(_) => whole = false,
        }
        if !whole {
            break;
        }
    }
    Answer { status, headers, body, whole, host }
}
