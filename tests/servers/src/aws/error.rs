//! Refusals, and the shape each protocol has for them.

use serde_json::json;

use super::route::{Protocol, Route, ServiceName};
use crate::http::Answer;

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `ThrottlingException`
    pub(super) code: String,
    pub(super) message: String,
    /// Where it is not the one the code has.
    status: Option<u16>,
    /// What S3 says besides: name and value.
    detail: Option<(&'static str, String)>,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal { code: code.into(), message: message.into(), status: None, detail: None }
    }

    /// The error of this code, in the words the services have for it.
    pub(super) fn named(code: &str) -> Self {
        let message = match code {
            "AccessDenied" => "Access Denied",
            "AccessDeniedException" => {
                "User: arn:aws:iam::123456789012:user/suiro is not authorized to perform this action because no \
                 identity-based policy allows it"
            }
            "ExpiredTokenException" | "ExpiredToken" => "The security token included in the request is expired",
            "RequestExpired" => "Request has expired.",
            "UnrecognizedClientException" | "InvalidClientTokenId" => {
                "The security token included in the request is invalid."
            }
            "ThrottlingException" | "Throttling" | "ThrottledException" => "Rate exceeded",
            "SlowDown" => "Please reduce your request rate.",
            "InternalError" => "We encountered an internal error. Please try again.",
            _ => "The request was refused.",
        };
        Refusal::new(code, message)
    }

    /// A value that a constraint of the service's model does not allow, in the words the services share.
    pub(super) fn constraint(code: &str, value: &str, member: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"
        );
        Refusal::new(code, message)
    }

    /// A body that is not what the service's model says.
    pub(super) fn serialization(error: impl std::fmt::Display) -> Self {
        Refusal::new("SerializationException", error.to_string())
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Refusal { status: Some(status), ..self }
    }

    pub(super) fn with_detail(self, name: &'static str, value: impl Into<String>) -> Self {
        Refusal { detail: Some((name, value.into())), ..self }
    }

    fn status(&self, route: &Route) -> u16 {
        if let Some(status) = self.status {
            return status;
        }
        let credentials = |status| {
            // AWS JSON has 400 for all that is the caller's fault, and S3 a list of its own.
            if matches!(route.protocol, Protocol::Json | Protocol::Json10) { 400 } else { status }
        };
        match self.code.as_str() {
            "AccessDenied"
            | "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException"
            | "ExpiredTokenException" => credentials(403),
            "ExpiredToken" => {
                if route.service == ServiceName::S3 {
                    400
                } else {
                    403
                }
            }
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "RequestTimeTooSkewed"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken" => 403,
            "ThrottledException" => 429,
            "ThrottlingException" if route.protocol == Protocol::RestJson => 429,
            "RequestEntityTooLarge" | "RequestEntityTooLargeException" => 413,
            "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" => 404,
            "ResourceNotFoundException" if route.protocol == Protocol::RestJson => 404,
            "UnknownOperationException" if route.protocol == Protocol::RestJson => 404,
            "MethodNotAllowed" => 405,
            "MissingContentLength" => 411,
            "NotImplemented" => 501,
            "SlowDown" | "ServiceUnavailable" => 503,
            "InternalFailure"
            | "InternalError"
            | "InternalServerError"
            | "InternalServiceError"
            | "ServiceUnavailableException" => 500,
            _ => 400,
        }
    }

    pub(super) fn answer(&self, route: &Route) -> Answer {
        let status = self.status(route);
        let Refusal { code, message, .. } = self;
        match route.protocol {
            Protocol::Json => {
                let body = json!({ "__type": code, "message": message });
                Answer::new(status, "application/x-amz-json-1.1", body.to_string())
            }
            Protocol::Json10 => {
                // The newer name of an error, and beside it the one the Query protocol has.
                let (name, old) = match code.as_str() {
                    "MissingParameter" => ("MissingRequiredParameterException".to_owned(), code.as_str()),
                    "InvalidParameterValue" | "InvalidParameterCombination" => {
                        (format!("{code}Exception"), code.as_str())
                    }
                    _ => (code.clone(), code.trim_end_matches("Exception")),
                };
                let space = if name == *code { "com.amazon.coral.service" } else { "com.amazonaws.cloudwatch" };
                let side = if status < 500 { "Sender" } else { "Receiver" };
                let body = json!({ "__type": format!("{space}#{name}"), "message": message });
                Answer::new(status, "application/x-amz-json-1.0", body.to_string())
                    .with("x-amzn-query-error", format!("{old};{side}"))
            }
            Protocol::RestJson => {
                let kind = format!("{code}:http://internal.amazon.com/coral/com.amazonaws.{}/", route.service.name());
                let body = json!({ "Message": message });
                Answer::new(status, "application/json", body.to_string()).with("x-amzn-errortype", kind)
            }
            Protocol::Query => {
                let space = match route.service {
                    ServiceName::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
                    _ => "http://monitoring.amazonaws.com/doc/2010-08-01/",
                };
                let side = if status < 500 { "Sender" } else { "Receiver" };
                let body = format!(
                    "<ErrorResponse xmlns=\"{space}\">\n  <Error>\n    <Type>{side}</Type>\n    <Code>{}</Code>\n    \
                     <Message>{}</Message>\n  </Error>\n  <RequestId>00000000-0000-4000-8000-000000000000</RequestId>\n\
                     </ErrorResponse>\n",
                    escape(code),
                    escape(message)
                );
                Answer::new(status, "text/xml", body)
            }
            Protocol::Xml => {
                let detail = match &self.detail {
                    Some((name, value)) => format!("<{name}>{}</{name}>", escape(value)),
                    None => String::new(),
                };
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{detail}\
                     <RequestId>0123456789ABCDEF</RequestId><HostId>c3Vpcm8=</HostId></Error>",
                    escape(code),
                    escape(message)
                );
                Answer::new(status, "application/xml", body)
            }
        }
    }
}

/// As text of XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
