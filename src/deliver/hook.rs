//! What chats behind one secret address have in common: the address, the line to it, and the user's wording.

use serde::Serialize;

use super::escape::Escape;
use super::http::{Address, HttpSettings};
use super::template::Templates;
use crate::yaml::Fields;

/// Settings of a channel that posts to a webhook.
#[derive(Debug, Clone, Serialize)]
pub struct Hook {
    /// Where to; whoever knows it may post.
    pub url: Address,
    /// How to get there.
    #[serde(flatten)]
    pub http: HttpSettings,
    /// What is said.
    pub templates: Templates,
}

impl Hook {
    /// Takes `url`, the keys of the line and `templates`, whose body is in that markup. What is wrong is noted in `fields`.
    pub fn take(fields: &mut Fields<'_>, body: Escape) -> Option<Self> {
        let url = fields.required("url").and_then(|_| Address::secret(fields, "url"));
        let http = HttpSettings::read(fields);
        let templates = Templates::take(fields, body);
        Some(Self { url: url?, http, templates })
    }
}
