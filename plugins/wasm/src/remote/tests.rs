//! Modules from a server on this machine, which misbehaves.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use suiro_sdk::http::test_kit::{Received, Reply, Server};
use suiro_sdk::settings::Section;
use suiro_sdk::{BlockHealth, FilterSetup, Metrics, ReportHealth};
use tempfile::TempDir;

use crate::hex;

const GUEST: &str = r#"(module (memory (export "memory") 1)
  (func (export "suiro_version") (result i32) (i32.const 1)) (func (export "process") (param i32)))"#;

/// Patience for what must come.
const LONG: &str = "fetch_timeout = '20s'";

fn guest() -> Vec<u8> {
    wat::parse_str(GUEST).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A server that is gone when this is.
struct Up {
    server: Server,
    _down: tokio::sync::oneshot::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

fn serve(script: impl FnMut(&Received) -> Reply + Send + 'static) -> Up {
    let (tell, told) = mpsc::channel();
    let (down, is_down) = tokio::sync::oneshot::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tell.send(Server::start(script).await.unwrap()).unwrap();
            let _ = is_down.await;
        });
    });
    Up { server: told.recv().unwrap(), _down: down, thread: Some(thread) }
}

impl Up {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    /// The host and port.
    fn host(&self) -> &str {
        self.server.url.trim_start_matches("http://")
    }

    fn targets(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.target.clone()).collect()
    }

    fn down(mut self) {
        let thread = self.thread.take().unwrap();
        drop(self);
        thread.join().unwrap();
    }
}

/// A server that writes what it likes to each connection.
fn raw(write: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/m.wasm", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write(&mut stream);
        }
    });
    url
}

struct Healthy;

impl ReportHealth for Healthy {
    fn ok(&self, _: &str) {}
    fn degraded(&self, _: &str, _: &str) {}
}

/// Whether a filter with these settings starts.
fn start(folder: &TempDir, settings: &str) -> Result<(), String> {
    let (section, diagnostics) = Section::from_text("[[filter]] wasm", settings);
    let factory = crate::build(&section).map_err(|_| diagnostics.render(false))?;
    let setup = FilterSetup {
        name: "wasm".into(),
        data_dir: folder.path().to_owned(),
        metrics: Arc::new(Metrics::default()),
        health: BlockHealth::new("wasm".into(), Arc::new(Healthy)),
    };
    factory.start(setup).map_err(|error| error.0)?;
    drop(factory.instance());
    Ok(())
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn kept(folder: &TempDir) -> usize {
    let Ok(files) = std::fs::read_dir(folder.path().join("wasm-cache")) else { return 0 };
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "fetched")).count()
}

#[test]
fn what_is_pinned_is_fetched_once() {
    let folder = folder();
    let up = serve(|_| Reply::Answer(200, Vec::new(), guest()));
    let settings =
        format!("module = '{}'\nsha256 = '{}'\nauth = {{ bearer = 'pa55' }}", up.url("/m.wasm?a=b"), sha256(&guest()));
    start(&folder, &settings).unwrap();
    start(&folder, &settings).unwrap();
    assert_eq!(up.targets(), ["/m.wasm?a=b"]);
    assert_eq!(up.server.requests()[0].header("authorization"), Some("Bearer pa55"));
    up.down();
    start(&folder, &settings).unwrap();
    // Without what was kept it takes the server.
    std::fs::remove_dir_all(folder.path().join("wasm-cache")).unwrap();
    let error = start(&folder, &format!("{settings}\nfetch_timeout = '600ms'")).unwrap_err();
    assert!(error.contains("can't connect") && error.contains("tried 2 times"), "{error}");
    assert!(!error.contains("a=b"), "a query may be a secret: {error}");
}

#[test]
fn another_module_than_was_pinned_is_refused() {
    let folder = folder();
    let up = serve(|_| Reply::Answer(200, Vec::new(), guest()));
    let error = start(&folder, &format!("module = '{}'\nsha256 = '{}'", up.url("/m"), "0".repeat(64))).unwrap_err();
    assert!(error.contains(&sha256(&guest())) && error.contains(&"0".repeat(64)), "{error}");
    assert_eq!((up.targets().len(), kept(&folder)), (1, 0));
}

