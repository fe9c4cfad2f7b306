//! What Teams is sent: a message with one Adaptive Card. Texts are runs of a `RichTextBlock`, which Teams shows as they
//! stand; only a user's own body is Markdown.

use serde_json::{Value, json};

use crate::deliver::escape::Escape;
use crate::deliver::story::{Mood, Part, Story};
use crate::model::Severity;

/// Bytes that Teams takes, less a little for what the flow adds.
pub(super) const MOST_BYTES: usize = 27 * 1024;
/// Characters of the title and of the small print.
const LINE: usize = 600;

/// The message as JSON; `None` when it cannot be made to fit.
pub(super) fn message(story: &Story) -> Option<String> {
    story.fitting(|parts| json!(envelope(card(story, parts))).to_string(), |body| body.len() <= MOST_BYTES)
}

fn envelope(card: Value) -> Value {
    let kind = "application/vnd.microsoft.card.adaptive";
    json!({"type": "message", "attachments": [{"contentType": kind, "contentUrl": null, "content": card}]})
}

fn card(story: &Story, parts: &[Part]) -> Value {
    let title = Escape::Plain.fit(&story.title, LINE);
    let (style, colour) = colours(story.mood);
    let run = json!({"type": "TextRun", "text": title, "weight": "bolder", "size": "medium", "color": colour});
    let head = json!({"type": "Container", "style": style, "bleed": true, "items": [rich([run])]});
    let foot = rich([json!({"type": "TextRun", "text": Escape::Plain.fit(&story.foot, LINE), "isSubtle": true, "size": "small"})]);
    let body: Vec<Value> = [head].into_iter().chain(parts.iter().flat_map(blocks)).chain([foot]).collect();
    json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": body,
    })
}

fn colours(mood: Mood) -> (&'static str, &'static str) {
    match mood {
        Mood::Drill => ("emphasis", "default"),
        Mood::Over => ("good", "good"),
        Mood::Open(Severity::Critical) => ("attention", "attention"),
        Mood::Open(Severity::Warning) => ("warning", "warning"),
        Mood::Open(Severity::Info) => ("accent", "accent"),
    }
}

/// A run has no line breaks of its own: each line is a block.
fn blocks(part: &Part) -> Vec<Value> {
    let lines = |text: &str, run: fn(&str) -> Value| text.lines().filter(|line| !line.is_empty()).map(|line| rich([run(line)])).collect();
    match part {
        Part::Strong(name) => vec![spaced(rich([strong(name)]))],
        Part::Text(text) => lines(text, plain),
        Part::Markup(text) => vec![json!({"type": "TextBlock", "text": text, "wrap": true})],
        Part::Code(sql) => lines(sql, |line| json!({"type": "TextRun", "text": line, "fontType": "monospace"})),
        Part::Word(word, text) => vec![rich([strong(&format!("{word} ")), plain(text)])],
        Part::Facts(facts) => facts.iter().map(|(name, value)| close(rich([strong(&format!("{name}  ")), plain(value)]))).collect(),
    }
}

fn rich<const N: usize>(runs: [Value; N]) -> Value {
    json!({"type": "RichTextBlock", "inlines": Vec::from(runs)})
}

fn plain(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn strong(text: &str) -> Value {
    json!({"type": "TextRun", "text": text, "weight": "bolder"})
}

fn spaced(mut block: Value) -> Value {
    block["separator"] = true.into();
    block
}

fn close(mut block: Value) -> Value {
    block["spacing"] = "none".into();
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliver::Message;
    use crate::deliver::template::Templates;
    use crate::deliver::testing::{notice, novel, told};

    fn of(message: &Message) -> String {
        super::message(&Story::of(message, &Templates::none())).unwrap()
    }

    #[test]
    fn every_kind_of_message_in_a_card() {
        for (name, message) in told() {
            let card: Value = serde_json::from_str(&of(&message)).unwrap();
            insta::assert_snapshot!(name, serde_json::to_string_pretty(&card["attachments"][0]["content"]["body"]).unwrap());
        }
    }

    #[test]
    fn the_whole_message_is_one_card() {
        let message: Value = serde_json::from_str(&of(&Message::of(notice("k")))).unwrap();
        assert_eq!(message["type"], "message");
        let attachment = &message["attachments"][0];
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!((&attachment["content"]["type"], &attachment["content"]["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        assert_eq!(attachment["content"]["fallbackText"], "WARNING dead_tuples_past_trigger on orders-1: shop.public.orders");
    }

    #[test]
    fn the_detail_goes_first_and_it_is_said() {
        let mut long = notice("k");
        long.detail = "👍".repeat(2_000);
        long.actions = vec![long.actions[0].clone(); 3];
        long.actions[2].why = "\u{1f600}".repeat(600);
        long.evidence = vec![long.evidence[0].clone(); 10];
        let mut notes = long.clone();
        assert!(of(&Message::of(long)).contains("👍"), "it fits as it is");
        notes.detail = "\"".repeat(100_000);
        let told = of(&Message::of(notes));
        assert!(told.contains("characters more") || told.contains("is left out for want of room"), "{told}");
    }

    proptest! {
        #[test]
        fn whatever_is_told_fits(message in novel(20)) {
            prop_assert!(of(&message).len() <= MOST_BYTES);
        }
    }
}
