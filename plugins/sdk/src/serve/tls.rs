//! `tls`: the certificate we show, and whose we want to see.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::http::read_file;
use crate::settings::{Reported, Section};

/// TLS of an input.
///
/// | setting | what it does |
/// | --- | --- |
/// | `cert_file`, `key_file` | the certificate, its chain behind it, and its key (PEM); both are needed |
/// | `client_ca_file` | who connects must show a certificate of these authorities (PEM): mutual TLS |
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

const HELP: &str = "for example: tls = { cert_file = \"agent.pem\", key_file = \"agent.key\" }";

// === impl Tls ===

impl Tls {
    /// Reads the setting `tls`, if it is there, files included.
    pub fn read(settings: &Section) -> Result<Option<Tls>, Reported> {
        let Some(tls) = settings.section("tls") else {
            return if settings.has("tls") {
                Err(settings.error_at("tls", "`tls` must be a table", HELP))
            } else {
                Ok(None)
            };
        };
        let cert = tls.get::<PathBuf>("cert_file");
        let key = tls.get::<PathBuf>("key_file");
        let clients = tls.get::<PathBuf>("client_ca_file");
        for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
            if tls.has(one) && !tls.has(other) {
                return Err(tls.error_at(one, format!("`{one}` needs a `{other}` beside it"), HELP));
            }
        }
        if !tls.has("cert_file") {
            return Err(tls.error("`tls` needs a `cert_file` and a `key_file`", HELP));
        }
        let (Some(cert), Some(key)) = (cert, key) else {
            // They are there and can't be read: reported where they stand.
            return Err(tls.error("`tls` can't be used", HELP));
        };
        if tls.has("client_ca_file") && clients.is_none() {
            return Err(tls.error("`tls` can't be used", HELP));
        }
        let config = configure(&cert, &key, clients.as_deref());
        config.map(|config| Some(Tls(Arc::new(config)))).map_err(|(setting, why)| tls.error_at(setting, why, ""))
    }

    /// What makes a plain connection a secret one. `protocols` are those it may speak (ALPN); none: whatever it likes.
    pub fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

type Complaint = (&'static str, String);

fn configure(cert: &Path, key: &Path, clients: Option<&Path>) -> Result<ServerConfig, Complaint> {
    let chain = read_certificates("cert_file", cert)?;
    let pem = read_file(key).map_err(|why| ("key_file", why))?;
    let key_der = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| ("key_file", format!("{} holds no private key in PEM form", key.display())))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ("cert_file", error.to_string()))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let complain = |why: String| ("client_ca_file", format!("{}: {why}", path.display()));
            let mut roots = RootCertStore::empty();
            for root in read_certificates("client_ca_file", path)? {
                roots.add(root).map_err(|error| complain(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| complain(error.to_string()))?)
        }
    };
    builder.with_single_cert(chain, key_der).map_err(|error| {
        let (cert, key) = (cert.display(), key.display());
        ("cert_file", format!("{cert} and {key} are not a certificate and its key: {error}"))
    })
}

fn read_certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Complaint> {
    let pem = read_file(path).map_err(|why| (setting, why))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err((setting, format!("{} holds no certificate in PEM form", path.display())))
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err((setting, format!("{} holds a certificate that can't be read", path.display()))),
    }
}
