//! TLS for those who ask: who we are, from two files.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ServeError;
use crate::config::Tls;
use crate::config::limits::CA_BYTES_MAX;

/// The first byte of a TLS connection; no request of HTTP begins so.
pub(super) const HANDSHAKE: u8 = 0x16;

/// Reads the files.
///
/// # Errors
/// [`ServeError::Tls`] with the file and what is wrong with it.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServeError> {
    let wrong = |path: &Path, why: String| ServeError::Tls { path: path.to_owned(), why };
    let pem = read(&tls.cert).map_err(|error| wrong(&tls.cert, error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| wrong(&tls.cert, error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong(&tls.cert, "it holds no certificate in PEM".to_owned()));
    }
    let pem = read(&tls.key).map_err(|error| wrong(&tls.key, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(&tls.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| wrong(&tls.key, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads a file that is not too long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(CA_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CA_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {CA_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_of_no_use_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("cert.pem"), include_bytes!("../feed/tests/tls/certificate.pem")).unwrap();
        std::fs::write(path("key.pem"), include_bytes!("../feed/tests/tls/key.pem")).unwrap();
        std::fs::write(path("empty.pem"), b"").unwrap();
        let of = |cert: &str, key: &str| acceptor(&Tls { cert: path(cert), key: path(key) });
        assert!(of("cert.pem", "key.pem").is_ok());
        for (cert, key, named) in [
            ("none.pem", "key.pem", "none.pem"),
            ("empty.pem", "key.pem", "empty.pem"),
            ("cert.pem", "none.pem", "none.pem"),
            ("cert.pem", "empty.pem", "empty.pem"),
            ("cert.pem", "cert.pem", "cert.pem"),
        ] {
            let why = of(cert, key).err().unwrap().to_string();
            assert!(why.contains(named), "{why}");
        }
    }
}
