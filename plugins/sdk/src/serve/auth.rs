//! `auth`: who may send.
//!
//! The mirror image of the client's: the same words, and half of it is an error. Several bearer tokens may be given, so
//! that one can be replaced without a moment in which nobody gets in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq as _;

use crate::settings::{Reported, Secret, Section};

/// What a request must show.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Basic`, and what must follow.
    Basic(Secret),
    /// `Authorization: Bearer`, and one of these.
    Bearer(Vec<Secret>),
}

const HELP: &str = "for example: auth = { bearer = { env = \"TOKEN\" } }";

// === impl Auth ===

impl Auth {
    /// Reads the setting `auth`, if it is there.
    pub(super) fn read(settings: &Section) -> Result<Option<Auth>, Reported> {
        let Some(auth) = settings.section("auth") else {
            // There, but not a table: that is reported already, and nobody must get in without.
            return if settings.has("auth") {
                Err(settings.error_at("auth", "`auth` must be a table", HELP))
            } else {
                Ok(None)
            };
        };
        let user = auth.get::<String>("user");
        let password = auth.get::<Secret>("password");
        let given = auth.value("bearer").map_or(0, |value| value.one_or_many().len());
        let bearer = auth.list::<Secret>("bearer");
        match (auth.has("user"), auth.has("password"), auth.has("bearer")) {
            (true, false, _) => return Err(auth.error_at("user", "`user` needs a `password` beside it", HELP)),
            (false, true, _) => return Err(auth.error_at("password", "`password` needs a `user` beside it", HELP)),
            (true, true, true) => return Err(auth.error("`auth` takes only one of `user` and `bearer`", HELP)),
            (false, false, false) => return Err(auth.error("`auth` needs one of `user` or `bearer`", HELP)),
            _ => {}
        }
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(auth.error_at("user", "a user's name can't hold a colon", ""));
        }
        if let Some((user, password)) = user.zip(password) {
            let expected = STANDARD.encode(format!("{user}:{}", password.expose()));
            return Ok(Some(Auth::Basic(Secret::new(expected))));
        }
        if bearer.is_empty() || bearer.len() < given {
            // One of them could not be read: reported where it stands.
            return Err(auth.error("`auth` can't be used", HELP));
        }
        Ok(Some(Auth::Bearer(bearer)))
    }

    /// Whether a request with these headers may come in. Takes the same time wherever a secret differs.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let value = value.as_bytes();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, shown) = (&value[..space], value[space..].trim_ascii());
        if !scheme.eq_ignore_ascii_case(self.scheme().as_bytes()) {
            return false;
        }
        let is = |secret: &Secret| secret.expose().as_bytes().ct_eq(shown);
        match self {
            Auth::Basic(secret) => is(secret).into(),
            Auth::Bearer(secrets) => secrets.iter().map(is).fold(false, |any, one| any | bool::from(one)),
        }
    }

    /// The word a request must begin with.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Auth::Basic(_) => "Basic",
            Auth::Bearer(_) => "Bearer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<Option<Auth>, Reported>, String) {
        let (section, diagnostics) = Section::from_text("[[input]] x", text);
        let auth = Auth::read(&section);
        let _ = section.finish();
        (auth, diagnostics.render(false))
    }

    fn admits(text: &str, shown: &[&str]) -> bool {
        let (auth, report) = read(text);
        let auth = auth.unwrap_or_else(|_| panic!("{report}")).unwrap();
        assert!(!format!("{auth:?}").contains("pa55"));
        let mut headers = HeaderMap::new();
        for value in shown {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        auth.admits(&headers)
    }

    #[test]
    fn only_who_shows_it_gets_in() {
        let basic = "auth = { user = 'me', password = 'pa55' }";
        let bearer = "auth = { bearer = 'pa55' }";
        let two = "auth = { bearer = ['pa55', 'new-pa55'] }";
        for (text, shown, admitted) in [
            (basic, "Basic bWU6cGE1NQ==", true),
            (basic, "basic  bWU6cGE1NQ== ", true),
            (basic, "Basic bWU6cGE1NQ", false),
            (basic, "Bearer bWU6cGE1NQ==", false),
            (basic, "Basic", false),
            (bearer, "Bearer pa55", true),
            (bearer, "Bearer pa5", false),
            (bearer, "Bearer pa555", false),
            (bearer, "Bearer ", false),
            (bearer, "pa55", false),
            (two, "Bearer new-pa55", true),
            (two, "Bearer pa55", true),
            (two, "Bearer pa55 new-pa55", false),
        ] {
            assert_eq!(admits(text, &[shown]), admitted, "{text} {shown}");
        }
        assert!(!admits(bearer, &[]));
        assert!(!admits(bearer, &["Bearer pa55", "Bearer pa55"]), "which of them is meant?");
        assert!(matches!(read("x = 1").0, Ok(None)));
    }

    #[test]
    fn half_of_it_is_an_error() {
        for (text, message) in [
            ("auth = { user = 'me' }", "needs a `password`"),
            ("auth = { password = 'pa55' }", "needs a `user`"),
            ("auth = {}", "needs one of `user` or `bearer`"),
            ("auth = { user = 'me', password = 'pa55', bearer = 'pa55' }", "only one of"),
            ("auth = { bearer = '' }", "isn't empty"),
            ("auth = { bearer = [] }", "can't be used"),
            ("auth = { bearer = ['pa55', ''] }", "isn't empty"),
            ("auth = { user = 'a:b', password = 'pa55' }", "colon"),
            ("auth = 'me'", "must be a table"),
            ("auth = { bearer = { env = 'SUIRO_NO_SUCH_VARIABLE' } }", "not set"),
        ] {
            let (auth, shown) = read(text);
            assert!(auth.is_err(), "{text}");
            assert!(shown.contains(message), "{text}:\n{shown}");
            assert!(!shown.contains("pa55"), "{shown}");
        }
    }
}
