//! Signature Version 4, checked as its specification has it ("Create a signed AWS API request" in the IAM user guide).
//!
//! - The canonical request: method, path, sorted query, the signed headers, their names, and the SHA-256 of the body.
//!   All services but S3 encode the path once more than it is sent.
//! - The string to sign: the algorithm, the time, the scope `DATE/REGION/SERVICE/aws4_request`, the hash of the above.
//! - The key: HMACs of date, region, service and `aws4_request`, one under the other, begun with `AWS4` + secret.
//!
//! `host`, every `x-amz-*` header that is there and, at S3, `x-amz-content-sha256` must be among what is signed. A body in
//! signed chunks (`STREAMING-...`) is refused, and so are signatures in the query.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::Node;
use super::credentials::hex;
use super::error::Refusal;
use super::route::{Protocol, Route, ServiceName};
use crate::http::{Head, Request};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const MINUTE: i64 = 60_000;

/// What `Authorization` says.
#[derive(Debug, PartialEq, Eq)]
struct Authorization<'a> {
    key: &'a str,
    scope: Scope<'a>,
    /// Names in lower case, sorted.
    headers: Vec<&'a str>,
    signature: &'a str,
}

/// For what a signature is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    /// `20261129`
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// What a signature is made of.
pub(super) struct Subject<'a> {
    pub(super) head: &'a Head,
    pub(super) headers: &'a [&'a str],
    /// Of the body, in hex, or what stands in its place.
    pub(super) payload: &'a str,
    /// `20261129T120000Z`
    pub(super) time: &'a str,
    pub(super) scope: Scope<'a>,
}

/// What can be wrong, whatever the service calls it.
enum Wrong {
    Missing,
    Incomplete(String),
    UnknownKey,
    Token,
    Expired,
    Region(String),
    Service(String),
    Time { signed: String, now: String, behind: bool },
    Unsigned(String),
    Signature(String),
}

// === impl Node ===

impl Node {
    /// Whether the request is signed by somebody we know, for us, now.
    pub(super) fn authenticate(&self, route: &Route, request: &Request) -> Result<(), Refusal> {
        let head = &request.head;
        self.check(route, request).map_err(|wrong| wrong.refusal(route, &self.options.region))?;
        let sent = request.encoded.as_ref().unwrap_or(&request.body);
        match head.header("x-amz-content-sha256") {
            None if route.service == ServiceName::S3 => {
                let text = "Missing required header for this request: x-amz-content-sha256";
                Err(Refusal::new("InvalidRequest", text))
            }
            Some("UNSIGNED-PAYLOAD") if route.service == ServiceName::S3 => Ok(()),
            Some(streaming) if streaming.starts_with("STREAMING-") => Err(Refusal::new(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            )),
            Some(given) if given != hex(&Sha256::digest(sent)) => {
                let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
                Err(Refusal::new(
                    if route.service == ServiceName::S3 {
                        "XAmzContentSHA256Mismatch"
                    } else {
                        "InvalidSignatureException"
                    },
                    text,
                ))
            }
            _ => Ok(()),
        }
    }

    fn check(&self, route: &Route, request: &Request) -> Result<(), Wrong> {
        let head = &request.head;
        let authorization = Authorization::of(head.header("authorization").ok_or(Wrong::Missing)?)?;
        let time = head.header("x-amz-date").ok_or_else(|| {
            Wrong::Incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
            )
        })?;
        let keys = self.keys();
        let key = keys.get(authorization.key).ok_or(Wrong::UnknownKey)?;
        let token = head.header("x-amz-security-token");
        match (&key.session, token) {
            (None, None) => {}
            (Some(session), Some(token)) if session.token == token => {
                if session.expires <= self.now() {
                    return Err(Wrong::Expired);
                }
            }
            _ => return Err(Wrong::Token),
        }
        self.check_time(route, time, authorization.scope.date)?;
        if authorization.scope.region != self.options.region {
            return Err(Wrong::Region(authorization.scope.region.to_owned()));
        }
        if authorization.scope.service != route.service.name() {
            return Err(Wrong::Service(route.service.name().to_owned()));
        }
        for (name, _) in head.headers() {
            let must = name == "host" || name.starts_with("x-amz-");
            if must && !authorization.headers.contains(&name.as_str()) {
                return Err(Wrong::Unsigned(name.clone()));
            }
        }
        if !authorization.headers.contains(&"host") {
            return Err(Wrong::Unsigned("host".to_owned()));
        }
        let own;
        let payload = match head.header("x-amz-content-sha256") {
            Some(given) => given,
            None => {
                own = hex(&Sha256::digest(request.encoded.as_ref().unwrap_or(&request.body)));
                &own
            }
        };
        let subject = Subject { head, headers: &authorization.headers, payload, time, scope: authorization.scope };
        if subject.signature(&key.secret) != authorization.signature {
            return Err(Wrong::Signature(subject.canonical()));
        }
        Ok(())
    }

    fn check_time(&self, route: &Route, time: &str, date: &str) -> Result<(), Wrong> {
        let at = DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok().and_then(|at| at.to_zoned(TimeZone::UTC).ok());
        let Some(at) = at else {
            return Err(Wrong::Incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{time}'.")));
        };
        if !time.starts_with(date) {
            let text = format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != '{time}'"
            );
            return Err(Wrong::Incomplete(text));
        }
        let (at, now) = (at.timestamp().as_millisecond(), self.now());
        let leeway = if route.service == ServiceName::S3 { 15 * MINUTE } else { 5 * MINUTE };
        if (at - now).abs() > leeway {
            return Err(Wrong::Time { signed: time.to_owned(), now: basic(now), behind: at < now });
        }
        Ok(())
    }
}

