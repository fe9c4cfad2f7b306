//! What Discord is sent: a line of content, which phones show, and one embed. Both are Markdown, so every text is escaped; that
//! nobody is mentioned is said besides, in `allowed_mentions`.

use serde_json::{Value, json};

use crate::deliver::escape::{Escape, units};
use crate::deliver::story::{Mood, Part, Story};
use crate::model::Severity;

/// Discord's limits.
const MOST_CONTENT: usize = 2_000;
const MOST_DESCRIPTION: usize = 4_096;
const MOST_NAME: usize = 256;
const MOST_VALUE: usize = 1_024;
const MOST_FOOT: usize = 2_048;
const MOST_FIELDS: usize = 25;
const MOST_IN_ALL: usize = 6_000;
/// Characters of the line that phones show, and of the small print.
const LINE: usize = 400;

/// The message; `None` when it cannot be made to fit.
pub(super) fn message(story: &Story) -> Option<Value> {
    let embed = story.fitting(|parts| embed(story, parts), fits)?;
    let content = Escape::Markdown.fit(&story.title, LINE.min(MOST_CONTENT));
    Some(json!({"content": content, "embeds": [embed], "allowed_mentions": {"parse": []}}))
}

fn embed(story: &Story, parts: &[Part]) -> Value {
    let text: Vec<String> = parts.iter().filter_map(paragraph).collect();
    json!({
        "color": colour(story.mood),
        "description": text.join("\n").trim(),
        "fields": parts.iter().flat_map(fields).take(MOST_FIELDS).collect::<Vec<Value>>(),
        // A footer is no Markdown.
        "footer": {"text": Escape::Plain.fit(&story.foot, LINE.min(MOST_FOOT))},
    })
}

fn colour(mood: Mood) -> u32 {
    match mood {
        Mood::Drill => 0x80_80_80,
        Mood::Over => 0x2a_9d_4a,
        Mood::Open(Severity::Critical) => 0xd9_2b_2b,
        Mood::Open(Severity::Warning) => 0xe8_a1_00,
        Mood::Open(Severity::Info) => 0x2b_7d_d9,
    }
}

fn paragraph(part: &Part) -> Option<String> {
    let escaped = |text: &str| Escape::Markdown.text(text);
    match part {
        Part::Strong(name) => Some(format!("\n**{}**", escaped(name))),
        Part::Text(text) => Some(escaped(text)),
        Part::Markup(text) => Some(text.clone()),
        // A fence would end at backticks, and none can be escaped within it.
        Part::Code(sql) if sql.contains('`') => Some(escaped(sql)),
        Part::Code(sql) => Some(format!("```sql\n{sql}\n```")),
        Part::Word(word, text) => Some(format!("**{word}** {}", escaped(text))),
        Part::Facts(_) => None,
    }
}

/// Discord refuses fields without a name or a value.
fn fields(part: &Part) -> Vec<Value> {
    let Part::Facts(facts) = part else { return Vec::new() };
    let shown = |text: &str, most: usize| Escape::Markdown.fit(if text.trim().is_empty() { "-" } else { text }, most);
    let field =
        |(name, value): &(String, String)| json!({"name": shown(name, MOST_NAME), "value": shown(value, MOST_VALUE), "inline": true});
    facts.iter().map(field).collect()
}

fn fits(embed: &Value) -> bool {
    let length = |value: &Value| value.as_str().map_or(0, units);
    let listed: usize =
        embed["fields"].as_array().into_iter().flatten().map(|field| length(&field["name"]) + length(&field["value"])).sum();
    let description = length(&embed["description"]);
    description <= MOST_DESCRIPTION && description + listed + length(&embed["footer"]["text"]) <= MOST_IN_ALL
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
    fn every_kind_of_message_in_an_embed() {
        for (name, message) in told() {
            insta::assert_snapshot!(name, serde_json::to_string_pretty(&of(&message)).unwrap());
        }
    }

    #[test]
    fn no_name_mentions_anybody_or_leads_away() {
        let mut hostile = hostile_notice("k");
        hostile.subject.set("table", "@everyone <@1> [x](https://evil)");
        hostile.actions.clear();
        let made = of(&Message::of(hostile));
        assert_eq!(made["allowed_mentions"], json!({"parse": []}));
        assert!(made["content"].as_str().unwrap().contains(r"\@everyone \<\@1\> \[x\](https\://evil)"), "{made}");
    }

    proptest! {
        #[test]
        fn whatever_is_told_fits(message in novel(20)) {
            let made = of(&message);
            prop_assert!(units(made["content"].as_str().unwrap()) <= MOST_CONTENT);
            let embed = &made["embeds"][0];
            prop_assert!(fits(embed));
            prop_assert!(!embed["description"].as_str().unwrap().trim().is_empty() || !embed["fields"].as_array().unwrap().is_empty() || message.notices[0].summary.is_empty());
            for field in embed["fields"].as_array().unwrap() {
                let (name, value) = (field["name"].as_str().unwrap(), field["value"].as_str().unwrap());
                prop_assert!((1..=MOST_NAME).contains(&units(name)) && (1..=MOST_VALUE).contains(&units(value)));
            }
        }
    }
}
