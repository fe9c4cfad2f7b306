//! Discord against a stand-in that keeps its published limits and remembers its messages.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::deliver::http::{Address, HttpSettings};
use crate::deliver::template::Templates;
use crate::deliver::testing::{Receiver, Request, group, notice, told};
use crate::env::Env;
use crate::model::Notice;
use crate::secret::Secret;

/// A channel of Discord behind one webhook: what stands in it, by number.
#[derive(Default)]
struct Room {
    messages: BTreeMap<String, String>,
}

impl Room {
    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let refused = |status, code: u64| (status, json!({"message": "no", "code": code}));
        let Some(path) = request.line.strip_prefix("POST /hook/t0ken").or_else(|| request.line.strip_prefix("PATCH /hook/t0ken")) else {
            return refused(404, UNKNOWN_WEBHOOK);
        };
        let Ok(body) = serde_json::from_str::<Value>(&request.body) else { return refused(400, 50_109) };
        if breaks_a_limit(&body) {
            return refused(400, 50_035);
        }
        let id = match path.strip_prefix("/messages/") {
            Some(id) if self.messages.contains_key(id) => id.to_string(),
            Some(_) => return refused(404, UNKNOWN_MESSAGE),
            None if path == "?wait=true" => (self.messages.len() + 1).to_string(),
            None => return (204, Value::Null),
        };
        self.messages.insert(id.clone(), format!("{} {}", body["content"].as_str().unwrap(), body["embeds"][0]["color"]));
        (200, json!({"id": id}))
    }
}

fn breaks_a_limit(body: &Value) -> bool {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.encode_utf16().count());
    let embed = &body["embeds"][0];
    let fields = embed["fields"].as_array().unwrap();
    let in_fields: usize = fields.iter().map(|field| length(&field["name"]) + length(&field["value"])).sum();
    let bad_field = |field: &Value| !(1..=256).contains(&length(&field["name"])) || !(1..=1_024).contains(&length(&field["value"]));
    !(1..=2_000).contains(&length(&body["content"]))
        || !(1..=4_096).contains(&length(&embed["description"]))
        || fields.len() > 25
        || fields.iter().any(bad_field)
        || length(&embed["description"]) + in_fields + length(&embed["footer"]["text"]) > 6_000
        || body["allowed_mentions"]["parse"] != json!([])
}

fn stand(path: &str) -> (Box<dyn Channel>, Arc<Mutex<Room>>, Receiver) {
    let room = Arc::new(Mutex::new(Room::default()));
    let there = room.clone();
    let receiver = Receiver::new(move |request| {
        let (status, body) = there.lock().unwrap().answer(request);
        (status, body.to_string())
    });
    let root = crate::yaml::parse("c", "url: {env: URL}").unwrap();
    let settings = settings("c", &mut Fields::open("c", &root, "a channel").unwrap()).unwrap();
    let terminal = super::super::Terminal::plain(Arc::new(Mutex::new(Vec::<u8>::new())));
    let env = Env::of([("URL", &format!("{}{path}", receiver.url))]);
    (settings.build("a channel", &Means { terminal, env }), room, receiver)
}

#[tokio::test]
async fn the_first_message_shows_how_it_stands_and_news_are_posted_besides() {
    let (channel, room, _receiver) = stand("hook/t0ken");
    let first = channel.send(&of(NoticeKind::Firing, "")).await.unwrap();
    assert_eq!(first, Receipt { text: "200, message 1".into(), handle: Some("1 7f3a-0".into()) });
    for kind in [NoticeKind::Repeat, NoticeKind::Escalated, NoticeKind::Resolved] {
        let next = channel.send(&of(kind, "1 7f3a-0")).await.unwrap();
        assert_eq!(next.handle, first.handle, "the first stays the first");
    }
    insta::assert_snapshot!(room.lock().unwrap().messages.iter().map(|(id, shown)| format!("{id}  {shown}\n")).collect::<String>());
    let after = channel.send(&of(NoticeKind::Resolved, "77 7f3a-0")).await.unwrap();
    assert_eq!(after.handle.as_deref(), Some("5 7f3a-0"), "one that is gone is followed by a new one");
}

#[tokio::test]
async fn discord_takes_everything_that_is_told() {
    let (channel, room, _receiver) = stand("hook/t0ken");
    for (name, message) in told() {
        let receipt = channel.send(&message).await;
        assert!(receipt.is_ok(), "{name}: {receipt:?}");
    }
    assert_eq!(room.lock().unwrap().messages.len(), told().len());
}

#[tokio::test]
async fn a_webhook_that_is_gone_pauses_the_channel_and_its_address_is_not_shown() {
    let (channel, _room, _receiver) = stand("hook/hunter2");
    let error = channel.send(&of(NoticeKind::Firing, "")).await.unwrap_err();
    assert!(matches!(error, SendError::Auth { .. }), "{error:?}");
    assert!(error.to_string().ends_with("make a new one and put it into `url`") && !error.to_string().contains("hunter2"), "{error}");
}

fn of(kind: NoticeKind, previous: &str) -> Message {
    Message { previous: Some(previous.into()), ..Message::of(Notice { kind, ..notice("k") }) }
}

#[test]
fn the_first_message_of_an_episode_is_changed_by_what_is_new() {
    let there = First { id: "12".into(), episode: "7f3a-0".into() };
    assert_eq!(there.handle().as_deref(), Some("12 7f3a-0"));
    assert_eq!(first(&of(NoticeKind::Resolved, "12 7f3a-0")), Some(there.clone()));
    assert_eq!(first(&of(NoticeKind::Resolved, "12 other")), None);
    assert_eq!(first(&of(NoticeKind::Repeat, "12 7f3a-0")), None);
    assert_eq!(First::unknown(&of(NoticeKind::Repeat, "12 7f3a-0")), Some(there), "but it stays the first");
    assert_eq!(first(&Message { previous: Some("12 7f3a-0".into()), ..group(3) }), None);
    assert_eq!(["", "12", "1/../2 e", "x e"].map(First::parse), [None, None, None, None]);
}

#[test]
fn discords_own_words_say_more_than_the_status() {
    let of = |status, body: &str| {
        let http = Http::new(&HttpSettings::default(), &Env::of([]));
        let discord = Discord {
            name: "a channel".into(),
            hook: Hook { url: Address::Secret(Secret::plain("x")), http: HttpSettings::default(), templates: Templates::none() },
            http,
        };
        discord.taken(&Answer { status, headers: Default::default(), body: body.into(), whole: true, host: "discord.example".into() })
    };
    assert_eq!(of(200, r#"{"id": "12"}"#), Ok("12".into()));
    assert!(matches!(of(204, ""), Err(SendError::Retryable { .. })), "without the message nobody knows");
    assert!(matches!(of(429, r#"{"retry_after": 0.65, "global": false}"#), Err(SendError::Retryable { after_s: Some(1), .. })));
    assert!(matches!(of(429, r#"{"retry_after": -1e99}"#), Err(SendError::Retryable { after_s: None, .. })));
    assert!(matches!(of(404, r#"{"message": "Unknown Webhook", "code": 10015}"#), Err(SendError::Auth { .. })));
    assert!(matches!(of(401, r#"{"message": "Invalid Webhook Token", "code": 50027}"#), Err(SendError::Auth { .. })));
    assert!(matches!(of(404, ""), Err(SendError::Permanent { .. })));
    assert!(matches!(of(400, r#"{"code": 50035}"#), Err(SendError::Permanent { .. })));
}
