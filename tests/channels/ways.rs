//! The way to a receiver: through a proxy, and with a certificate of ours.

use super::proxy::Proxy;
use super::*;

const PROXY_LOGIN: &str = "Basic Ym90Omh1bnRlcjItaHVudGVyMi1odW50ZXIy";

/// A channel with more settings; `PROXY` is the variable with the proxy's address.
fn way(case: &Case, receiver: &Receiver, proxy: &str, more: &str) -> Box<dyn Channel> {
    let yaml = case.yaml.strip_suffix('}').map(|open| format!("{open}, {more}}}")).unwrap();
    channel_in(case.kind, &yaml, &receiver.address, receiver.ca.as_deref(), [("PROXY", proxy); 2])
}

fn fine(case: &Case) -> Act {
    Act::Answer(answer(case.good.0, "", case.good.1.as_bytes()))
}

fn login_wanted(head: &str) -> Option<&'static str> {
    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    (!head.contains(PROXY_LOGIN)).then_some(refused)
}

#[tokio::test]
async fn every_channel_goes_through_a_proxy_that_wants_a_login() {
    for case in CHANNELS {
        for tls in [Tls::Plain, Tls::Sound] {
            let (good, proxy) = (fine(case), Proxy::start(login_wanted).await);
            let receiver = Receiver::start(tls, move |_| good.clone()).await;
            let with_login = format!("http://bot:{TOKEN}@{}", proxy.address);
            let result = way(case, &receiver, &with_login, "proxy: {env: PROXY}").send(&Message::of(notice("k", NoticeKind::Firing))).await;
            assert_eq!(Class::of(&result), Class::Taken, "{} {tls:?}: {result:?}", case.kind);
            let (host, heads) = (receiver.address.split("//").nth(1).unwrap(), proxy.heads());
            assert_eq!((receiver.requests().len(), heads.len()), (1, 1), "{} {tls:?}", case.kind);
            let begin = if tls == Tls::Plain { format!("POST http://{host}/") } else { format!("CONNECT {host} ") };
            assert!(heads[0].starts_with(&begin), "{}", heads[0]);
            assert!(tls == Tls::Plain || !heads[0].contains(TOKEN) && !heads[0].contains(KEY), "a tunnel hears no secret: {}", heads[0]);
        }
    }
}

