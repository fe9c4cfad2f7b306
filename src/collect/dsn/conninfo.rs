//! Connection strings into parameters: libpq's `key=value` form and its URL form give the same map. Pure.
//!
//! Own code because `tokio_postgres::Config` refuses the keys that libpq users have in their strings (`sslmode=verify-full`,
//! `service`, `passfile`), and because its errors may echo what stands in the string. Ours name a position, never the text:
//! a password with a blank in it would otherwise be shown as an unknown key.

use std::collections::BTreeMap;

use super::DsnError;
use crate::model::Catalog;

/// Parameters by libpq's names. Holds secrets: never printed.
pub(super) type Params = BTreeMap<String, String>;

/// What a string, a service file, the configuration or the environment may set.
pub(super) const KNOWN: [&str; 27] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The parameters of a connection string in either form; an empty value is the same as none.
pub(super) fn parse(dsn: &str) -> Result<Params, DsnError> {
    let dsn = dsn.trim();
    match dsn.strip_prefix("postgresql://").or_else(|| dsn.strip_prefix("postgres://")) {
        Some(rest) => parse_url(rest, dsn.len() - rest.len()),
        None => parse_pairs(dsn),
    }
}

/// Adds a parameter after a look at its name.
pub(super) fn insert(params: &mut Params, key: &str, value: String, at: usize) -> Result<(), DsnError> {
    if !KNOWN.contains(&key) {
        return Err(DsnError::UnknownParameter { at: at + 1, nearest: Catalog::nearest(KNOWN.into_iter(), key).map(String::from) });
    }
    if value.contains('\0') {
        return Err(DsnError::Malformed { at: at + 1, what: "a zero byte in a value" });
    }
    if !value.is_empty() {
        params.insert(key.to_string(), value);
    }
    Ok(())
}

fn parse_pairs(text: &str) -> Result<Params, DsnError> {
    let mut params = Params::new();
    let mut rest = text.char_indices().peekable();
    loop {
        while rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let Some(&(at, _)) = rest.peek() else { return Ok(params) };
        let mut key = String::new();
        while let Some((_, c)) = rest.next_if(|(_, c)| !c.is_whitespace() && *c != '=') {
            key.push(c);
        }
        while rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        if rest.next_if(|(_, c)| *c == '=').is_none() {
            return Err(DsnError::Malformed { at: at + 1, what: "a word without `=`; a value with blanks needs quotes: key='a b'" });
        }
        while rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let value = value(&mut rest, at)?;
        insert(&mut params, &key, value, at)?;
    }
}

fn value(rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>, at: usize) -> Result<String, DsnError> {
    let quoted = rest.next_if(|(_, c)| *c == '\'').is_some();
    let mut value = String::new();
    loop {
        match rest.next_if(|(_, c)| quoted || !c.is_whitespace()) {
            Some((_, '\'')) if quoted => return Ok(value),
            Some((_, '\\')) => value.extend(rest.next().map(|(_, c)| c)),
            Some((_, c)) => value.push(c),
            None if quoted => return Err(DsnError::Malformed { at: at + 1, what: "a quoted value without its closing quote" }),
            None => return Ok(value),
        }
    }
}

fn parse_url(rest: &str, offset: usize) -> Result<Params, DsnError> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    // An `@` after the first `/` or `?` means that one of these stands unescaped in the password.
    if login.is_empty() && (path.contains('@') || query.contains('@')) && !authority.contains('@') {
        return Err(DsnError::Malformed { at: offset + 1, what: "`/`, `?`, `#` and `@` in a user or password must be percent-encoded" });
    }
    let mut params = Params::new();
    let mut set = |key: &str, raw: &str| insert(&mut params, key, decode(raw, offset)?, offset);
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    set("user", user)?;
    set("password", password)?;
    set("dbname", path)?;
    let (hosts, ports) = split_hosts(hosts, offset)?;
    set("host", &hosts)?;
    set("port", &ports)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(DsnError::Malformed { at: offset + 1, what: "a query parameter without `=`" })?;
        let key = decode(key, offset)?;
        // JDBC's way of asking for TLS, which libpq reads too.
        if key == "ssl" && value == "true" { set("sslmode", "require")? } else { set(&key, value)? }
    }
    Ok(params)
}

