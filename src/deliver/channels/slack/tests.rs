//! Slack against a stand-in that keeps its published limits and remembers its messages.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::deliver::testing::{Receiver, Request, group, nobody, notice, told};
use crate::env::Env;
use crate::model::Notice;

/// Slack's API as far as a channel uses it: answers to a request, and what stands in the channel.
#[derive(Default)]
struct Workspace {
    messages: BTreeMap<String, String>,
}

impl Workspace {
    fn answer(&mut self, request: &Request) -> Value {
        let refused = |word: &str| json!({"ok": false, "error": word});
        if !request.head.to_lowercase().contains("authorization: bearer xoxb-1\r\n") {
            return refused("invalid_auth");
        }
        let Ok(body) = serde_json::from_str::<Value>(&request.body) else { return refused("invalid_json") };
        if body["channel"] != "C1" && body["channel"] != "#db" {
            return refused("channel_not_found");
        }
        if let Some(word) = breaks_a_limit(&body) {
            return refused(word);
        }
        let shown = format!("{} {}", body["text"].as_str().unwrap_or_default(), body["attachments"][0]["color"]);
        let ts = match request.line.as_str() {
            "POST /chat.update" if self.messages.contains_key(body["ts"].as_str().unwrap_or_default()) => {
                body["ts"].as_str().unwrap().to_string()
            }
            "POST /chat.update" => return refused("message_not_found"),
            _ => format!("{}.0", self.messages.len() + 1),
        };
        let thread = body["thread_ts"].as_str().map_or(String::new(), |ts| format!("reply to {ts}: "));
        let loud = if body["reply_broadcast"] == true { " (loud)" } else { "" };
        self.messages.insert(ts.clone(), format!("{thread}{shown}{loud}"));
        json!({"ok": true, "channel": "C1", "ts": ts})
    }
}

fn breaks_a_limit(body: &Value) -> Option<&'static str> {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.encode_utf16().count());
    let attachments = body["attachments"].as_array()?;
    let blocks: Vec<&Value> = attachments.iter().filter_map(|attachment| attachment["blocks"].as_array()).flatten().collect();
    let fields = |block: &&Value| block["fields"].as_array().cloned().unwrap_or_default();
    let texts: usize = blocks.iter().map(|block| length(&block["text"]["text"])).sum();
    let wrong = blocks.len() > 50
        || blocks.iter().any(|block| length(&block["text"]["text"]) > 3_000 || block["text"]["text"] == "")
        || blocks.iter().any(|block| fields(block).len() > 10 || fields(block).iter().any(|field| length(&field["text"]) > 2_000))
        || texts > 13_000;
    if wrong {
        Some("invalid_blocks")
    } else if length(&body["text"]) == 0 {
        Some("no_text")
    } else {
        None
    }
}

struct Stand {
    channel: Box<dyn Channel>,
    workspace: Arc<Mutex<Workspace>>,
    receiver: Receiver,
}

fn stand(token: &str) -> Stand {
    let workspace = Arc::new(Mutex::new(Workspace::default()));
    let there = workspace.clone();
    let receiver = Receiver::new(move |request| (200, there.lock().unwrap().answer(request).to_string()));
    let channel = channel("token: {env: TOKEN}\nchannel: '#db'\napi: {env: API}\n", &[("TOKEN", token), ("API", &receiver.url)]);
    Stand { channel, workspace, receiver }
}

fn channel(yaml: &str, env: &[(&str, &str); 2]) -> Box<dyn Channel> {
    let root = crate::yaml::parse("c", yaml).unwrap();
    let mut fields = Fields::open("c", &root, "a channel").unwrap();
    let settings = settings("c", &mut fields).unwrap();
    let terminal = super::super::Terminal::plain(Arc::new(Mutex::new(Vec::<u8>::new())));
    settings.build("a channel", &Means { terminal, env: Env::of(*env) })
}

fn message(kind: NoticeKind, previous: Option<&str>) -> Message {
    Message { previous: previous.map(String::from), ..Message::of(Notice { kind, ..notice("k") }) }
}

#[tokio::test]
async fn the_first_message_shows_how_it_stands_and_its_thread_how_it_came() {
    let stand = stand("xoxb-1");
    let send = async |kind, previous: Option<&str>| stand.channel.send(&message(kind, previous)).await.unwrap();
    let first = send(NoticeKind::Firing, None).await;
    assert_eq!(first, Receipt { text: "ok, message 1.0 in C1".into(), handle: Some("C1 1.0 7f3a-0".into()) });
    for kind in [NoticeKind::Repeat, NoticeKind::Escalated, NoticeKind::Resolved] {
        assert_eq!(send(kind, first.handle.as_deref()).await.handle, first.handle, "the first stays the first");
    }
    insta::assert_snapshot!(
        stand.workspace.lock().unwrap().messages.iter().map(|(ts, shown)| format!("{ts}  {shown}\n")).collect::<String>()
    );
}

