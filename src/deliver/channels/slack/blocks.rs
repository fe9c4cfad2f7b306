//! What Slack is sent: a line of text for phones and screen readers, and blocks in an attachment, which alone has a colour.
//!
//! All texts are `plain_text`, which Slack shows as they stand, but for three: the line and the names in a list, which are
//! escaped, and SQL, which needs mrkdwn to be shown as code. `verbatim` keeps Slack from making links of names there.

use serde_json::{Value, json};

use crate::deliver::escape::{Escape, units};
use crate::deliver::story::{Mood, Part, Story};
use crate::model::Severity;

/// Slack's limits, and what all texts together may have: more than about 13,000 has been seen to fail.
const MOST_BLOCKS: usize = 50;
const MOST_TEXT: usize = 3_000;
const MOST_FIELD: usize = 2_000;
const MOST_FIELDS: usize = 10;
const MOST_IN_ALL: usize = 12_500;
/// Characters of the line that phones show.
const LINE: usize = 600;

/// The message without its place; `None` when it cannot be made to fit.
pub(super) fn message(story: &Story) -> Option<Value> {
    let line = Escape::Slack.fit(&story.title, LINE);
    let blocks = story.fitting(|parts| blocks(parts, &story.foot), |blocks| fits(blocks, units(&line)))?;
    Some(json!({
        "text": line,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "attachments": [{"color": colour(story.mood), "blocks": blocks}],
    }))
}

fn colour(mood: Mood) -> &'static str {
    match mood {
        Mood::Drill => "#808080",
        Mood::Over => "#2a9d4a",
        Mood::Open(Severity::Critical) => "#d92b2b",
        Mood::Open(Severity::Warning) => "#e8a100",
        Mood::Open(Severity::Info) => "#2b7dd9",
    }
}

fn blocks(parts: &[Part], foot: &str) -> Vec<Value> {
    let foot = json!({"type": "context", "elements": [plain(&Escape::Plain.fit(foot, MOST_FIELD))]});
    parts.iter().filter_map(block).chain([foot]).collect()
}

/// Slack refuses blocks without text.
fn block(part: &Part) -> Option<Value> {
    let section = |text: Value| Some(json!({"type": "section", "text": text}));
    match part {
        Part::Text(text) | Part::Strong(text) | Part::Markup(text) | Part::Code(text) if text.trim().is_empty() => None,
        Part::Strong(name) => section(mrkdwn(&format!("*{}*", Escape::Slack.text(name)), true)),
        Part::Text(text) => section(plain(text)),
        Part::Markup(text) => section(mrkdwn(text, false)),
        // A backtick would end the code, and none can be escaped.
        Part::Code(sql) if sql.contains('`') => section(plain(sql)),
        Part::Code(sql) => section(mrkdwn(&format!("```{}```", Escape::Slack.text(sql)), true)),
        Part::Word(word, text) => section(plain(&format!("{word}: {text}"))),
        Part::Facts(facts) => {
            let field = |(name, value): &(String, String)| plain(&Escape::Plain.fit(&format!("{name}\n{value}"), MOST_FIELD));
            let fields: Vec<Value> = facts.iter().take(MOST_FIELDS).map(field).collect();
            Some(json!({"type": "section", "fields": fields}))
        }
    }
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

fn mrkdwn(text: &str, verbatim: bool) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": verbatim})
}

fn fits(blocks: &[Value], line: usize) -> bool {
    let lengths: Vec<usize> = blocks.iter().flat_map(texts).map(units).collect();
    blocks.len() <= MOST_BLOCKS && lengths.iter().all(|length| *length <= MOST_TEXT) && line + lengths.iter().sum::<usize>() <= MOST_IN_ALL
}

/// All texts of a block.
fn texts(block: &Value) -> Vec<&str> {
    let own = block.get("text").into_iter();
    let listed = ["fields", "elements"].into_iter().filter_map(|key| block.get(key)?.as_array()).flatten();
    own.chain(listed).filter_map(|text| text.get("text")?.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliver::Message;
    use crate::deliver::template::Templates;
    use crate::deliver::testing::{hostile_notice, novel, told};

    fn of(message: &Message) -> Value {
        super::message(&Story::of(message, &Templates::none())).unwrap()
    }

    #[test]
    fn every_kind_of_message_in_slacks_words() {
        for (name, message) in told() {
            insta::assert_snapshot!(name, serde_json::to_string_pretty(&of(&message)).unwrap());
        }
    }

    #[test]
    fn no_name_mentions_anybody() {
        let mut hostile = hostile_notice("k");
        let evil = "<!channel> <@U1> <https://evil|x> `";
        hostile.subject.set("table", evil);
        hostile.actions[0].subject.set("table", evil);
        hostile.summary = evil.into();
        for message in
            [Message::of(hostile.clone()), Message { notices: vec![hostile.clone(), hostile], ..Message::of(hostile_notice("k")) }]
        {
            let made = of(&message);
            assert!(!made["text"].as_str().unwrap().contains('<'));
            for block in made["attachments"][0]["blocks"].as_array().unwrap() {
                let text = &block["text"];
                assert!(text["type"] != "mrkdwn" || !text["text"].as_str().unwrap().contains('<'), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_told_fits(message in novel(15)) {
            let made = of(&message);
            let blocks = made["attachments"][0]["blocks"].as_array().unwrap();
            prop_assert!(fits(blocks, units(made["text"].as_str().unwrap())));
            prop_assert!(blocks.iter().flat_map(texts).all(|text| !text.is_empty()));
            prop_assert!(blocks.iter().filter_map(|block| block["fields"].as_array()).all(|fields| fields.len() <= 10));
        }
    }
}
