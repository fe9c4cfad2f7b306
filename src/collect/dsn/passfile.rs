//! `~/.pgpass`: lines of `host:port:database:user:password`, the first that fits wins.
//!
//! Read anew at each connection: every database of a server may have its own line, and a rotated password works without
//! a restart. A file that others can read is refused, as libpq does.

use std::path::Path;

use super::DsnError;

/// Whose password is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    /// Host name, address or socket folder.
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password for a login; `None` when the file is not there or no line fits.
///
/// # Errors
/// When the file is open to others or cannot be read.
pub(super) fn look_up(path: &Path, login: Login<'_>) -> Result<Option<String>, DsnError> {
    if !path.is_file() {
        return Ok(None);
    }
    if open_to_others(path) {
        return Err(DsnError::Exposed { path: path.display().to_string(), mode: "0600" });
    }
    let text = std::fs::read_to_string(path).map_err(|source| DsnError::File {
        what: "password file",
        path: path.display().to_string(),
        source: source.into(),
    })?;
    Ok(text.lines().find_map(|line| password_in(line, login)))
}

/// Whether group or world have any right on the file.
#[cfg(unix)]
pub(in crate::collect) fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Other systems keep such files in the profile folder, which is closed already.
#[cfg(not(unix))]
pub(in crate::collect) fn open_to_others(_path: &Path) -> bool {
    false
}

fn password_in(line: &str, login: Login<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = fields.as_slice() else { return None };
    let fits = |field: &Field, value: &str| field.any || field.text == value;
    // libpq: `localhost` stands for the default socket folders too.
    let host_fits = fits(host, login.host) || (host.text == "localhost" && super::DEFAULT_SOCKETS.contains(&login.host));
    let all = host_fits && fits(port, &login.port.to_string()) && fits(database, login.database) && fits(user, login.user);
    (all && !password.text.is_empty()).then(|| password.text.clone())
}

struct Field {
    text: String,
    /// A bare `*`; an escaped one is the text.
    any: bool,
}

/// At most five fields; the password keeps what follows its colon, with `\:` and `\\` unescaped as in the others.
fn fields(line: &str) -> Vec<Field> {
    let mut raw = vec![String::new()];
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == ':' && fields.len() < 5 {
            fields.push(String::new());
            raw.push(String::new());
            continue;
        }
        let (text, seen) = match c {
            '\\' => (chars.next(), true),
            other => (Some(other), false),
        };
        if let (Some(field), Some(source)) = (fields.last_mut(), raw.last_mut()) {
            field.extend(text);
            source.push_str(if seen { "\\" } else { "" });
            source.extend(text);
        }
    }
    fields.into_iter().zip(raw).map(|(text, raw)| Field { any: raw == "*", text }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'static> = Login { host: "db", port: 5432, database: "shop", user: "mon" };

    fn found(line: &str, login: Login<'_>) -> Option<String> {
        password_in(line, login)
    }

    #[test]
    fn a_line_fits_by_value_or_star() {
        assert_eq!(found("db:5432:shop:mon:pw", LOGIN).as_deref(), Some("pw"));
        assert_eq!(found("*:*:*:mon:pw", LOGIN).as_deref(), Some("pw"));
        assert_eq!(found("db:5433:*:mon:pw", LOGIN), None);
        assert_eq!(found("# db:5432:shop:mon:pw", LOGIN), None);
        assert_eq!(found("db:5432:shop:mon", LOGIN), None);
    }

    #[test]
    fn colons_and_backslashes_are_escaped_and_an_escaped_star_is_a_star() {
        assert_eq!(found(r"db:*:*:mon:a\:b\\c", LOGIN).as_deref(), Some(r"a:b\c"));
        assert_eq!(found(r"db:*:\*:mon:pw", LOGIN), None);
        let v6 = Login { host: "::1", ..LOGIN };
        assert_eq!(found(r"\:\:1:5432:shop:mon:pw", v6).as_deref(), Some("pw"));
    }

    #[test]
    fn localhost_stands_for_the_default_socket() {
        let socket = Login { host: "/var/run/postgresql", ..LOGIN };
        assert_eq!(found("localhost:*:*:mon:pw", socket).as_deref(), Some("pw"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_open_to_others_is_refused_and_a_missing_one_is_no_password() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        assert!(look_up(&path, LOGIN).unwrap().is_none());
        std::fs::write(&path, "other:*:*:*:x\ndb:5432:shop:mon:pw\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(look_up(&path, LOGIN).unwrap_err().to_string().contains("chmod 0600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look_up(&path, LOGIN).unwrap().as_deref(), Some("pw"));
    }
}
