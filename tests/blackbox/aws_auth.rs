//! `auth = { aws = .. }`: requests that bear a signature, checked by a server that computes it on its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

use crate::agent::Site;
use crate::records::{TAIL_TEXT, numbered};

const KEY: &str = "suiro-secret";

/// A request: its first line in words, its headers in lower case, its body.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A service of AWS's: it takes what is signed with [`KEY`] for `eu-central-1` and refuses the rest.
struct Service {
    url: String,
    taken: Arc<Mutex<Vec<Request>>>,
}

// === impl Service ===

impl Service {
    fn start(name: &'static str) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let service = Service { url, taken: taken.clone() };
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let taken = taken.clone();
                thread::spawn(move || serve(stream, name, &taken));
            }
        });
        service
    }

    fn lines(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let mut lines: Vec<String> = taken.iter().flat_map(|request| gunzipped(&request.body)).collect();
        lines.sort();
        lines
    }
}

fn gunzipped(body: &[u8]) -> Vec<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    text.lines().map(str::to_owned).collect()
}

fn serve(stream: TcpStream, name: &str, taken: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answer = if request.signature().is_some_and(|given| given == request.expected(name)) {
            taken.lock().unwrap().push(request);
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
        } else {
            // As AWS has it: a status that others give to bad records.
            let body = r#"{"__type":"InvalidSignatureException","message":"it does not match"}"#;
            format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((header, value)) = line.trim_end().split_once(':') else { break };
        headers.push((header.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    request.body.resize(request.header("content-length").parse().unwrap_or(0), 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

// === impl Request ===

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    /// A part of the header `Authorization`.
    fn part(&self, name: &str) -> Option<&str> {
        let (_, behind) = self.header("authorization").split_once(name)?;
        behind.split(',').next()
    }

    fn signature(&self) -> Option<&str> {
        self.part("Signature=")
    }

    /// The signature that the documentation of version 4 prescribes for what arrived.
    fn expected(&self, service: &str) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut parameters: Vec<&str> = query.split('&').collect();
        parameters.sort_unstable();
        let signed = self.part("SignedHeaders=").unwrap_or_default();
        for needed in ["host", "x-amz-date"] {
            assert!(signed.split(';').any(|name| name == needed), "{needed} is not signed: {signed}");
        }
        let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let body = hex(&Sha256::digest(&self.body));
        let canonical = [self.method.as_str(), path, &parameters.join("&"), &headers, signed, &body].join("\n");
        let time = self.header("x-amz-date");
        let date = time.get(..8).unwrap_or_default();
        let scope = format!("{date}/eu-central-1/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let mut key = format!("AWS4{KEY}").into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, text.as_bytes()))
    }
}

/// HMAC-SHA256 of RFC 2104, with keys no longer than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], text].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn output(service: &Service, key: &str) -> String {
    format!(
        "{TAIL_TEXT}[[output]]\nname = 'aws'\ntype = 'http'\nurl = '{}/in/here?b=2&a=1'\nformat = 'raw'\n\
         compression = 'gzip'\nbatch = {{ max_records = 100, timeout = '10ms' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nheaders = {{ x-amz-meta-team = 'shop' }}\n\
         auth = {{ aws = {{ service = 'osis', region = 'eu-central-1', \
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = '{key}', session_token = 'token' }} }} }}\n",
        service.url
    )
}

#[test]
fn every_request_is_signed() {
    let service = Service::start("osis");
    let site = Site::new(&output(&service, KEY));
    site.write("app.log", numbered(0, 1000));
    assert_eq!(site.once().all_well().output("aws", "delivered"), 1000);
    let mut want: Vec<String> = numbered(0, 1000).lines().map(str::to_owned).collect();
    want.sort();
    assert_eq!(service.lines(), want);
    let taken = service.taken.lock().unwrap();
    assert!(taken.iter().all(|request| {
        let signed = request.part("SignedHeaders=").unwrap();
        request.header("x-amz-security-token") == "token" && signed.contains("x-amz-meta-team;x-amz-security-token")
    }));
}

/// A wrong key is for an operator to mend: no record is refused for it, though the service says 400.
#[test]
fn a_wrong_key_loses_nothing_and_is_told() {
    let service = Service::start("osis");
    let mut config = output(&service, "another-secret");
    config
        .insert_str(0, "[service]\ndata_dir = 'data'\nshutdown_timeout = '100ms'\napi = { listen = '127.0.0.1:0' }\n");
    let site = Site::new(&config);
    site.write("app.log", numbered(0, 50));
    let running = site.start();
    running.wait_for("health to be bad", |running| running.get("/api/v1/health").0 == 500);
    let (_, health) = running.get("/api/v1/health");
    assert!(health.contains("InvalidSignatureException") && health.contains("mend `credentials`"), "{health}");
    let outcome = running.stop();
    assert!(!outcome.stderr.contains("another-secret"), "{}", outcome.stderr);
    assert_eq!(outcome.ledger(0).output("aws", "in_flight"), 50);
    // With the right one they are delivered.
    site.configure(&output(&service, KEY));
    assert_eq!(site.once().all_well().output("aws", "delivered"), 50);
    assert_eq!(service.lines().len(), 50);
}

#[test]
fn grpc_is_not_signed() {
    let site = Site::new(&format!(
        "{TAIL_TEXT}[[output]]\ntype = 'otlp'\nurl = 'https://xray.eu-central-1.amazonaws.com:4317'\n\
         auth = {{ aws = {{ service = 'xray' }} }}\n"
    ));
    let outcome = site.command(&["check", "-c", "suiro.toml"]);
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains("set `protocol = \"http\"`"), "{}", outcome.stderr);
}
