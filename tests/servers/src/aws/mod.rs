//! Amazon Web Services, as far as an agent writes to them: one server for CloudWatch Logs, CloudWatch metrics, X-Ray,
//! Kinesis Data Streams, Firehose, S3 and STS, and the instance's and the task's metadata.
//!
//! ```no_run
//! use suiro_test_servers::{Aws, Fault};
//!
//! let aws = Aws::start().unwrap();
//! aws.faults_of("PutLogEvents").script([Fault::Busy(None), Fault::Named("ExpiredTokenException".into())]);
//! // ... an agent with `endpoint = aws.url()`, region `eu-central-1`, key `AKIDSUIROTEST`, secret `suiro-secret` ...
//! assert!(aws.wait(std::time::Duration::from_secs(10), |taken| taken.log_event_count() >= 3));
//! let events = aws.taken().log_events("group", "stream").to_vec();
//! ```
//!
//! - Which service a request is for is told by `X-Amz-Target`, by the path (X-Ray, metadata), or by the service of the
//!   signature's scope (Query protocol, OTLP endpoints, and `aps`, `es`, `aoss`, `osis`, whose requests are kept as they
//!   came). All else is S3 with the bucket in the path.
//! - Every request but those for metadata and with a web identity must be signed (Signature Version 4, checked from the specification, no AWS
//!   library in sight), by a key that is known, within 5 minutes of the server's clock (S3: 15), for the server's region.
//!   What is wrong is answered in the code and shape the service has for it. [`Aws::set_clock`] moves the clock.
//! - Limits are the services' own and are always enforced; see each module. Those that differ by region or age are in
//!   [`AwsOptions`].
//! - Faults are scripted for the whole server ([`Aws::faults`]) or by action ([`Aws::faults_of`], which comes first). A
//!   request of the Query protocol counts as `PutMetricData` (CloudWatch) or `AssumeRole` (STS), for its action is in its body.
//!   [`Fault::Busy`] is the service's throttling (HTTP 400 for most), [`Fault::Named`] any other error of its;
//!   [`Fault::RefuseSome`] refuses single records where the service can: X-Ray, Kinesis, Firehose.
//! - What was taken is [`Taken`]; every call, also a refused one, is in [`Taken::calls`].
//! - Groups and log streams are made by the client, buckets and streams are named in [`AwsOptions`] (`suiro` by default).

mod credentials;
mod error;
mod firehose;
mod kinesis;
mod logs;
mod metadata;
mod metrics;
mod options;
mod route;
mod s3;
mod signature;
mod sts;
mod taken;
#[cfg(test)]
mod tests;
mod xray;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

pub use credentials::Role;
pub use options::{AwsOptions, Instance, Task};
pub use taken::{
    Call, DeliveryRecord, KinesisRecord, LogAnomalyDetector, LogEvent, LogGroup, MetricAnomalyDetector, MetricDatum,
    Object, Segment, SignedRequest, Statistics, Taken,
};

use crate::fault::{Fault, Faults};
use crate::http::{Answer, Head, Request, Server, Service};
use crate::store::Store;
use credentials::Keys;
use error::Refusal;
use route::{Route, ServiceName};

/// Most bytes of a body of any service.
const MAX_BODY: usize = 256 << 20;

/// A server that is up as long as the value is.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    node: Arc<Node>,
}

/// What the server knows.
#[derive(Debug)]
struct Node {
    options: AwsOptions,
    keys: Mutex<Keys>,
    taken: Store<Taken>,
    /// Uploads in parts that are under way.
    uploads: Mutex<s3::Uploads>,
    /// By action.
    faults: Mutex<BTreeMap<String, Faults>>,
    /// How far the server's clock is ahead of the machine's, in seconds.
    ahead: AtomicI64,
    /// Ids of requests, sequence numbers.
    counter: AtomicU64,
}

