//! A story: what a message says to people, as a title and parts in order. Slack, Teams and Discord only clothe the parts in
//! their own blocks, so that all of them say the same, and a limit is kept in one place: a story is told in ever shorter
//! forms until one fits. The detail goes first, then the SQL, then the facts; what is left out is always said.
//!
//! Several notices are told as a list, worst first, each with its fact and its first piece of advice.

use std::collections::BTreeSet;

use super::Message;
use super::card::{Card, DRILL, Fact};
use super::escape::Escape;
use super::template::{TemplateError, Templates};
use crate::model::{NoticeKind, Severity};

/// How a message looks from afar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It is an exercise.
    Drill,
    /// All of it is over, or nothing is wrong.
    Over,
    /// Something goes on.
    Open(Severity),
}

/// One piece, in plain safe text unless it says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The name of what follows.
    Strong(String),
    /// A paragraph; may have several lines.
    Text(String),
    /// A paragraph in the receiver's own markup, from a user's template.
    Markup(String),
    /// Measured facts: name and value.
    Facts(Vec<(String, String)>),
    /// To be pasted as it stands.
    Code(String),
    /// A paragraph behind a word: `Do`, `Why`, `See`, `Note`.
    Word(&'static str, String),
}

/// A message in words.
#[derive(Debug)]
pub struct Story {
    /// The line that a phone shows.
    pub title: String,
    /// Its colour.
    pub mood: Mood,
    /// The small print.
    pub foot: String,
    told: Vec<Told>,
    omitted: usize,
    list: bool,
}

/// One notice, with what a user's templates made of it.
#[derive(Debug)]
struct Told {
    card: Card,
    title: String,
    body: Option<String>,
    notes: Vec<String>,
}

/// How much of each part is told.
#[derive(Debug, Clone, Copy)]
struct Room {
    line: usize,
    detail: usize,
    sql: usize,
    facts: usize,
    advice: usize,
    markup: usize,
    notices: usize,
}

/// From all to the least.
const ROOMS: [Room; 5] = [
    Room { line: 600, detail: 2_000, sql: 1_500, facts: 10, advice: 3, markup: 2_900, notices: 40 },
    Room { line: 600, detail: 500, sql: 1_500, facts: 10, advice: 2, markup: 1_500, notices: 20 },
    Room { line: 300, detail: 0, sql: 500, facts: 6, advice: 1, markup: 700, notices: 20 },
    Room { line: 200, detail: 0, sql: 0, facts: 3, advice: 0, markup: 300, notices: 12 },
    Room { line: 80, detail: 0, sql: 0, facts: 0, advice: 0, markup: 80, notices: 5 },
];

impl Story {
    /// The story of a message.
    #[must_use]
    pub fn of(message: &Message, templates: &Templates) -> Self {
        let told: Vec<Told> = message.notices.iter().map(|notice| Told::of(Card::of(notice), templates)).collect();
        let list = told.len() + message.omitted != 1;
        let (title, foot) = match told.first() {
            Some(only) if !list => (only.title.clone(), only.card.foot()),
            _ => (list_title(message, &told), list_foot(message, &told)),
        };
        Self { title, mood: mood(message), foot, told, omitted: message.omitted, list }
    }

    /// The first form that fits; `None` when not even the shortest does.
    pub fn fitting<T>(&self, form: impl Fn(&[Part]) -> T, fits: impl Fn(&T) -> bool) -> Option<T> {
        ROOMS.iter().map(|room| form(&self.parts(room))).find(|formed| fits(formed))
    }

    fn parts(&self, room: &Room) -> Vec<Part> {
        if !self.list {
            return self.told.iter().flat_map(|only| only.whole(room)).collect();
        }
        let shown = self.told.len().min(room.notices);
        let mut parts: Vec<Part> = self.told.iter().take(shown).flat_map(|told| told.short(room)).collect();
        let more = self.told.len() - shown + self.omitted;
        if more > 0 {
            parts.push(Part::Text(format!("and {more} more: `pgsteward alerts list` shows all")));
        }
        parts
    }
}

