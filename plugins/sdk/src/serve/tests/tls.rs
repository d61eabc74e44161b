//! TLS, with and without certificates of clients.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::kit::{Http2, Served, framed, read_all, serve};
use crate::serve::ServerSettings;
use crate::settings::Section;

/// An authority, and a folder with a certificate of its for 127.0.0.1.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority { issuer, folder };
        let (cert, key) = authority.certify("127.0.0.1");
        std::fs::write(authority.path().join("ca.pem"), authority.issuer.pem()).unwrap();
        std::fs::write(authority.path().join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(authority.path().join("key.pem"), key.serialize_pem()).unwrap();
        authority
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn certify(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn setting(&self, more: &str) -> String {
        let path = self.path().display();
        format!("tls = {{ cert_file = '{path}/cert.pem', key_file = '{path}/key.pem'{more} }}")
    }

    /// A connection to a server of this authority's, with a certificate of `shown`'s.
    async fn connect(
        &self,
        served: &Served,
        shown: Option<&Authority>,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (cert, key) = authority.certify("client");
                let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, served.connect().await).await
    }
}

const REQUEST: &[u8] =
    b"POST /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nabc";

/// What a request over that connection is answered; nothing if the server hung up.
async fn ask(stream: std::io::Result<TlsStream<TcpStream>>) -> String {
    let Ok(mut stream) = stream else { return String::new() };
    let _ = stream.write_all(REQUEST).await;
    read_all(stream).await
}

#[tokio::test]
async fn both_versions_by_alpn() {
    let authority = Authority::new();
    let served = serve(&authority.setting(""));
    assert!(ask(authority.connect(&served, None, &[]).await).await.ends_with("3 of 3"));
    assert!(ask(authority.connect(&served, None, &[b"http/1.1"]).await).await.ends_with("3 of 3"));
    let stream = authority.connect(&served, None, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut http2 = Http2::new(stream).await;
    assert_eq!(http2.call(&[], vec![framed(0, b"x")]).await.header("grpc-status"), "0");
    // In the clear there is nothing to be had.
    assert!(!served.raw(REQUEST).await.contains("200"));
    served.expect_turned_away("unauthorized", 1).await;
}

#[tokio::test]
async fn only_who_shows_a_certificate_gets_in() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let served = serve(&authority.setting(&format!(", client_ca_file = '{}/ca.pem'", authority.path().display())));
    assert!(ask(authority.connect(&served, Some(&authority), &[]).await).await.ends_with("3 of 3"));
    assert_eq!(ask(authority.connect(&served, None, &[]).await).await, "");
    assert_eq!(ask(authority.connect(&served, Some(&stranger), &[]).await).await, "");
    served.expect_turned_away("unauthorized", 2).await;
}

#[test]
fn a_key_of_another_certificate_is_an_error() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (ours, theirs) = (authority.path().display(), stranger.path().display());
    for (text, message) in [
        (format!("cert_file = '{ours}/cert.pem', key_file = '{theirs}/key.pem'"), "are not a certificate and its key"),
        (format!("cert_file = '{ours}/cert.pem', key_file = '{ours}/cert.pem'"), "no private key"),
        (format!("cert_file = '{ours}/key.pem', key_file = '{ours}/key.pem'"), "no certificate"),
    ] {
        let (section, diagnostics) = Section::from_text("[[input]] x", &format!("tls = {{ {text} }}"));
        assert!(ServerSettings::read(&section, &[]).is_err(), "{text}");
        let shown = diagnostics.render(false);
        assert!(shown.contains(message), "{text}:\n{shown}");
    }
}