/// `a:1,b,[::1]:2` as the comma lists that libpq keeps: hosts `a,b,::1`, ports `1,,2`.
fn split_hosts(hosts: &str, offset: usize) -> Result<(String, String), DsnError> {
    let bad = DsnError::Malformed { at: offset + 1, what: "an IPv6 address without its closing bracket" };
    let mut pairs = Vec::new();
    for host in hosts.split(',') {
        pairs.push(match host.strip_prefix('[') {
            Some(v6) => {
                let (address, port) = v6.split_once(']').ok_or(bad.clone())?;
                (address, port.trim_start_matches(':'))
            }
            None => host.split_once(':').unwrap_or((host, "")),
        });
    }
    let join = |parts: Vec<&str>| if parts.iter().all(|p| p.is_empty()) { String::new() } else { parts.join(",") };
    Ok((join(pairs.iter().map(|p| p.0).collect()), join(pairs.iter().map(|p| p.1).collect())))
}

fn decode(raw: &str, offset: usize) -> Result<String, DsnError> {
    let decoded = percent_encoding::percent_decode_str(raw).decode_utf8();
    decoded.map(String::from).map_err(|_| DsnError::Malformed { at: offset + 1, what: "a percent-encoded value that is not UTF-8" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect()
    }

    #[test]
    fn both_forms_give_the_same_parameters() {
        let wanted = params(&[("dbname", "shop"), ("host", "db.corp"), ("password", "p w"), ("port", "6432"), ("user", "mon")]);
        assert_eq!(parse("host=db.corp port = 6432 user=mon password='p w' dbname=shop").unwrap(), wanted);
        assert_eq!(parse("postgresql://mon:p%20w@db.corp:6432/shop").unwrap(), wanted);
    }

    #[test]
    fn urls_take_several_hosts_brackets_sockets_and_query_parameters() {
        let several = parse("postgres://a:1,b,[::1]:2/d?sslmode=verify-full").unwrap();
        assert_eq!(several, params(&[("dbname", "d"), ("host", "a,b,::1"), ("port", "1,,2"), ("sslmode", "verify-full")]));
        let socket = parse("postgresql:///d?host=%2Fvar%2Frun%2Fpostgresql&ssl=true").unwrap();
        assert_eq!(socket, params(&[("dbname", "d"), ("host", "/var/run/postgresql"), ("sslmode", "require")]));
        assert_eq!(parse("postgresql://").unwrap(), Params::new());
    }

    #[test]
    fn quotes_and_backslashes_escape() {
        assert_eq!(parse(r"password='it\'s \\ here' host=\ a").unwrap(), params(&[("password", r"it's \ here"), ("host", " a")]));
    }

    #[test]
    fn an_unescaped_at_sign_in_the_password_still_finds_the_host() {
        assert_eq!(parse("postgres://mon:p@ss@db/shop").unwrap()["host"], "db");
        assert_eq!(parse("postgres://mon:p@ss@db/shop").unwrap()["password"], "p@ss");
    }

    #[test]
    fn errors_say_where_and_what_would_be_right_but_never_echo_the_string() {
        let error = |dsn: &str| parse(dsn).unwrap_err().to_string();
        assert_eq!(error("hosst=a"), "connection string: unknown parameter at character 1; did you mean `host`?");
        assert!(error("password=my hunter2 host=a").contains("needs quotes"));
        assert!(!error("password=my hunter2 host=a").contains("hunter2"));
        assert!(!error("password=my hunter2=x host=a").contains("hunter2"));
        assert!(error("postgres://mon:12/hunter2@db/shop").contains("percent-encoded"));
        assert!(error("password='abc").contains("closing quote"));
    }

    proptest! {
        #[test]
        fn any_password_survives_quoting(password in "[^\0]+") {
            let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
            prop_assert_eq!(&parse(&format!("user=u password='{quoted}' host=h")).unwrap()["password"], &password);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ignored = parse(&text);
            let _ignored = parse(&format!("postgres://{text}"));
        }
    }
}