/// `20261129T120000Z`
pub(super) fn basic(milliseconds: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

// === impl Authorization ===

impl<'a> Authorization<'a> {
    fn of(header: &'a str) -> Result<Self, Wrong> {
        let incomplete = |what: &str| Wrong::Incomplete(format!("{what} Authorization={header}"));
        let parts = header.strip_prefix(ALGORITHM).ok_or_else(|| {
            Wrong::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{}'",
                header.split(' ').next().unwrap_or_default()
            ))
        })?;
        let part = |name: &str| {
            let found = parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let (credential, headers, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let [key, date, region, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        let headers: Vec<&str> = headers.split(';').collect();
        if !headers.is_sorted() || headers.iter().any(|name| name.chars().any(|c| c.is_ascii_uppercase())) {
            return Err(incomplete("SignedHeaders must be in lower case and sorted."));
        }
        Ok(Authorization { key, scope: Scope { date, region, service }, headers, signature })
    }
}

// === impl Subject ===

impl Subject<'_> {
    fn canonical(&self) -> String {
        let Subject { head, headers, payload, scope, .. } = self;
        let path =
            if scope.service == "s3" { encode(&decode(&head.path), true) } else { encode(head.path.as_bytes(), true) };
        let mut query: Vec<(String, String)> = head
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (encode(&decode(name), false), encode(&decode(value), false))
            })
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut lines = String::new();
        for name in *headers {
            let values = head.headers().iter().filter(|(key, _)| key == name);
            let values: Vec<String> = values
                .map(|(_, value)| value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
                .collect();
            lines += &format!("{name}:{}\n", values.join(","));
        }
        format!("{}\n{path}\n{}\n{lines}\n{}\n{payload}", head.method, query.join("&"), headers.join(";"))
    }

    /// In hex.
    pub(super) fn signature(&self, secret: &str) -> String {
        let Scope { date, region, service } = self.scope;
        let hash = hex(&Sha256::digest(self.canonical()));
        let to_sign = format!("{ALGORITHM}\n{}\n{date}/{region}/{service}/aws4_request\n{hash}", self.time);
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
        for part in [region, service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, to_sign.as_bytes()))
    }
}

/// HMAC-SHA-256, RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// Percent-encoding as signatures have it: all but letters, digits, `-._~`, and `/` where it parts a path.
pub(super) fn encode(bytes: &[u8], path: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            b'/' if path => out.push('/'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// Undoes percent-encoding of a path or a query; what is not encoded well stays, and so does `+`.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

// === impl Wrong ===

impl Wrong {
    /// As the service says it.
    fn refusal(self, route: &Route, region: &str) -> Refusal {
        let s3 = route.service == ServiceName::S3;
        let query = route.protocol == Protocol::Query;
        // The names of the older protocols and of the newer ones.
        let code = |s3_code: &'static str, query_code: &'static str, json_code: &'static str| {
            if s3 {
                s3_code
            } else if query {
                query_code
            } else {
                json_code
            }
        };
        match self {
            Wrong::Missing if s3 => Refusal::named("AccessDenied"),
            Wrong::Missing => {
                let code = code("", "MissingAuthenticationToken", "MissingAuthenticationTokenException");
                Refusal::new(code, "Request is missing Authentication Token")
            }
            Wrong::Incomplete(text) => {
                let code = code("AuthorizationHeaderMalformed", "IncompleteSignature", "IncompleteSignatureException");
                Refusal::new(code, text)
            }
            Wrong::UnknownKey if s3 => {
                Refusal::new("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
            }
            Wrong::Token if s3 => Refusal::new("InvalidToken", "The provided token is malformed or otherwise invalid."),
            Wrong::UnknownKey | Wrong::Token => {
                Refusal::named(code("", "InvalidClientTokenId", "UnrecognizedClientException"))
            }
            Wrong::Expired if s3 => Refusal::new("ExpiredToken", "The provided token has expired."),
            Wrong::Expired => Refusal::named(code("", "ExpiredToken", "ExpiredTokenException")),
            Wrong::Region(wrong) if s3 => Refusal::new(
                "AuthorizationHeaderMalformed",
                format!("The authorization header is malformed; the region '{wrong}' is wrong; expecting '{region}'"),
            )
            .with_detail("Region", region),
            Wrong::Region(_) => Refusal::new(
                code("", "SignatureDoesNotMatch", "InvalidSignatureException"),
                "Credential should be scoped to a valid region. ",
            ),
            Wrong::Service(right) => {
                let code = code("AuthorizationHeaderMalformed", "SignatureDoesNotMatch", "InvalidSignatureException");
                Refusal::new(code, format!("Credential should be scoped to correct service: '{right}'. "))
            }
            Wrong::Time { .. } if s3 => Refusal::new(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            Wrong::Time { signed, now, behind } => {
                let text = if behind {
                    format!("Signature expired: {signed} is now earlier than the server's time {now} - 5 min.")
                } else {
                    format!("Signature not yet current: {signed} is still later than the server's time {now} + 5 min.")
                };
                Refusal::new(code("", "SignatureDoesNotMatch", "InvalidSignatureException"), text)
            }
            Wrong::Unsigned(name) if s3 => {
                Refusal::new("AccessDenied", "There were headers present in the request which were not signed")
                    .with_detail("HeadersNotSigned", name)
            }
            Wrong::Unsigned(name) => {
                let text = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
                Refusal::new(code("", "SignatureDoesNotMatch", "InvalidSignatureException"), text)
            }
            Wrong::Signature(canonical) => {
                let text = format!(
                    "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                     Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String \
                     for this request should have been\n'{canonical}'"
                );
                Refusal::new(code("SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"), text)
            }
        }
    }
}
