//! Who we are to a receiver: a bearer token, or a user name with a password.

use reqwest::Url;
use serde::Serialize;

use super::Http;
use crate::deliver::SendError;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::yaml::Fields;

/// What goes into the header `Authorization`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Login {
    /// Nothing.
    #[default]
    None,
    /// `token`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// `username` and `password`.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
}

impl Login {
    /// Takes the keys from a channel's map; what is wrong is noted in `fields`.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let (token, username, password) = (Secret::take(fields, "token"), fields.text("username"), Secret::take(fields, "password"));
        match (token, username, password) {
            (None, None, None) => Self::None,
            (Some(token), None, None) => Self::Bearer { token },
            (None, Some(username), Some(password)) if !username.contains(':') => Self::Basic { username, password },
            _ => {
                let message = "give either `token`, or `username` (without a colon) and `password`";
                fields.problems.push(Problem::error(fields.file(), fields.at(), message));
                Self::None
            }
        }
    }

    /// Puts us into a request: a name and password into the address, which becomes a header and is never shown; a token is
    /// given back as the value of `Authorization`.
    ///
    /// # Errors
    /// When the secret is not to be had.
    pub async fn put(&self, http: &Http, url: &mut Url) -> Result<Option<String>, SendError> {
        match self {
            Self::None => Ok(None),
            Self::Bearer { token } => Ok(Some(format!("Bearer {}", http.reveal("token", token).await?.expose()))),
            Self::Basic { username, password } => {
                let password = http.reveal("password", password).await?;
                let refused = |()| SendError::Auth { detail: "the address takes no login".into() };
                url.set_username(username).and_then(|()| url.set_password(Some(password.expose()))).map_err(refused)?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (Login, Vec<String>) {
        let root = crate::yaml::parse("c", yaml).unwrap();
        let mut fields = Fields::open("c", &root, "a channel").unwrap();
        let login = Login::read(&mut fields);
        (login, fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_login_is_one_of_two_and_whole() {
        let shown = |yaml| serde_json::json!(read(yaml).0);
        assert_eq!(shown("token: {env: T}"), serde_json::json!({"token": {"env": "T"}}));
        assert_eq!(shown("{username: u, password: {env: P}}"), serde_json::json!({"username": "u", "password": {"env": "P"}}));
        for half in [
            "username: u",
            "password: {env: P}",
            "{token: {env: T}, username: u, password: {env: P}}",
            "{username: 'a:b', password: {env: P}}",
        ] {
            assert_eq!(read(half).1, ["c:1:1: error: give either `token`, or `username` (without a colon) and `password`"], "{half}");
        }
    }
}