impl Told {
    /// A template that fails costs nobody the notice: it is told in our own words, and why.
    fn of(card: Card, templates: &Templates) -> Self {
        let mut notes = card.notes();
        let mut made = |made: Option<Result<String, TemplateError>>| match made? {
            Ok(text) => Some(text),
            Err(error) => {
                notes.push(format!("{error}; this is told without it"));
                None
            }
        };
        let title = made(templates.title(&card)).unwrap_or_else(|| card.heading.clone());
        let body = made(templates.body(&card));
        let title = if card.drill && !title.starts_with(DRILL) { format!("{DRILL}{title}") } else { title };
        Self { card, title, body, notes }
    }

    /// All of it.
    fn whole(&self, room: &Room) -> Vec<Part> {
        let mut parts = match &self.body {
            Some(body) => vec![Part::Markup(cut(body, room.markup))],
            None => self.own_words(room),
        };
        parts.extend(self.notes.iter().map(|note| Part::Word("Note", cut(note, room.line))));
        parts
    }

    fn own_words(&self, room: &Room) -> Vec<Part> {
        let card = &self.card;
        let mut parts = vec![Part::Text(cut(&card.summary, room.line))];
        if card.resolved {
            parts.push(Part::Text(format!("it lasted {}", pgsteward_helpers::span(card.lasted))));
            return parts;
        }
        parts.extend(detail(&card.detail, room.detail));
        parts.extend(facts(&card.facts, room));
        parts.extend(
            card.advice
                .iter()
                .take(room.advice)
                .flat_map(|advice| {
                    let word = |word, text: &String| (!text.is_empty()).then(|| Part::Word(word, cut(text, room.line)));
                    [self.sql(&advice.sql, room), word("Do", &advice.text), word("Note", &advice.note), word("Why", &advice.why)]
                })
                .flatten(),
        );
        parts.extend(self.left_out(card.advice.len().saturating_sub(room.advice), "piece of advice", "pieces of advice"));
        if !card.see.is_empty() {
            parts.push(Part::Word("See", cut(&card.see, room.line)));
        }
        parts.extend(
            card.links.iter().take(room.advice).map(|link| Part::Word("See", cut(&format!("{} {}", link.title, link.url), room.line))),
        );
        parts
    }

    /// Its place in a list.
    fn short(&self, room: &Room) -> Vec<Part> {
        let mut parts = vec![Part::Strong(cut(&self.title, room.line))];
        match &self.body {
            Some(body) => parts.push(Part::Markup(cut(body, room.markup))),
            None => parts.push(Part::Text(cut(&self.card.summary, room.line))),
        }
        let advice = self.card.advice.first().filter(|_| room.advice > 0 && self.body.is_none() && !self.card.resolved);
        parts.extend(advice.and_then(|advice| self.sql(&advice.sql, room)));
        parts
    }

    /// SQL that is cut does not run; it is told whole or not at all.
    fn sql(&self, sql: &str, room: &Room) -> Option<Part> {
        let long = sql.chars().count();
        match long {
            0 => None,
            _ if long <= room.sql => Some(Part::Code(sql.into())),
            _ => Some(Part::Word("Do", format!("run SQL of {long} characters: `pgsteward alerts show {}` has it", self.card.episode))),
        }
    }

    fn left_out(&self, count: usize, one: &str, many: &str) -> Option<Part> {
        let what = if count == 1 { one } else { many };
        (count > 0).then(|| Part::Word("Note", format!("{count} {what} left out here: `pgsteward alerts show {}`", self.card.episode)))
    }
}

fn detail(detail: &str, most: usize) -> Option<Part> {
    match detail.chars().count() {
        0 => None,
        long if most == 0 => Some(Part::Word("Note", format!("the detail of {long} characters is left out for want of room"))),
        _ => Some(Part::Text(cut(detail, most))),
    }
}

