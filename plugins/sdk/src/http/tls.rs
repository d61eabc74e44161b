//! `tls`: whom we trust, and the certificate we show.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::settings::{Reported, Section};

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 4 << 20;

/// TLS of a client.
///
/// | setting | what it does |
/// | --- | --- |
/// | `ca_file` | trusts these certificates (PEM) instead of the system's |
/// | `cert_file`, `key_file` | shows this certificate to the server (PEM; both or neither) |
/// | `insecure_skip_verify` | trusts everybody: for a test, never for real logs |
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Instead of the system's.
    roots: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    skip_verify: bool,
}

// === impl Tls ===

impl Tls {
    /// Reads the setting `tls`, if it is there, files included.
    pub fn read(settings: &Section) -> Result<Option<Tls>, Reported> {
        let Some(tls) = settings.section("tls") else { return Ok(None) };
        let ca = tls.get::<PathBuf>("ca_file");
        let cert = tls.get::<PathBuf>("cert_file");
        let key = tls.get::<PathBuf>("key_file");
        let skip_verify = tls.flag("insecure_skip_verify");
        if skip_verify {
            let help = "name the server's authority in `ca_file` instead";
            tls.warning_at("insecure_skip_verify", "anybody on the way can read and change what is sent", help);
        }
        for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
            if tls.has(one) && !tls.has(other) {
                return Err(tls.error_at(one, format!("`{one}` needs a `{other}` beside it"), ""));
            }
        }
        if skip_verify && ca.is_some() {
            let message = "`ca_file` is useless where `insecure_skip_verify` trusts everybody";
            return Err(tls.error_at("ca_file", message, "leave one of them out"));
        }
        let roots = ca.map(|path| read_roots(&path).map_err(|why| tls.error_at("ca_file", why, ""))).transpose();
        let identity = cert
            .zip(key)
            .map(|(cert, key)| read_identity(&cert, &key).map_err(|(setting, why)| tls.error_at(setting, why, "")))
            .transpose();
        Ok(Some(Tls { roots: roots?, identity: identity?, skip_verify }))
    }

    /// Sets up a client for `https`.
    pub(super) fn apply(self, mut builder: ClientBuilder) -> ClientBuilder {
        if let Some(roots) = self.roots {
            builder = builder.tls_certs_only(roots);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        if self.skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder
    }
}

fn read_roots(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = read_file(path)?;
    let roots = Certificate::from_pem_bundle(&pem)
        .map_err(|_| format!("{} holds a certificate that can't be read", path.display()))?;
    if roots.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(roots)
}

fn read_identity(cert: &Path, key: &Path) -> Result<Identity, (&'static str, String)> {
    let mut pem = read_file(cert).map_err(|why| ("cert_file", why))?;
    pem.push(b'\n');
    pem.extend_from_slice(&read_file(key).map_err(|why| ("key_file", why))?);
    Identity::from_pem(&pem).map_err(|_| {
        ("cert_file", format!("{} and {} are not a certificate and its key in PEM form", cert.display(), key.display()))
    })
}

/// A file of certificates or keys, if it is not too large to be one.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let complain = |why: std::io::Error| format!("can't read {}: {why}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(complain)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(complain)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{} is larger than {MAX_BYTES} bytes", path.display()));
    }
    Ok(bytes)
}