#[tokio::test]
async fn a_certificate_is_looked_at_through_a_proxy_too() {
    let proxy = Proxy::start(|_| None).await;
    let receiver = Receiver::start(Tls::Stranger, |_| Act::Answer(answer(200, "", b""))).await;
    let yaml = format!("{{url: ADDRESS, proxy: \"http://{}\"}}", proxy.address);
    let error = channel("webhook", &yaml, &receiver.address, receiver.ca.as_deref())
        .send(&Message::of(notice("k", NoticeKind::Firing)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is signed by nobody that is trusted here; set `ca` to the file"), "{error}");
}

#[tokio::test]
async fn a_proxy_of_the_environment_serves_https_only_and_not_where_it_says_so() {
    for (tls, not_for, through) in [(Tls::Sound, "", 1), (Tls::Sound, "127.0.0.1", 0), (Tls::Plain, "", 0)] {
        let proxy = Proxy::start(|_| None).await;
        let receiver = Receiver::start(tls, |_| Act::Answer(answer(200, "", b""))).await;
        let env = [("HTTPS_PROXY", format!("http://{}", proxy.address)), ("NO_PROXY", not_for.into())];
        let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
        let channel = channel_in("webhook", "{url: ADDRESS}", &receiver.address, receiver.ca.as_deref(), env);
        channel.send(&Message::of(notice("k", NoticeKind::Firing))).await.unwrap();
        assert_eq!(proxy.heads().len(), through, "{tls:?} {not_for}");
    }
}

#[tokio::test]
async fn a_proxy_that_fails_has_its_class_and_is_named() {
    type Refuse = fn(&str) -> Option<&'static str>;
    /// What becomes of a message over HTTP, and over HTTPS.
    type Becomes = [(Class, &'static str); 2];
    let tunnel = (Class::Later, "the proxy on the way to `127.0.0.1:");
    let faults: [(&str, Option<Refuse>, Becomes); 5] = [
        ("nobody", None, [(Class::Later, "cannot be reached through the proxy: Connection refused"); 2]),
        ("no login", Some(login_wanted), [(Class::Refused, "give `proxy` a login"), (Class::Refused, "wants a login; give it to `proxy`")]),
        ("no way", Some(|_| Some("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")), [(Class::Later, "502 Bad Gateway"), tunnel]),
        ("not allowed", Some(|_| Some("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")), [(Class::Refused, "403 Forbidden"), tunnel]),
        ("no proxy", Some(|_| Some("SSH-2.0-OpenSSH_9.2\r\n")), [(Class::Later, "broke off: invalid HTTP version"), tunnel]),
    ];
    let mut wrong = Vec::new();
    for (name, refuse, expected) in faults {
        for (tls, (class, says)) in [Tls::Plain, Tls::Sound].into_iter().zip(expected) {
            let address = match refuse {
                Some(refuse) => Proxy::start(refuse).await.address,
                None => nobody().await.replace("http://", ""),
            };
            let receiver = Receiver::start(tls, |_| Act::Answer(answer(200, "", b""))).await;
            let yaml = format!("{{url: ADDRESS, proxy: \"http://{address}\"}}");
            let result = channel("webhook", &yaml, &receiver.address, receiver.ca.as_deref())
                .send(&Message::of(notice("k", NoticeKind::Firing)))
                .await;
            let said = result.as_ref().map_or_else(ToString::to_string, |receipt| receipt.text.clone());
            if Class::of(&result) != class || !said.contains(says) {
                wrong.push(format!("{name} {tls:?}: {:?} {said}", Class::of(&result)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_receiver_that_wants_a_certificate_of_ours_gets_it() {
    for case in CHANNELS {
        for old in [false, true] {
            let (good, proxy) = (fine(case), Proxy::start(|_| None).await);
            let receiver = Receiver::start(Tls::Demanding { old }, move |_| good.clone()).await;
            for more in ["", ", proxy: {env: PROXY}"] {
                let settings = format!("{}{more}", receiver.ours("known"));
                let result = way(case, &receiver, &format!("http://{}", proxy.address), &settings)
                    .send(&Message::of(notice("k", NoticeKind::Firing)))
                    .await;
                assert_eq!(Class::of(&result), Class::Taken, "{} {old} {more}: {result:?}", case.kind);
            }
            assert_eq!((receiver.requests().len(), proxy.heads().len()), (2, 1), "{}", case.kind);
        }
    }
}

#[tokio::test]
async fn without_a_certificate_that_it_takes_nothing_is_lost_and_the_error_says_what_to_do() {
    const STRANGER: &str = "does not take our certificate (UnknownCA); set `cert` and `key` to one that it trusts";
    const EXPIRED: &str = "does not take our certificate (CertificateExpired)";
    let mut wrong = Vec::new();
    for (name, says) in [("", "wants a certificate of ours; set `cert` and `key`"), ("stranger", STRANGER), ("expired", EXPIRED)] {
        for old in [false, true] {
            let receiver = Receiver::start(Tls::Demanding { old }, |_| Act::Answer(answer(200, "", b""))).await;
            let ours = if name.is_empty() { "proxy: {env: PROXY}".into() } else { receiver.ours(name) };
            let case = CHANNELS.iter().find(|case| case.kind == "webhook").unwrap();
            let proxy = Proxy::start(|_| None).await;
            let result =
                way(case, &receiver, &format!("http://{}", proxy.address), &ours).send(&Message::of(notice("k", NoticeKind::Firing))).await;
            let said = result.as_ref().map_or_else(ToString::to_string, |receipt| receipt.text.clone());
            if Class::of(&result) != Class::Later || !said.contains(says) {
                wrong.push(format!("{name} {old}: {:?} {said}", Class::of(&result)));
            }
            assert!(receiver.requests().is_empty());
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_certificate_that_was_renewed_on_the_disk_needs_no_restart() {
    let receiver = Receiver::start(Tls::Demanding { old: false }, |_| Act::Answer(answer(200, "", b""))).await;
    let yaml = format!("{{url: ADDRESS, {}}}", receiver.ours("expired"));
    let channel = channel("webhook", &yaml, &receiver.address, receiver.ca.as_deref());
    let message = Message::of(notice("k", NoticeKind::Firing));
    assert_eq!(Class::of(&channel.send(&message).await), Class::Later);
    receiver.renew("expired", "known");
    assert_eq!(Class::of(&channel.send(&message).await), Class::Taken);
}