#[test]
fn what_is_no_module_is_not_kept() {
    let folder = folder();
    let up = serve(|_| Reply::text(200, "<html>"));
    let error = start(&folder, &format!("module = '{}'\nsha256 = '{}'", up.url("/m"), sha256(b"<html>"))).unwrap_err();
    assert!(error.contains("filter `wasm`: http://127.0.0.1"), "{error}");
    assert_eq!(kept(&folder), 0);
}

#[test]
fn a_server_that_says_no_is_asked_once() {
    for (status, says) in [(404, "404"), (403, "403"), (401, "`auth`"), (304, "304")] {
        let up = serve(move |_| Reply::text(status, "no"));
        let settings = format!("module = '{}'\nsha256 = '{}'\n{LONG}", up.url("/m"), "0".repeat(64));
        let error = start(&folder(), &settings).unwrap_err();
        assert!(error.contains(says), "{error}");
        assert_eq!(up.targets().len(), 1);
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let mut replies = vec![
        Reply::Answer(200, Vec::new(), guest()),
        Reply::Broken(200, guest()),
        Reply::Reset,
        Reply::text(503, "soon").with("retry-after", "0"),
    ];
    let up = serve(move |_| replies.pop().unwrap());
    start(&folder(), &format!("module = '{}'\nsha256 = '{}'\n{LONG}", up.url("/m"), sha256(&guest()))).unwrap();
    assert_eq!(up.targets().len(), 4);
}

#[test]
fn what_is_too_large_is_not_read() {
    let up = serve(|_| Reply::Endless(200));
    let endless = raw(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[0; 64 << 10])?;
        }
    });
    for url in [up.url("/m"), endless] {
        let error = start(&folder(), &format!("module = '{url}'\nsha256 = '{}'\n{LONG}", "0".repeat(64))).unwrap_err();
        assert!(error.contains("larger than 32 MiB"), "{error}");
    }
}

#[test]
fn a_slow_server_does_not_keep_the_agent_waiting() {
    let up = serve(|_| Reply::Silent);
    let drip = raw(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
        loop {
            stream.write_all(b"x")?;
            thread::sleep(Duration::from_millis(10));
        }
    });
    for url in [up.url("/m"), drip] {
        let began = Instant::now();
        let settings = format!("module = '{url}'\nsha256 = '{}'\nfetch_timeout = '500ms'", "0".repeat(64));
        let error = start(&folder(), &settings).unwrap_err();
        assert!(error.contains("too slow") && error.contains("`fetch_timeout` is 500ms"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[test]
fn redirects_are_followed_without_credentials_and_not_into_the_clear() {
    let storage = serve(|_| Reply::Answer(200, Vec::new(), guest()));
    let to = storage.url("/blob");
    let up = serve(move |_| Reply::text(307, "").with("location", to.clone()));
    let pin = format!("sha256 = '{}'\nauth = {{ user = 'u', password = 'pa55' }}", sha256(&guest()));
    start(&folder(), &format!("module = '{}'\n{pin}", up.url("/m"))).unwrap();
    assert!(up.server.requests()[0].header("authorization").is_some());
    assert_eq!(storage.server.requests()[0].header("authorization"), None);
    for to in ["http://192.0.2.1/m", "ftp://127.0.0.1/m"] {
        let up = serve(move |_| Reply::text(302, "").with("location", to));
        let error = start(&folder(), &format!("module = '{}'\n{pin}\n{LONG}", up.url("/m"))).unwrap_err();
        assert!(error.contains("not https") || error.contains("302"), "{error}");
        assert_eq!(up.targets().len(), 1);
    }
    let up = serve(|_| Reply::text(302, "").with("location", "/m"));
    let error = start(&folder(), &format!("module = '{}'\n{pin}\n{LONG}", up.url("/m"))).unwrap_err();
    assert!(error.contains("more than 5 redirects"), "{error}");
}

fn manifest() -> String {
    let (digest, size) = (sha256(&guest()), guest().len());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"sha256:{digest}","size":2}},
            "layers":[{{"mediaType":"application/wasm","digest":"sha256:{digest}","size":{size}}}]}}"#
    )
}