fn facts(facts: &[Fact], room: &Room) -> Vec<Part> {
    let shown: Vec<_> = facts.iter().take(room.facts).map(|fact| (cut(&fact.name, room.line.min(120)), fact.told())).collect();
    let more = facts.len() - shown.len();
    let mut parts = Vec::new();
    if !shown.is_empty() {
        parts.push(Part::Facts(shown));
    }
    if more > 0 {
        parts.push(Part::Word("Note", format!("{more} more facts left out for want of room")));
    }
    parts
}

fn cut(text: &str, most: usize) -> String {
    Escape::Plain.fit(text, most)
}

fn mood(message: &Message) -> Mood {
    let all = |is: fn(&crate::model::Notice) -> bool| !message.notices.is_empty() && message.notices.iter().all(is);
    if all(|notice| notice.drill) {
        Mood::Drill
    } else if all(|notice| matches!(notice.kind, NoticeKind::Resolved | NoticeKind::Heartbeat)) {
        Mood::Over
    } else {
        Mood::Open(message.severity())
    }
}

/// `CRITICAL: 12 alerts of cluster orders (2 critical, 9 warning, 1 resolved)`.
fn list_title(message: &Message, told: &[Told]) -> String {
    let drill = if mood(message) == Mood::Drill { DRILL } else { "" };
    let word = if message.is_resolved() { "RESOLVED".into() } else { message.severity().as_str().to_uppercase() };
    let total = told.len() + message.omitted;
    let at_once = if message.digest { ", told at once because they came faster than the channel takes them" } else { "" };
    format!("{drill}{word}: {total} alerts{}{}{at_once}", place(message, told), counts(told, message.omitted))
}

fn place(message: &Message, told: &[Told]) -> String {
    let same = |of: fn(&Card) -> &String| {
        let all: BTreeSet<&String> = told.iter().map(|told| of(&told.card)).collect();
        (all.len() == 1).then(|| all.into_iter().next().cloned()).flatten()
    };
    if let Some(labels) = message.first().map(|first| first.group.labels.to_string()).filter(|labels| !labels.is_empty()) {
        return cut(&format!(" of {}", crate::text::safe(&labels)), 200);
    }
    let rule = same(|card| &card.rule).map_or(String::new(), |rule| format!(" of {rule}"));
    cut(&format!("{rule}{}", same(|card| &card.target).map_or(String::new(), |target| format!(" on {target}"))), 200)
}

fn counts(told: &[Told], omitted: usize) -> String {
    let open = |severity: Severity| told.iter().filter(|told| !told.card.resolved && told.card.severity == severity.as_str()).count();
    let mut counts: Vec<(usize, &str)> = Severity::ALL.iter().rev().map(|severity| (open(*severity), severity.as_str())).collect();
    counts.push((told.iter().filter(|told| told.card.resolved).count(), "resolved"));
    counts.push((omitted, "more"));
    let said: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!(" ({})", said.join(", "))
}

