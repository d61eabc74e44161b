//! `auth`: who we say we are.
//!
//! Half of it (a user without a password) or two ways at once are errors: an agent that sends without credentials what
//! was meant to be sent with them is found out too late.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use super::sign::Sign;
use crate::settings::{Reported, Secret, Section, enumerate};

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Basic`
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: Bearer`
    Bearer(Secret),
    /// `Authorization: ApiKey`, as Elasticsearch has it: `id:key`, or the base64 of it that Elasticsearch calls `encoded`.
    ApiKey(Secret),
    /// A signature of Amazon Web Services', version 4, on each request.
    #[cfg(feature = "aws")]
    Aws(Box<crate::aws::RequestSigner>),
}

/// The ways that are offered besides `user` and `bearer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways {
    /// `api_key`
    pub api_key: bool,
    /// `aws`
    pub aws: bool,
}

// === impl Auth ===

impl Auth {
    /// Reads the setting `auth`, if it is there.
    pub fn read(settings: &Section, offered: Ways) -> Result<Option<Auth>, Reported> {
        let Some(auth) = settings.section("auth") else {
            // There, but not a table: that is reported already, and the request must not go without.
            return if settings.has("auth") {
                Err(settings.error_at("auth", "`auth` must be a table", HELP))
            } else {
                Ok(None)
            };
        };
        let mut ways = vec!["user", "bearer"];
        if offered.api_key {
            ways.push("api_key");
        }
        if offered.aws {
            ways.push("aws");
        }
        let user = auth.get::<String>("user");
        let password = auth.get::<Secret>("password");
        let bearer = auth.get::<Secret>("bearer");
        let api_key = offered.api_key.then(|| auth.get::<Secret>("api_key")).flatten();
        let aws = offered.aws.then(|| auth.section("aws")).flatten().map(|aws| read_aws(&aws)).transpose()?;
        let given = ways.iter().filter(|way| auth.has(way)).count();
        let choice = enumerate(ways.iter().copied(), "or");
        if auth.has("password") && !auth.has("user") {
            return Err(auth.error_at("password", "`password` needs a `user` beside it", HELP));
        }
        if given == 0 {
            return Err(auth.error(format!("`auth` needs one of {choice}"), HELP));
        }
        if given > 1 {
            return Err(auth.error(format!("`auth` takes only one of {choice}"), HELP));
        }
        if let Some(user) = user {
            if !auth.has("password") {
                return Err(auth.error_at("user", "`user` needs a `password` beside it", HELP));
            }
            if user.contains(':') {
                return Err(auth.error_at("user", "a user's name can't hold a colon", ""));
            }
            if let Some(password) = password {
                return Ok(Some(Auth::Basic { user, password }));
            }
        }
        if aws.is_some() {
            return Ok(aws);
        }
        let token = bearer.map(Auth::Bearer).or(api_key.map(Auth::ApiKey));
        match token {
            Some(token) if token.header().is_some() => Ok(Some(token)),
            Some(_) => Err(auth.error("the token in `auth` holds characters that no HTTP header can", "")),
            // It is there and could not be read: reported where it stands.
            None => Err(auth.error("`auth` can't be used", HELP)),
        }
    }

    /// The value of `Authorization`, marked so that nothing prints it.
    pub fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Auth::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
            Auth::Bearer(token) => format!("Bearer {}", token.expose()),
            Auth::ApiKey(key) if key.expose().contains(':') => format!("ApiKey {}", STANDARD.encode(key.expose())),
            Auth::ApiKey(key) => format!("ApiKey {}", key.expose()),
            #[cfg(feature = "aws")]
            Auth::Aws(_) => return None,
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Who signs each request, where that is the way.
    pub fn signer(&self) -> Option<Arc<dyn Sign>> {
        match self {
            #[cfg(feature = "aws")]
            Auth::Aws(signer) => Some(Arc::new(signer.as_ref().clone())),
            _ => None,
        }
    }
}

#[cfg(feature = "aws")]
fn read_aws(settings: &Section) -> Result<Auth, Reported> {
    crate::aws::RequestSigner::read(settings).map(|signer| Auth::Aws(Box::new(signer)))
}

#[cfg(not(feature = "aws"))]
fn read_aws(settings: &Section) -> Result<Auth, Reported> {
    Err(settings.error("this build has no AWS", "build it with the feature `aws`"))
}

const HELP: &str = "for example: auth = { user = \"suiro\", password = { env = \"PASSWORD\" } }";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<Option<Auth>, Reported>, String) {
        let (section, diagnostics) = Section::from_text("[[output]] x", text);
        let auth = Auth::read(&section, Ways { api_key: true, aws: true });
        let _ = section.finish();
        (auth, diagnostics.render(false))
    }

    fn header(text: &str) -> String {
        let (auth, shown) = read(text);
        let auth = auth.unwrap_or_else(|_| panic!("{shown}")).unwrap();
        assert!(!format!("{auth:?}").contains("pa55"));
        auth.header().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn each_way_has_its_header() {
        assert_eq!(header("auth = { user = 'me', password = 'pa55' }"), "Basic bWU6cGE1NQ==");
        assert_eq!(header("auth = { bearer = 'pa55' }"), "Bearer pa55");
        assert_eq!(header("auth = { api_key = 'id:pa55' }"), "ApiKey aWQ6cGE1NQ==");
        assert_eq!(header("auth = { api_key = 'aWQ6cGE1NQ==' }"), "ApiKey aWQ6cGE1NQ==");
        assert!(matches!(read("url = 'x'").0, Ok(None)));
    }

    #[test]
    fn half_of_it_is_an_error() {
        for (text, message) in [
            ("auth = { user = 'me' }", "needs a `password`"),
            ("auth = { password = 'pa55' }", "needs a `user`"),
            ("auth = {}", "needs one of `user`, `bearer`, `api_key` or `aws`"),
            ("auth = { user = 'me', password = 'pa55', bearer = 'pa55' }", "only one of"),
            ("auth = { bearer = 'pa55', api_key = 'pa55' }", "only one of"),
            ("auth = { bearer = '' }", ""),
            ("auth = { bearer = \"pa55\\nX-Other: 1\" }", "no HTTP header"),
            ("auth = { user = 'a:b', password = 'pa55' }", "colon"),
            ("auth = 'pa55'", ""),
            ("auth = { bearer = { env = 'SUIRO_NO_SUCH_VARIABLE' } }", "not set"),
        ] {
            let (auth, shown) = read(text);
            assert!(auth.is_err(), "{text}");
            assert!(shown.contains(message), "{text}: {shown}");
        }
    }

    #[cfg(not(feature = "aws"))]
    #[test]
    fn a_build_without_aws_says_so() {
        let (auth, shown) = read("auth = { aws = { service = 'logs' } }");
        assert!(auth.is_err() && shown.contains("this build has no AWS"), "{shown}");
    }

    #[test]
    fn an_api_key_is_only_for_those_who_have_them() {
        let (section, diagnostics) = Section::from_text("[[output]] x", "auth = { api_key = 'pa55' }");
        assert!(Auth::read(&section, Ways::default()).is_err());
        assert!(section.finish().is_err());
        assert!(!diagnostics.render(false).contains("pa55\""));
    }
}
