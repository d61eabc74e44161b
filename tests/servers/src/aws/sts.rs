//! STS: `AssumeRole`, and `AssumeRoleWithWebIdentity`, whose token is in the place of a signature; Query protocol. The credentials
//! it gives are good for all services, with their session token.

use serde_json::{Map, Value};

use super::error::{Refusal, escape};
use super::metrics::query;
use super::route::WEB_IDENTITY;
use super::{Node, Role, Signed};
use crate::http::Answer;

// === impl Node ===

impl Node {
    /// `expected`: the action that the request was let in for.
    pub(super) fn sts(&self, expected: &str, signed: &Signed<'_>) -> (String, Result<Answer, Refusal>) {
        match query::read(&signed.request.body, "2011-06-15") {
            Ok((action, asked)) if action == expected => {
                let answer = self.assume(&action, &asked);
                (action, answer)
            }
            Ok((action, _)) => {
                let text = format!("Could not find operation {action} for version 2011-06-15");
                (action, Err(Refusal::new("InvalidAction", text)))
            }
            Err(refusal) => (expected.to_owned(), Err(refusal)),
        }
    }

    fn assume(&self, action: &str, asked: &Map<String, Value>) -> Result<Answer, Refusal> {
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        let web = action == WEB_IDENTITY;
        if web && text("WebIdentityToken") != Some(&self.options.web_identity_token) {
            let text = "No OpenIDConnect provider found in your account for the token";
            return Err(Refusal::new("InvalidIdentityToken", text));
        }
        let (role, session) = (text("RoleArn").unwrap_or_default(), text("RoleSessionName").unwrap_or_default());
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
            let text = r"satisfy regular expression pattern: [\w+=,.@-]*";
            return Err(Refusal::constraint("ValidationError", session, "roleSessionName", text));
        }
        let known = self.options.roles.iter().find(|known| known.arn == role);
        let denied =
            |known: &Role| !web && known.external_id.is_some() && known.external_id.as_deref() != text("ExternalId");
        if known.is_none_or(denied) {
            let user = format!("arn:aws:iam::{}:user/suiro", self.options.account);
            let text = format!("User: {user} is not authorized to perform: sts:{action} on resource: {role}");
            return Err(Refusal::new("AccessDenied", text));
        }
        let seconds = text("DurationSeconds");
        let lasts = match seconds.map(str::parse::<i64>) {
            None => self.options.session.as_millis() as i64,
            Some(Ok(seconds)) if (900..=43_200).contains(&seconds) => {
                (1000 * seconds).min(self.options.session.as_millis() as i64)
            }
            Some(_) => {
                let text = "have value between 900 and 43200";
                return Err(Refusal::constraint(
                    "ValidationError",
                    seconds.unwrap_or_default(),
                    "durationSeconds",
                    text,
                ));
            }
        };
        let expires = self.now() + lasts;
        let (id, secret, token) = self.keys().issue(role, expires);
        let name = role.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:sts::{}:assumed-role/{name}/{session}", self.options.account);
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROATEST:{session}</AssumedRoleId>\
             <Arn>{}</Arn></AssumedRoleUser></{action}Result><ResponseMetadata><RequestId>\
             00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata></{action}Response>",
            iso(expires),
            escape(&arn)
        );
        Ok(Answer::new(200, "text/xml", body))
    }
}

/// `2026-11-29T12:00:00Z`
pub(super) fn iso(milliseconds: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
