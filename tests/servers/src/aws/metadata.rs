//! What an instance and a container can ask about themselves, without a signature.
//!
//! - The instance's metadata service, version 2: `PUT /latest/api/token` with a time to live gives a token, and only
//!   requests with one are answered (401 without). Below `/latest/meta-data/`; a path of which others begin is a list.
//! - The task's endpoint, version 4: `/v4/ID` and `/v4/ID/task`, JSON.
//! - Credentials of the task's role: `/v2/credentials/ID`; of the pod's, as EKS Pod Identity has them: `/v1/credentials`, always
//!   for a token.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::sts::iso;
use super::{Instance, Node, Task};
use crate::http::{Answer, Head};

const TOKEN: &str = "AQAEAsuiro-instance-token==";
const MAX_TTL: u32 = 21_600;

// === impl Node ===

impl Node {
    pub(super) fn metadata(&self, head: &Head) -> Answer {
        if let Some(path) = head.path.strip_prefix("/latest/") {
            return self
                .options
                .instance
                .as_ref()
                .map_or_else(not_found, |instance| self.instance(instance, path, head));
        }
        self.options.task.as_ref().map_or_else(not_found, |task| self.task(task, head))
    }

    fn instance(&self, instance: &Instance, path: &str, head: &Head) -> Answer {
        if path == "api/token" {
            if head.method != "PUT" {
                return Answer::empty(405);
            }
            let ttl = head.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|ttl| ttl.parse::<u32>().ok());
            return match ttl.filter(|ttl| (1..=MAX_TTL).contains(ttl)) {
                // Through a proxy, whose hop is one too many, there is no token.
                _ if head.header("x-forwarded-for").is_some() => Answer::empty(403),
                Some(ttl) => Answer::new(200, "text/plain", TOKEN).with("x-aws-ec2-metadata-token-ttl-seconds", ttl),
                None => Answer::empty(400),
            };
        }
        match head.header("x-aws-ec2-metadata-token") {
            Some(TOKEN) => {}
            None if instance.version_1 => {}
            _ => return Answer::empty(401),
        }
        if path == "dynamic/instance-identity/document" {
            return text(&self.identity(instance).to_string());
        }
        let mut all = instance.metadata.clone();
        all.insert("placement/region".to_owned(), self.options.region.clone());
        let Some(path) = path.strip_prefix("meta-data/") else { return not_found() };
        let credentials = "iam/security-credentials/";
        if let Some(role) = &instance.role {
            if path == credentials || path == credentials.trim_end_matches('/') {
                return text(role);
            }
            if path.strip_prefix(credentials) == Some(role) {
                return text(&self.issue(role, None).to_string());
            }
        }
        look_up(&all, path)
    }

    /// `dynamic/instance-identity/document`
    fn identity(&self, instance: &Instance) -> Value {
        let of = |path: &str| instance.metadata.get(path);
        json!({
            "accountId": self.options.account,
            "architecture": "x86_64",
            "availabilityZone": of("placement/availability-zone"),
            "imageId": of("ami-id"),
            "instanceId": of("instance-id"),
            "instanceType": of("instance-type"),
            "pendingTime": "2026-11-20T10:00:00Z",
            "privateIp": of("local-ipv4"),
            "region": self.options.region,
            "version": "2017-09-30",
        })
    }

    fn task(&self, task: &Task, head: &Head) -> Answer {
        if head.path == "/v1/credentials" {
            return match (task.token.as_deref(), head.header("authorization")) {
                (Some(token), Some(given)) if token == given => json_answer(&self.issue("suiro-pod", None)),
                _ => Answer::empty(401),
            };
        }
        if let Some(id) = head.path.strip_prefix("/v2/credentials/") {
            if id != task.id {
                return not_found();
            }
            if task.token.as_deref().is_some_and(|token| head.header("authorization") != Some(token)) {
                return Answer::empty(401);
            }
            let role = format!("arn:aws:iam::{}:role/suiro-task", self.options.account);
            return json_answer(&self.issue("suiro-task", Some(&role)));
        }
        match head.path.strip_prefix("/v4/").and_then(|rest| rest.strip_prefix(task.id.as_str())) {
            Some("" | "/") => json_answer(&task.container),
            Some("/task") => json_answer(&task.task),
            _ => not_found(),
        }
    }

    /// Credentials, as both endpoints have them.
    fn issue(&self, role: &str, arn: Option<&str>) -> Value {
        let expires = self.now() + self.options.session.as_millis() as i64;
        let (id, secret, token) = self.keys().issue(role, expires);
        let mut value =
            json!({ "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": iso(expires) });
        let more = match arn {
            Some(arn) => json!({ "RoleArn": arn }),
            None => json!({ "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": iso(self.now()) }),
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    }
}

/// A value, or the list of what is below, with `/` where there is more below that.
fn look_up(all: &BTreeMap<String, String>, path: &str) -> Answer {
    if let Some(value) = all.get(path) {
        return text(value);
    }
    let folder = if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
    let below = all.keys().filter_map(|key| key.strip_prefix(&folder));
    let names: BTreeSet<String> = below
        .map(|rest| match rest.split_once('/') {
            Some((name, _)) => format!("{name}/"),
            None => rest.to_owned(),
        })
        .collect();
    if names.is_empty() {
        return not_found();
    }
    text(&names.into_iter().collect::<Vec<_>>().join("\n"))
}

fn text(text: &str) -> Answer {
    Answer::new(200, "text/plain", text)
}

fn json_answer(value: &Value) -> Answer {
    Answer::new(200, "application/json", value.to_string())
}

fn not_found() -> Answer {
    Answer::empty(404)
}