fn index() -> String {
    let digest = sha256(manifest().as_bytes());
    format!(r#"{{"manifests":[{{"digest":"sha256:{digest}","platform":{{"architecture":"wasm","os":"wasip1"}}}}]}}"#)
}

/// A registry that wants a token, which is to be had for user and password, and whose layers are at `storage`.
fn registry(storage: String, challenge: &'static str) -> Up {
    serve(move |request| {
        let host = request.header("host").unwrap_or_default();
        let has = |value: &str| request.header("authorization") == Some(value);
        if request.target.starts_with("/token?") {
            let asked = request.target.contains("service=reg&scope=repository%3Ateam%2Fredact%3Apull");
            return if asked && has("Basic dTpwYTU1") {
                Reply::text(200, r#"{"token":"t0ken","expires_in":60}"#)
            } else {
                Reply::text(403, "who are you?")
            };
        }
        if !has("Bearer t0ken") && !has("Bearer 0wn") {
            let challenge = challenge.replace("HOST", host);
            return Reply::text(401, "{}").with("www-authenticate", challenge);
        }
        let manifests = ["1.0".to_owned(), format!("sha256:{}", sha256(manifest().as_bytes()))];
        match request.target.strip_prefix("/v2/team/redact/manifests/") {
            Some(which) if manifests.iter().any(|m| m == which) => Reply::text(200, manifest()),
            Some(which) if which == format!("sha256:{}", sha256(index().as_bytes())) => Reply::text(200, index()),
            Some(_) => Reply::text(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            None => Reply::text(307, "").with("location", format!("{storage}{}", request.target)),
        }
    })
}

const TOKEN: &str = r#"Bearer realm="http://HOST/token",service="reg""#;
const USER: &str = "auth = { user = 'u', password = 'pa55' }\nfetch_timeout = '20s'";

#[test]
fn an_image_is_pulled_with_a_token_and_kept() {
    let storage = serve(|_| Reply::Answer(200, Vec::new(), guest()));
    let up = registry(storage.server.url.clone(), TOKEN);
    let folder = folder();
    let pinned = |digest: String| format!("module = 'oci://{}/team/redact@sha256:{digest}'\n{USER}", up.host());
    let manifest_digest = sha256(manifest().as_bytes());
    let settings = pinned(manifest_digest.clone());
    start(&folder, &settings).unwrap();
    let manifest_at = format!("/v2/team/redact/manifests/sha256:{manifest_digest}");
    let token_at = "/token?service=reg&scope=repository%3Ateam%2Fredact%3Apull".to_owned();
    let blob_at = format!("/v2/team/redact/blobs/sha256:{}", sha256(&guest()));
    assert_eq!(up.targets(), [manifest_at.clone(), token_at, manifest_at, blob_at]);
    assert_eq!(storage.server.requests()[0].header("authorization"), None);
    // An index, through which the same module is found: only the index is news.
    let through_index = pinned(sha256(index().as_bytes()));
    start(&self::folder(), &through_index).unwrap();
    start(&folder, &through_index).unwrap();
    up.down();
    storage.down();
    start(&folder, &settings).unwrap();
    start(&folder, &through_index).unwrap();
}

#[test]
fn a_tag_is_pinned_by_the_module_s_digest() {
    let storage = serve(|_| Reply::Answer(200, Vec::new(), guest()));
    let up = registry(storage.server.url.clone(), TOKEN);
    let module = |tag: &str| format!("module = 'oci://{}/team/redact:{tag}'", up.host());
    let folder = folder();
    let pin = format!("sha256 = '{}'", sha256(&guest()));
    start(&folder, &format!("{}\n{pin}\n{LONG}\nauth = {{ bearer = '0wn' }}", module("1.0"))).unwrap();
    // The manifest twice: credentials are not shown before they are asked for.
    assert_eq!((up.targets().len(), kept(&folder)), (3, 1));
    let other = format!("sha256 = '{}'", "0".repeat(64));
    let error = start(&folder, &format!("{}\n{other}\n{USER}", module("1.0"))).unwrap_err();
    assert!(error.contains(&sha256(&guest())), "{error}");
    assert_eq!(storage.targets().len(), 1, "what is known to be another one is not fetched");
    let error = start(&self::folder(), &format!("{}\n{pin}\n{USER}", module("2.0"))).unwrap_err();
    assert!(error.contains("MANIFEST_UNKNOWN"), "{error}");
    for auth in ["auth = { user = 'u', password = 'wrong' }", ""] {
        let error = start(&self::folder(), &format!("{}\n{pin}\n{LONG}\n{auth}", module("1.0"))).unwrap_err();
        assert!(error.contains("/token: 403"), "{error}");
    }
}

#[test]
fn a_registry_s_content_is_compared_with_its_digests() {
    let storage = serve(|_| Reply::text(200, "something else"));
    let up = registry(storage.server.url.clone(), TOKEN);
    let folder = folder();
    let digest = sha256(manifest().as_bytes());
    let settings = format!("module = 'oci://{}/team/redact@sha256:{digest}'\n{USER}", up.host());
    let error = start(&folder, &settings).unwrap_err();
    assert!(error.contains("/blobs/") && error.contains(&sha256(b"something else")), "{error}");
    let up = serve(|_| Reply::text(200, manifest()));
    let settings = format!("module = 'oci://{}/team/redact@sha256:{}'", up.host(), "0".repeat(64));
    let error = start(&folder, &settings).unwrap_err();
    assert!(error.contains("/manifests/") && error.contains("should be 0000"), "{error}");
}

#[test]
fn credentials_are_not_sent_where_a_registry_would_like_them() {
    for challenge in [r#"Bearer realm="http://192.0.2.1/token""#, "Bearer realm=nowhere", "Negotiate"] {
        let up = registry(String::new(), challenge);
        let digest = "0".repeat(64);
        let settings = format!("module = 'oci://{}/team/redact@sha256:{digest}'\n{USER}", up.host());
        let error = start(&folder(), &settings).unwrap_err();
        assert!(error.contains("for a token") || error.contains("401"), "{error}");
        assert!(!error.contains("pa55"));
        assert!(up.server.requests().iter().all(|request| request.header("authorization").is_none()));
    }
}

#[test]
fn says_what_is_wrong_with_the_settings() {
    let pin = format!("sha256 = '{}'", "0".repeat(64));
    for (settings, says) in [
        ("module = 'https://h/m.wasm'".to_owned(), "curl -L https://h/m.wasm | sha256sum"),
        ("module = 'oci://h/m:1'".to_owned(), "oras resolve h/m:1"),
        ("module = 'oci://h/m'".to_owned(), "neither a tag nor a digest"),
        (format!("module = 'http://example.com/m.wasm'\n{pin}"), "not fetched over plain http"),
        (format!("module = 's3://b/m.wasm'\n{pin}"), "can't be fetched by `s3`"),
        (format!("module = 'https://u:pa55@h/m.wasm'\n{pin}"), "holds no user and password"),
        (format!("module = 'oci://u:pa55@h/m:1'\n{pin}"), "holds no user and password"),
        (format!("module = 'https://h:x/m.wasm'\n{pin}"), "this is not a URL"),
        (format!("module = 'http://127.0.0.1/m.wasm'\n{pin}\ntls = {{}}"), "plain http"),
        (format!("module = 'https://h/m.wasm'\n{pin}\nauth = {{ user = 'u' }}"), "needs a `password`"),
        (format!("module = 'https://h/m.wasm'\n{pin}\nfetch_timeout = '1ms'"), "fetch_timeout"),
        ("module = 'm.wasm'\nauth = { bearer = 'x' }".to_owned(), "`auth` is for a module that is fetched"),
    ] {
        let error = start(&folder(), &settings).unwrap_err();
        assert!(error.contains(says), "{settings}:\n{error}");
        assert!(!error.contains("pa55"), "{error}");
    }
}