/// A request whose signature is right.
struct Signed<'a> {
    request: &'a Request,
    /// `RefuseSome` or `RefuseSomeWith`, if anything.
    fault: Option<&'a Fault>,
}

// === impl Aws ===

impl Aws {
    /// A server with the default options.
    pub fn start() -> io::Result<Aws> {
        Aws::with(AwsOptions::default())
    }

    /// A server with these options.
    pub fn with(options: AwsOptions) -> io::Result<Aws> {
        let node = Arc::new(Node {
            keys: Mutex::new(Keys::new(&options)),
            taken: Store::new(Taken::new(&options)),
            uploads: Mutex::default(),
            faults: Mutex::default(),
            ahead: AtomicI64::new(0),
            counter: AtomicU64::new(0),
            options,
        });
        Ok(Aws { server: Server::start(Arc::clone(&node))?, node })
    }

    /// `http://127.0.0.1:PORT`, to be set as the endpoint of every service.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What goes wrong, whatever the action.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// What goes wrong with requests of this action: `PutLogEvents`, `PutTraceSegments`, `UploadPart`, `AssumeRole`.
    pub fn faults_of(&self, action: &str) -> Faults {
        let mut faults = self.node.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.entry(action.to_owned()).or_default().clone()
    }

    /// Requests so far, those for metadata included.
    pub fn requests(&self) -> u64 {
        self.server.requests()
    }

    /// A copy of all that was taken.
    pub fn taken(&self) -> Taken {
        self.node.taken.lock().clone()
    }

    /// Looks at what was taken without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&Taken) -> T) -> T {
        look(&self.node.taken.lock())
    }

    /// Waits until `done`; says whether it came to that.
    pub fn wait(&self, patience: Duration, done: impl FnMut(&Taken) -> bool) -> bool {
        self.node.taken.wait(patience, done)
    }

    /// How often an action was called so far, refused calls included. Requests that a fault answered are not among them.
    pub fn calls_of(&self, action: &str) -> usize {
        self.look(|taken| taken.calls.iter().filter(|call| call.action == action).count())
    }

    /// Moves the server's clock: so many seconds ahead of the machine's.
    pub fn set_clock(&self, ahead: i64) {
        self.node.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Makes every session there is an expired one: requests with their credentials are refused.
    pub fn expire_sessions(&self) {
        self.node.keys().expire();
    }

    /// Takes this key from now on, without a session token, beside all others.
    pub fn add_key(&self, access_key_id: &str, secret_access_key: &str) {
        self.node.keys().add(access_key_id, secret_access_key);
    }

    /// Takes this key no more.
    pub fn remove_key(&self, access_key_id: &str) {
        self.node.keys().remove(access_key_id);
    }
}

// === impl Signed ===

impl Signed<'_> {
    /// The code a fault refuses the record at this place with; `later` is what the service says when it can't keep up.
    fn refused<'a>(&'a self, at: usize, later: &'a str) -> Option<&'a str> {
        match self.fault {
            Some(Fault::RefuseSome(every)) if at.is_multiple_of((*every).max(1)) => Some(later),
            Some(Fault::RefuseSomeWith(every, code)) if at.is_multiple_of((*every).max(1)) => Some(code),
            _ => None,
        }
    }
}

// === impl Node ===

impl Node {
    fn keys(&self) -> std::sync::MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970, by the server's clock.
    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as i64 + 1000 * self.ahead.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A name of something of this account: `arn:aws:logs:eu-central-1:123456789012:...`.
    fn arn(&self, service: &str, rest: &str) -> String {
        let AwsOptions { region, account, .. } = &self.options;
        format!("arn:aws:{service}:{region}:{account}:{rest}")
    }