#[tokio::test]
async fn a_message_that_is_gone_is_followed_by_a_new_one() {
    let stand = stand("xoxb-1");
    let receipt = stand.channel.send(&message(NoticeKind::Resolved, Some("C1 77.0 7f3a-0"))).await.unwrap();
    assert_eq!(receipt, Receipt { text: "ok, message 1.0 in C1".into(), handle: Some("C1 1.0 7f3a-0".into()) });
}

#[tokio::test]
async fn a_group_has_a_thread_but_changes_nothing() {
    let stand = stand("xoxb-1");
    let mut over = group(12);
    over.notices.iter_mut().for_each(|notice| notice.kind = NoticeKind::Resolved);
    over.previous = stand.channel.send(&group(12)).await.unwrap().handle;
    assert_eq!(over.previous.as_deref(), Some("C1 1.0 "));
    stand.channel.send(&over).await.unwrap();
    let lines: Vec<String> = stand.receiver.seen().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["POST /chat.postMessage", "POST /chat.postMessage"]);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_never_shown() {
    let stand = stand("xoxb-wrong");
    let error = stand.channel.send(&message(NoticeKind::Firing, None)).await.unwrap_err();
    assert!(matches!(error, SendError::Auth { .. }), "{error:?}");
    assert!(error.to_string().ends_with("answers invalid_auth") && !error.to_string().contains("xoxb"), "{error}");
}

#[tokio::test]
async fn a_webhook_gets_the_same_and_says_ok() {
    let receiver =
        Receiver::new(|request| if request.line == "POST /T0/B0/hunter2" { (200, "ok".into()) } else { (404, "no_service".into()) });
    let to = |url: String| channel("url: {env: URL}", &[("URL", &url), ("", "")]);
    let works = to(format!("{}T0/B0/hunter2", receiver.url));
    assert_eq!(works.send(&message(NoticeKind::Firing, None)).await, Ok(Receipt::new("ok")));
    assert_eq!(breaks_a_limit(&serde_json::from_str(&receiver.seen()[0].body).unwrap()), None);
    for url in [format!("{}T0/B0/hunter3", receiver.url), format!("{}T0/B0/hunter3", nobody())] {
        let error = to(url).send(&message(NoticeKind::Firing, None)).await.unwrap_err();
        assert!(!error.to_string().contains("hunter3"), "{error}");
    }
}

fn checked(yaml: &str) -> (Option<Value>, Vec<String>) {
    let root = crate::yaml::parse("c", yaml).unwrap();
    let mut fields = Fields::open("c", &root, "a channel").unwrap();
    let settings = settings("c", &mut fields).map(|s| serde_json::json!(s));
    (settings, fields.finish().iter().map(ToString::to_string).collect())
}

#[test]
fn it_is_an_app_or_a_webhook() {
    let (settings, problems) = checked("token: {env: T}\nchannel: '#db'\n");
    assert_eq!(problems, Vec::<String>::new());
    let expected = json!({"kind": "slack", "token": {"env": "T"}, "channel": "#db", "timeout": 10, "templates": {}});
    assert_eq!(settings.unwrap(), expected);
    assert_eq!(checked("url: {env: U}\n").0.unwrap()["url"], json!({"env": "U"}));
    assert_eq!(checked("url: {env: U}\nchannel: x").1, ["c:2:1: error: `channel` is fixed by the webhook; leave it out, or use `token`"]);
    assert_eq!(checked("channel: x").1, ["c:1:1: error: a slack channel needs either `token` and `channel`, or `url`"]);
    assert_eq!(checked("token: {env: T}").1, ["c:1:1: error: `channel` is missing"]);
}

#[test]
fn a_thread_is_gone_on_with_unless_something_is_new() {
    let of = |kind, previous: &str| thread(&Message { previous: Some(previous.into()), ..Message::of(Notice { kind, ..notice("k") }) });
    let there = Thread { channel: "C1".into(), ts: "1.2".into(), episode: "7f3a-0".into() };
    assert_eq!(there.handle().as_deref(), Some("C1 1.2 7f3a-0"));
    assert_eq!(of(NoticeKind::Repeat, "C1 1.2 7f3a-0"), Some(there));
    assert_eq!(of(NoticeKind::Firing, "C1 1.2 7f3a-0"), None);
    assert_eq!(
        ["", "C1", "C1 1.2", "C/../1 1.2 e", "C1 1.2\"} e"].map(|handle| of(NoticeKind::Repeat, handle)),
        [None, None, None, None, None]
    );
    assert_eq!(Thread { channel: String::new(), ts: String::new(), episode: String::new() }.handle(), None);
    assert_eq!(only_episode(&Message::of(notice("k"))), Some("7f3a-0"));
    assert_eq!(only_episode(&group(3)), None);
}

#[tokio::test]
async fn slack_takes_everything_that_is_told() {
    let stand = stand("xoxb-1");
    for (name, message) in told() {
        let receipt = stand.channel.send(&message).await;
        assert!(receipt.is_ok(), "{name}: {receipt:?}");
    }
    assert_eq!(stand.workspace.lock().unwrap().messages.len(), told().len());
}