fn list_foot(message: &Message, told: &[Told]) -> String {
    let of_first = told.first().map_or(String::new(), |first| format!("{} · {} · ", first.card.channel, first.card.at));
    format!("{of_first}key {}", cut(&crate::text::safe(&message.key), 300))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{digest, group, notice};
    use super::*;
    use crate::model::Notice;

    fn plain(message: &Message) -> String {
        let story = Story::of(message, &Templates::none());
        let parts = story.fitting(|parts| parts.to_vec(), |_| true).unwrap();
        let lines = parts.iter().map(|part| match part {
            Part::Strong(text) => format!("## {text}"),
            Part::Text(text) | Part::Markup(text) => text.clone(),
            Part::Facts(facts) => facts.iter().map(|(name, value)| format!("- {name}: {value}")).collect::<Vec<_>>().join("\n"),
            Part::Code(sql) => format!("    {sql}"),
            Part::Word(word, text) => format!("{word}: {text}"),
        });
        format!("{} [{:?}]\n{}\n-- {}", story.title, story.mood, lines.collect::<Vec<_>>().join("\n"), story.foot)
    }

    #[test]
    fn a_notice_is_told_as_fact_numbers_and_what_to_do() {
        insta::assert_snapshot!(plain(&Message::of(notice("7f3a.firing"))));
    }

    #[test]
    fn several_are_a_list_and_a_digest_says_how_many_more() {
        insta::assert_snapshot!(format!("{}\n\n{}", plain(&group(3)), plain(&digest(37, 4))));
    }

    #[test]
    fn what_does_not_fit_is_left_out_in_order_and_said() {
        let mut long = notice("k");
        long.detail = "why\n".repeat(1_000);
        let evidence = long.evidence[0].clone();
        long.evidence = vec![evidence; 14];
        let story = Story::of(&Message::of(long), &Templates::none());
        let first = |fits: &dyn Fn(&str) -> bool| story.fitting(|parts| format!("{parts:?}"), |text: &String| fits(text)).unwrap();
        let all = first(&|_| true);
        assert!(all.contains("why\\nwhy") && all.contains("characters more") && all.contains("4 more facts left out"), "{all}");
        let shorter = first(&|text| !text.contains("why\\nwhy"));
        assert!(shorter.contains("the detail of 3999 characters is left out for want of room") && shorter.contains("VACUUM"), "{shorter}");
        let shortest = first(&|text| !text.contains("VACUUM"));
        assert!(shortest.contains("1.2 M dead rows") && shortest.contains("1 piece of advice left out here"), "{shortest}");
        assert!(story.fitting(|parts| parts.len(), |_| false).is_none());
    }

    fn worded(yaml: &str, message: &Message) -> (String, Vec<Part>) {
        let root = crate::yaml::parse("c", yaml).unwrap();
        let mut fields = crate::yaml::Fields::open("c", &root, "a channel").unwrap();
        let templates = Templates::take(&mut fields, Escape::Slack);
        assert_eq!(fields.finish(), []);
        let story = Story::of(message, &templates);
        (story.title.clone(), story.fitting(|parts| parts.to_vec(), |_| true).unwrap())
    }

    #[test]
    fn users_word_title_and_body_but_a_drill_stays_one() {
        let yaml = "templates: {title: 'page {{ target }}', body: '*{{ summary }}*'}";
        let (title, parts) = worded(yaml, &Message::of(Notice { drill: true, summary: "a < b".into(), ..notice("k") }));
        assert_eq!(title, "DRILL, nothing is wrong: page orders-1");
        assert_eq!(parts[0], Part::Markup("*a &lt; b*".into()));
        assert_eq!(parts[1], Part::Word("Note", "this is an exercise: nothing is wrong, and nothing is to be done".into()));
        let (_, parts) = worded(yaml, &group(2));
        assert_eq!(parts[..2], [Part::Strong("page orders-1".into()), Part::Markup("*1.2 M dead rows, 6 x the vacuum trigger*".into())]);
    }

    #[test]
    fn a_template_that_fails_costs_nobody_the_notice() {
        let long = Notice { detail: "x".repeat(7_000), ..notice("k") };
        let (_, parts) = worded("templates: {body: '{{ detail * 9 }}'}", &Message::of(long));
        assert_eq!(parts[0], Part::Text("1.2 M dead rows, 6 x the vacuum trigger".into()));
        let why = "the template `body` fails in line 1: it makes more than 32 kB; this is told without it";
        assert_eq!(parts.last(), Some(&Part::Word("Note", why.into())));
    }

    #[test]
    fn the_mood_is_the_worst_that_goes_on() {
        let of = |notices: Vec<Notice>| mood(&Message { notices, ..Message::of(notice("k")) });
        let resolved = Notice { kind: NoticeKind::Resolved, severity: Severity::Critical, ..notice("k") };
        assert_eq!(of(vec![notice("k"), resolved.clone()]), Mood::Open(Severity::Warning));
        assert_eq!(of(vec![resolved]), Mood::Over);
        assert_eq!(of(vec![Notice { drill: true, ..notice("k") }]), Mood::Drill);
    }
}