    /// What every answer has.
    fn finish(&self, answer: Answer) -> Answer {
        let date =
            Timestamp::from_millisecond(self.now()).map(|now| now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        let id = format!("00000000-0000-4000-8000-{:012x}", self.next());
        answer.with("x-amzn-requestid", id).with("date", date.unwrap_or_default())
    }

    /// Answers a request for a service. Returns the action as well, which only the body may tell.
    fn serve(&self, route: &Route, request: &Request, fault: Option<&Fault>) -> (String, Result<Answer, Refusal>) {
        if route.action != route::WEB_IDENTITY
            && let Err(refusal) = self.authenticate(route, request)
        {
            return (route.action.clone(), Err(refusal));
        }
        let signed = Signed { request, fault };
        let named = |answer| (route.action.clone(), answer);
        match &route.service {
            ServiceName::Logs => named(self.logs(&route.action, &signed)),
            ServiceName::XRay => named(self.xray(&route.action, &signed)),
            ServiceName::Kinesis => named(self.kinesis(&route.action, &signed)),
            ServiceName::Firehose => named(self.firehose(&route.action, &signed)),
            ServiceName::S3 => named(self.s3(&route.action, &signed)),
            ServiceName::Monitoring => self.monitoring(route, &signed),
            ServiceName::Sts => self.sts(&route.action, &signed),
            ServiceName::Other(name) => named(self.keep_signed(name, &signed)),
            ServiceName::Metadata => named(Ok(Answer::empty(404))),
        }
    }

    /// Keeps a request of a service that is not looked into.
    fn keep_signed(&self, service: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        if signed.fault.is_some() {
            return Err(Refusal::new("ThrottlingException", "Rate exceeded"));
        }
        let Request { head, body, .. } = signed.request;
        if service == "logs" {
            let (group, stream) = (head.header("x-aws-log-group"), head.header("x-aws-log-stream"));
            let there = self
                .taken
                .lock()
                .log_groups
                .get(group.unwrap_or_default())
                .is_some_and(|group| stream.is_some_and(|stream| group.streams.contains_key(stream)));
            if !there {
                return Err(Refusal::new(
                    "ResourceNotFoundException",
                    "The specified log group or log stream does not exist.",
                ));
            }
        }
        self.taken.change(|taken| {
            taken.signed.push(SignedRequest {
                service: service.to_owned(),
                path: head.path.clone(),
                headers: head.headers().to_vec(),
                body: body.clone(),
            });
        });
        let kind = head.header("content-type").unwrap_or("application/json");
        let empty = if kind.contains("json") { "{}" } else { "" };
        Ok(Answer::new(200, kind, empty))
    }
}

impl Service for Node {
    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn decodes(&self, head: &Head) -> bool {
        // An object is kept as it is sent, its encoding is a note on it.
        Route::of(head).service != ServiceName::S3
    }

    fn turn_away(&self, _: &Head) -> Option<Answer> {
        None
    }

    fn fault(&self, head: &Head) -> Option<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(&Route::of(head).action).and_then(Faults::next)
    }

    fn too_large(&self) -> Answer {
        self.finish(Answer::empty(413))
    }

    fn undecodable(&self, _: &str) -> Option<Answer> {
        let body = "{\"__type\":\"SerializationException\"}";
        Some(self.finish(Answer::new(400, "application/x-amz-json-1.1", body)))
    }

    fn overloaded(&self, head: &Head, status: u16) -> Answer {
        let route = Route::of(head);
        self.finish(route.overloaded(status).answer(&route))
    }

    fn named(&self, head: &Head, name: &str) -> Answer {
        let route = Route::of(head);
        self.finish(Refusal::named(name).answer(&route))
    }

    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer {
        let route = Route::of(&request.head);
        if route.service == ServiceName::Metadata {
            return self.finish(self.metadata(&request.head));
        }
        let (action, result) = self.serve(&route, request, fault);
        let refused = result.as_ref().err().map(|refusal| refusal.code.clone());
        let call = Call { service: route.service.name().to_owned(), action, refused };
        self.taken.change(|taken| taken.calls.push(call));
        self.finish(result.unwrap_or_else(|refusal| refusal.answer(&route)))
    }
}
