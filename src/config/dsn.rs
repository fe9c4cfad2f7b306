//! Takes the password out of a connection string, so that nothing behind this door can print one.
//!
//! Only as much of libpq's two forms is understood as that needs; hosts, options and their meaning are `collect`'s. What
//! cannot be cut with certainty is refused, and no message quotes the string.

/// A connection string without its password, and the password.
#[derive(PartialEq, Eq)]
pub(super) struct Cut {
    pub dsn: String,
    pub password: Option<String>,
}

/// Cuts the password out.
///
/// # Errors
/// Says what is wrong with the form, without quoting anything.
pub(super) fn cut(dsn: &str) -> Result<Cut, &'static str> {
    let dsn = dsn.trim();
    match dsn.split_once("://") {
        Some((scheme @ ("postgres" | "postgresql"), rest)) => url(scheme, rest),
        Some((scheme, _)) if !scheme.contains(['=', ' ', '\'']) => Err("a URL must start with `postgres://`"),
        _ => keywords(dsn),
    }
}

fn url(scheme: &str, rest: &str) -> Result<Cut, &'static str> {
    let (front, query) = rest.split_once('?').map_or((rest, None), |(front, query)| (front, Some(query)));
    let (authority, path) = front.find('/').map_or((front, ""), |slash| front.split_at(slash));
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    if path.contains('@') || (query.is_some_and(|q| q.contains('@')) && user.is_none() && hosts.contains(':')) {
        return Err("`/`, `?` and `@` within a user name, password or database name must be written `%2F`, `%3F` and `%40`");
    }
    let (user, mut password) = match user.and_then(|u| u.split_once(':')) {
        Some((user, password)) => (Some(user), Some(decode(password)?)),
        None => (user, None),
    };
    let mut kept = Vec::new();
    for pair in query.into_iter().flat_map(|q| q.split('&')) {
        match pair.split_once('=') {
            Some((name, value)) if decode(name)? == "password" => password = Some(decode(value)?),
            Some((name, _)) if decode(name)? == "sslpassword" => return Err("`sslpassword` is not supported: use a key without one"),
            _ => kept.push(pair),
        }
    }
    let user = user.map_or(String::new(), |u| format!("{u}@"));
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok(Cut { dsn: format!("{scheme}://{user}{hosts}{path}{query}"), password: password.filter(|p| !p.is_empty()) })
}

fn decode(text: &str) -> Result<String, &'static str> {
    let wrong = "a `%` must be followed by two hexadecimal digits (write `%25` for the sign itself)";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).ok_or(wrong);
            bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| "the password is not UTF-8 text")
}

fn keywords(dsn: &str) -> Result<Cut, &'static str> {
    let mut kept = Vec::new();
    let mut password = None;
    let mut rest = dsn;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("it is neither `host=... dbname=...` nor `postgres://...`")?;
        let name = name.trim();
        let (value, after) = value(after.trim_start())?;
        match name {
            _ if name.is_empty() || name.contains(char::is_whitespace) => {
                return Err("words stand where `keyword=value` should; a value with spaces needs '...'");
            }
            "password" => password = Some(value),
            "sslpassword" => return Err("`sslpassword` is not supported: use a key without one"),
            _ => kept.push(format!("{name}={}", quoted(&value))),
        }
        rest = after.trim_start();
    }
    Ok(Cut { dsn: kept.join(" "), password: password.filter(|p| !p.is_empty()) })
}

/// The value at the start and what follows it, as libpq reads them: '...' with backslashes, or up to white space.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let quoted = text.starts_with('\'');
    let mut out = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((out, text.get(at + 1..).unwrap_or_default())),
            c if !quoted && c.is_whitespace() => return Ok((out, text.get(at..).unwrap_or_default())),
            c => out.push(c),
        }
    }
    if quoted { Err("a quote is not closed") } else { Ok((out, "")) }
}

fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
    if plain { value.to_string() } else { format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(dsn: &str) -> (String, Option<String>) {
        let cut = cut(dsn).map_err(str::to_string).unwrap();
        (cut.dsn, cut.password)
    }

    #[test]
    fn the_password_leaves_both_forms() {
        let pw = |text: &str| Some(text.to_string());
        assert_eq!(parts("host=db password='it\\'s a \\\\' dbname=x"), ("host=db dbname=x".into(), pw("it's a \\")));
        assert_eq!(parts("host = db user='a b'"), ("host=db user='a b'".into(), None));
        assert_eq!(
            parts("postgres://u:p%40x@h1:5432,h2/db?sslmode=require"),
            ("postgres://u@h1:5432,h2/db?sslmode=require".into(), pw("p@x"))
        );
        assert_eq!(parts("postgresql://h/db?password=a%2Fb&user=u"), ("postgresql://h/db?user=u".into(), pw("a/b")));
        assert_eq!(parts("postgres://u:a@b@h"), ("postgres://u@h".into(), pw("a@b")));
        assert_eq!(parts("service=dev7"), ("service=dev7".into(), None));
        assert_eq!(parts(""), (String::new(), None));
        assert_eq!(parts("password='postgres://x' host=db"), ("host=db".into(), pw("postgres://x")));
    }

    #[test]
    fn what_cannot_be_cut_with_certainty_is_refused() {
        for dsn in
            ["postgres://u:a/b@h/db", "orders-1.db.corp", "mysql://u:p@h", "host=db password='x", "postgres://u:%zz@h", "host=a b c=d"]
        {
            assert!(cut(dsn).is_err(), "{dsn}");
        }
    }

    proptest! {
        #[test]
        fn a_keyword_password_always_comes_out_whole(password in "\\PC{1,20}", user in "[a-z ']{1,8}") {
            let dsn = format!("user={} password={} host=h", quoted(&user), quoted(&password));
            let (rest, found) = parts(&dsn);
            prop_assert_eq!(found, Some(password));
            prop_assert_eq!(rest, format!("user={} host=h", quoted(&user)));
        }
    }
}
