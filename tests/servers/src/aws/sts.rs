//! STS: `AssumeRole`, Query protocol. The credentials it gives are good for all services, with their session token.

use serde_json::Value;

use super::error::{Refusal, escape};
use super::metrics::query;
use super::{Node, Signed};
use crate::http::Answer;

// === impl Node ===

impl Node {
    pub(super) fn sts(&self, signed: &Signed<'_>) -> (String, Result<Answer, Refusal>) {
        match query::read(&signed.request.body, "2011-06-15") {
            Ok((action, asked)) if action == "AssumeRole" => {
                let text = |name: &str| asked.get(name).and_then(Value::as_str);
                let answer =
                    self.assume(text("RoleArn"), text("RoleSessionName"), text("ExternalId"), text("DurationSeconds"));
                (action, answer)
            }
            Ok((action, _)) => {
                let text = format!("Could not find operation {action} for version 2011-06-15");
                (action, Err(Refusal::new("InvalidAction", text).with_status(400)))
            }
            Err(refusal) => ("AssumeRole".to_owned(), Err(refusal)),
        }
    }

    fn assume(
        &self,
        role: Option<&str>,
        session: Option<&str>,
        external_id: Option<&str>,
        seconds: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let role = role.unwrap_or_default();
        let session = session.unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
            let text = r"satisfy regular expression pattern: [\w+=,.@-]*";
            return Err(Refusal::constraint("ValidationError", session, "roleSessionName", text));
        }
        let known = self.options.roles.iter().find(|known| known.arn == role);
        if known.is_none_or(|known| known.external_id.is_some() && known.external_id.as_deref() != external_id) {
            let user = format!("arn:aws:iam::{}:user/suiro", self.options.account);
            let text = format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}");
            return Err(Refusal::new("AccessDenied", text));
        }
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
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROATEST:{session}</AssumedRoleId>\
             <Arn>{}</Arn></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>\
             00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata></AssumeRoleResponse>",
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
