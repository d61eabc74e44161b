//! Outputs over TLS, to a server whose authority is in a file.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use rcgen::{CertificateParams, KeyPair};
use suiro_test_servers::{Elasticsearch, Loki};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, numbered};

/// Ends TLS before a plain server, for as long as the test runs. Its `https://` URL, and its certificate, which is its own
/// authority.
pub(crate) fn tls_before(url: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let server_key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], server_key)
        .unwrap();
    let (tell, told) = mpsc::channel();
    let plain = url.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                tokio::spawn(async move {
                    if let (Ok(mut secret), Ok(mut plain)) =
                        (acceptor.accept(stream).await, TcpStream::connect(plain).await)
                    {
                        let _ = tokio::io::copy_bidirectional(&mut secret, &mut plain).await;
                    }
                });
            }
        });
    });
    (format!("https://{}", told.recv().unwrap()), certificate.pem())
}

#[test]
fn what_is_secret_on_the_way_arrives() {
    let (es, loki) = (Elasticsearch::start().unwrap(), Loki::start().unwrap());
    let ((es_url, es_ca), (loki_url, loki_ca)) = (tls_before(&es.url()), tls_before(&loki.url()));
    let site = Site::new(&format!(
        "{TAIL_JSON}\
         [[output]]\nname = 'es'\ntype = 'elasticsearch'\nurl = '{es_url}'\nindex = 'app'\nid = 'origin'\n\
         tls = {{ ca_file = 'es.pem' }}\ncompression = 'gzip'\n\
         [[output]]\nname = 'loki'\ntype = 'loki'\nurl = '{loki_url}'\nlabels = {{ job = 'app' }}\n\
         tls = {{ ca_file = 'loki.pem' }}\n"
    ));
    site.write("es.pem", es_ca);
    site.write("loki.pem", loki_ca);
    site.write("app.log", numbered(0, 1000));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.output("es", "delivered"), ledger.output("loki", "delivered")), (1000, 1000));
    assert_numbered(&es, 1000);
    assert_eq!(loki.len(), 1000);
}

#[test]
fn nobody_who_is_not_trusted_gets_a_record() {
    let es = Elasticsearch::start().unwrap();
    let (url, ca) = tls_before(&es.url());
    let (_, stranger) = tls_before(&es.url());
    let site = Site::new(&format!(
        "[service]\ndata_dir = 'data'\nshutdown_timeout = '100ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}\
         [[output]]\nname = 'es'\ntype = 'elasticsearch'\nurl = '{url}'\nindex = 'app'\nid = 'origin'\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ timeout = '10ms' }}\ntls = {{ ca_file = 'ca.pem' }}\n"
    ));
    site.write("ca.pem", stranger);
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    // At the first attempt: it is an operator who must mend it.
    running.wait_for("health to be bad", |running| running.get("/api/v1/health").0 == 500);
    let outcome = running.stop();
    let ledger = outcome.ledger(0);
    assert_eq!((ledger.output("es", "in_flight"), es.requests()), (100, 0));
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    site.write("ca.pem", ca);
    site.once().all_well();
    assert_numbered(&es, 100);
}
