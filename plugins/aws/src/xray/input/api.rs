//! What is answered over HTTP.

use suiro_sdk::intake::Desk;
use suiro_sdk::serve::{Body, Refusal, Request, Response, Service, StatusCode, answer};
use suiro_sdk::{Reason, StartError};

use super::proxy::Proxy;
use super::sampling::{LocalRules, MAX_STATISTICS};
use super::settings::Sampling;

/// Who is asked could not be.
pub(crate) const UNREACHABLE: Reason = Reason("xray_unreachable");

const RULES: &str = "/GetSamplingRules";
const TARGETS: &str = "/SamplingTargets";

/// Answers requests.
pub(crate) struct Api {
    desk: Desk,
    answers: Answers,
}

enum Answers {
    Proxy(Proxy),
    Local(LocalRules),
}

// === impl Api ===

impl Api {
    pub(crate) fn new(sampling: &Sampling, desk: Desk) -> Result<Api, StartError> {
        let answers = match sampling {
            Sampling::Proxy(account) => Answers::Proxy(Proxy::new((**account).clone())?),
            Sampling::Local(rules) => Answers::Local(LocalRules::new(rules.clone())),
        };
        Ok(Api { desk, answers })
    }

    async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
        match &self.answers {
            Answers::Proxy(proxy) => {
                let passed = proxy.pass(request, self.desk.name()).await?;
                Ok(passed.unwrap_or_else(|unreachable| {
                    request.turn_away(UNREACHABLE);
                    unreachable.into_response()
                }))
            }
            Answers::Local(rules) => local(rules, request).await.inspect_err(|refusal| {
                if refusal.status.is_client_error() {
                    request.turn_away(Reason::MALFORMED);
                }
            }),
        }
    }
}

async fn local(rules: &LocalRules, request: &mut Request) -> Result<Response, Refusal> {
    let json = |text: Vec<u8>| answer(StatusCode::OK, "application/json", text);
    if !matches!(request.path.as_str(), RULES | TARGETS) {
        let paths = "POST /GetSamplingRules and POST /SamplingTargets with sampling = \"local\"";
        return Err(Refusal::not_found(&request.path, paths));
    }
    request.expect_post()?;
    if request.path == RULES {
        return Ok(json(rules.rules()));
    }
    let Body { bytes, .. } = request.body().await?;
    if bytes.len() > MAX_STATISTICS {
        return Err(Refusal::too_large(MAX_STATISTICS));
    }
    let targets = rules.targets(&bytes, suiro_sdk::time::now() / 1_000_000_000);
    let targets =
        targets.map_err(|error| Refusal::bad_request(format!("these are no sampling statistics: {error}")))?;
    Ok(json(targets))
}

impl Service for Api {
    async fn call(&self, request: &mut Request) -> Response {
        self.take(request).await.unwrap_or_else(Refusal::into_response)
    }
}
