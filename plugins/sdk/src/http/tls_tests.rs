//! TLS against a server with an authority of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Answer, Client, ClientSettings, Failure, Offer, Request};
use crate::settings::Section;

const OFFER: Offer = Offer { url: "", several: false, api_key: false, compression: false };

/// An authority, and the folder its files are in.
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
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for `name` and its key, as files too.
    fn certify(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        (certificate, key)
    }

    /// A server on 127.0.0.1 with a certificate for `name`; with `clients`, it wants a certificate of the authority's too.
    async fn serve(&self, name: &str, clients: bool) -> String {
        let (certificate, key) = self.certify(name);
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"body") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        });
        format!("https://127.0.0.1:{port}")
    }
}

async fn post(url: &str, tls: &str) -> Result<Answer, Failure> {
    let (section, diagnostics) = Section::from_text("[[output]] x", &format!("url = '{url}'\n{tls}"));
    let settings = ClientSettings::read(&section, OFFER);
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    let client = Client::new(settings.unwrap(), Arc::default()).unwrap();
    let mut body = client.buffer();
    body.bytes.extend_from_slice(b"body");
    client
        .send(Request { method: reqwest::Method::POST, body, content_type: "text/plain", header: None, limit: 10 })
        .await
}

fn ca(path: &Path) -> String {
    format!("ca_file = '{}'", path.display())
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_by_file() {
    let authority = Authority::new();
    let url = authority.serve("127.0.0.1", false).await;
    let answer = post(&url, &format!("tls = {{ {} }}", ca(&authority.path("ca.pem")))).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
}

#[tokio::test]
async fn who_is_not_trusted_gets_nothing_and_an_operator_is_called() {
    let authority = Authority::new();
    let url = authority.serve("127.0.0.1", false).await;
    let stranger = Authority::new();
    for tls in [String::new(), format!("tls = {{ {} }}", ca(&stranger.path("ca.pem")))] {
        let failure = post(&url, &tls).await.unwrap_err();
        assert!(failure.unsent && failure.degraded, "{failure:?}");
        assert!(failure.to_string().contains("certificate"), "{failure}");
    }
    let answer = post(&url, "tls = { insecure_skip_verify = true }").await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let url = authority.serve("other.example", false).await;
    let failure = post(&url, &format!("tls = {{ {} }}", ca(&authority.path("ca.pem")))).await.unwrap_err();
    assert!(failure.unsent && failure.degraded, "{failure:?}");
}

#[tokio::test]
async fn a_certificate_is_shown_where_it_is_wanted() {
    let authority = Authority::new();
    let url = authority.serve("127.0.0.1", true).await;
    let ca = ca(&authority.path("ca.pem"));
    let (cert, key) = (authority.path("cert.pem"), authority.path("key.pem"));
    let shown = format!("tls = {{ {ca}, cert_file = '{}', key_file = '{}' }}", cert.display(), key.display());
    assert_eq!(post(&url, &shown).await.unwrap().status.as_u16(), 200);
    assert!(post(&url, &format!("tls = {{ {ca} }}")).await.is_err());
    // The key in the place of the certificate.
    let wrong = format!("url = '{url}'\ntls = {{ cert_file = '{}', key_file = '{}' }}", key.display(), key.display());
    let (section, diagnostics) = Section::from_text("[[output]] x", &wrong);
    assert!(ClientSettings::read(&section, OFFER).is_err());
    assert!(diagnostics.render(false).contains("not a certificate and its key"), "{}", diagnostics.render(false));
}
