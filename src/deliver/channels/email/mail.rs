//! A message as a mail: headers, parts, ids. Pure: the same message makes the same bytes.
//!
//! All mails about one episode or group answer the same root, which was never sent, so that mail programs show them as one
//! conversation whichever arrives first; their subjects differ only in the bracketed word that such programs leave out.

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, MessageBuilder, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::page::{self, Page, Picture};
use super::settings::EmailSettings;
use crate::deliver::card::Card;
use crate::deliver::template::{TemplateError, Templates};
use crate::deliver::{Message, render::cut};
use crate::model::{NoticeKind, Severity};
use crate::text::safe;

/// Characters of a subject.
const SUBJECT_CHARS: usize = 160;
/// Behind the `@` of all our ids.
const DOMAIN: &str = "pgsteward";
/// The last second that a date header can name.
const LAST_DATE: i64 = 253_402_300_799;

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum MailError {
    #[error("it has no notice")]
    Empty,
    #[error("{0}")]
    Words(#[from] TemplateError),
    #[error("its page cannot be rendered: {0}")]
    Page(#[from] minijinja::Error),
    #[error("it cannot be encoded: {0}")]
    Encode(String),
}

/// The mail of a message.
pub(super) fn write(message: &Message, settings: &EmailSettings) -> Result<lettre::Message, MailError> {
    let first = message.first().ok_or(MailError::Empty)?;
    let last = message.notices.iter().map(|notice| notice.at).max().unwrap_or(first.at);
    let root = root(message);
    let mut builder = lettre::Message::builder().from(settings.from.clone());
    builder = settings.to.iter().cloned().fold(builder, MessageBuilder::to);
    builder = settings.cc.iter().cloned().fold(builder, MessageBuilder::cc);
    builder = builder.subject(subject(message, &settings.templates)?).date(date(last).into());
    builder = builder.message_id(Some(id(message))).in_reply_to(root.clone()).references(root);
    for (name, value) in marks(message) {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    let envelope = lettre::address::Envelope::new(Some(settings.from.email.clone()), settings.recipients());
    let encode = |e: lettre::error::Error| MailError::Encode(e.to_string());
    builder.envelope(envelope.map_err(encode)?).multipart(parts(message, &settings.templates)?).map_err(encode)
}

fn date(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp().clamp(0, LAST_DATE), 0).unwrap_or_default()
}

/// Headers for programs: nobody's holiday answer comes back, and what is urgent looks so.
fn marks(message: &Message) -> Vec<(&'static str, String)> {
    let mut marks = vec![
        ("Auto-Submitted", "auto-generated".to_string()),
        ("X-Auto-Response-Suppress", "All".into()),
        ("X-Pgsteward-Key", safe(&cut(&message.key, 400))),
    ];
    if message.severity() == Severity::Critical && !message.is_resolved() && !page::is_drill(message) {
        marks.extend([("X-Priority", "1 (Highest)".into()), ("Importance", "high".into())]);
    }
    marks
}

/// What it is about, the same through the whole episode, behind a bracketed word that changes; or as the user words it.
fn subject(message: &Message, templates: &Templates) -> Result<String, TemplateError> {
    let worded = match message.notices.as_slice() {
        [notice] if message.omitted == 0 => templates.title(&Card::of(notice)).transpose()?,
        _ => None,
    };
    let drill = if page::is_drill(message) { "[DRILL] " } else { "" };
    let text = worded.unwrap_or_else(|| format!("[{}] {}", page::word(message), page::title(message)));
    Ok(safe(&cut(&format!("{drill}{text}"), SUBJECT_CHARS)))
}

fn id(message: &Message) -> String {
    let first = message.first();
    let what = match first {
        _ if message.digest => "digest",
        _ if message.notices.len() > 1 => "group",
        Some(notice) => notice.kind.as_str(),
        None => NoticeKind::default().as_str(),
    };
    let episode = first.map_or(String::new(), |notice| word(&notice.episode));
    format!("<{episode}.{what}.{}@{DOMAIN}>", hash(&message.key))
}

/// The id that all mails about the same answer.
fn root(message: &Message) -> String {
    let first = message.first().cloned().unwrap_or_default();
    match &first.group.key {
        _ if message.digest => format!("<digest.{}@{DOMAIN}>", hash(&first.channel)),
        key if key.is_empty() => format!("<{}@{DOMAIN}>", word(&first.episode)),
        key => format!("<group.{}@{DOMAIN}>", hash(key)),
    }
}

/// Only what may stand in an id.
fn word(text: &str) -> String {
    let kept: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect();
    if kept.is_empty() { hash(text) } else { kept }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// Text, and HTML with its pictures. `=_` never stands in an encoded part, so no text can forge a boundary.
fn parts(message: &Message, templates: &Templates) -> Result<MultiPart, MailError> {
    let page = Page::of(message, templates)?;
    let boundary = |part: &str| format!("=_pgsteward_{part}_{}", hash(&message.key));
    let text = part(ContentType::TEXT_PLAIN, page.text())?;
    let html = part(ContentType::TEXT_HTML, page.html()?)?;
    let both = MultiPart::alternative().boundary(boundary("alternative")).singlepart(text);
    if page.pictures.is_empty() {
        return Ok(both.singlepart(html));
    }
    let mut related = MultiPart::related().boundary(boundary("related")).singlepart(html);
    for picture in page.pictures {
        related = related.singlepart(inline(picture)?);
    }
    Ok(both.multipart(related))
}

fn part(kind: ContentType, text: String) -> Result<SinglePart, MailError> {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable);
    let body = body.map_err(|_| MailError::Encode("its text has no encoding".into()))?;
    Ok(SinglePart::builder().content_type(kind).body(body))
}

fn inline(picture: Picture) -> Result<SinglePart, MailError> {
    let kind = ContentType::parse("image/png").map_err(|e| MailError::Encode(e.to_string()))?;
    Ok(Attachment::new_inline_with_name(picture.cid, picture.file).body(picture.png, kind))
}
