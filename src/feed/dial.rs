//! Opening a stream of bytes to an address: TCP with TLS, or whatever a test puts in its place.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Address;

/// How long sent bytes may stay unacknowledged before the kernel gives a connection up: pings go out far more rarely
/// than that, so a peer that is gone is noticed by whichever comes first.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open stream of bytes.
pub type Wire = Box<dyn Duplex>;

/// A wire that is being opened.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Wire>> + Send + 'a>>;

/// Opens streams of bytes.
pub trait Dial: Send + Sync {
    /// Opens one to `address`, ready for the first byte of HTTP.
    fn dial<'a>(&'a self, address: &'a Address) -> Dialling<'a>;
}

/// Over TCP, with TLS where the address is secure.
pub struct TcpDial {
    tls: TlsConnector,
}

impl TcpDial {
    /// Trusts the certificate authorities that browsers trust.
    ///
    /// # Errors
    /// If TLS has no version in common with its own cryptography, which a build decides.
    pub fn new() -> io::Result<TcpDial> {
        TcpDial::trusting(&[])
    }

    /// Trusts also those whose certificates are in `ca` (PEM).
    ///
    /// # Errors
    /// As [`TcpDial::new`], and if a certificate is none.
    pub fn trusting(ca: &[u8]) -> io::Result<TcpDial> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TcpDial { tls: TlsConnector::from(Arc::new(config)) })
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialling<'a> {
        Box::pin(async move {
            let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
            tcp.set_nodelay(true)?;
            #[cfg(target_os = "linux")]
            socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
            if !address.secure {
                return Ok(Box::new(tcp) as Wire);
            }
            let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            Ok(Box::new(self.tls.connect(name, tcp).await.map_err(in_words)?) as Wire)
        })
    }
}

/// A server that was reached and is not the one that is meant, or does not speak TLS: coming again does not help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotTrusted(&'static str);

/// An error of opening TLS in words, where it is one of those that a person can do something about.
fn in_words(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause.and_then(why_not) {
        Some(why) => io::Error::new(error.kind(), NotTrusted(why)),
        None => error,
    }
}

fn why_not(error: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(wrong) = error else {
        let is_other = matches!(error, rustls::Error::InvalidMessage(_));
        return is_other.then_some("it does not speak TLS");
    };
    Some(match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is not trusted: no authority that is known signed it"
        }
        CertificateError::Revoked => "its certificate was revoked",
        // The library says no more than a name for these, of which the usual one is a certificate that signed itself as
        // authorities do.
        CertificateError::Other(_) | CertificateError::InvalidPurpose => {
            "its certificate is not trusted: it is not one for a server, but such as authorities have"
        }
        _ => "its certificate is not trusted: it is damaged, or made in a way that is not known",
    })
}

/// A wire that counts the bytes that come in: any byte is a sign of life, also that of a message not yet whole.
pub struct Metered {
    wire: Wire,
    bytes: Arc<AtomicU64>,
}

impl Metered {
    /// `wire`, counted in `bytes`.
    #[must_use]
    pub fn new(wire: Wire, bytes: Arc<AtomicU64>) -> Metered {
        Metered { wire, bytes }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.wire).poll_read(context, buffer));
        self.bytes.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(result)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
