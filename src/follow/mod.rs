//! A client of the alert stream: follows the log of a running tapedeck, comes again for ever, prints each alert once.
//!
//! `place` is what it knows of the log and what it has printed, `session` one connection, `print` the forms of output.

mod place;
mod print;
mod session;

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use crate::alert::Cursor;
use crate::clock;
use crate::feed::address::Address;
use crate::feed::backoff::Backoff;
use crate::feed::dial::TcpDial;
use crate::query::alerts::AlertFilter;

use place::Place;
pub use print::Form;
use print::Printer;
use session::{Session, Why};

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The server: its root, or the stream itself.
    pub address: Address,
    /// Certificates (PEM) to trust beside those that browsers trust.
    pub ca: Vec<u8>,
    /// What proves who asks.
    pub token: Option<String>,
    /// Which alerts; its times are not used.
    pub filter: AlertFilter,
    /// Behind which alert to begin; from the oldest without.
    pub after: Option<Cursor>,
    /// Keeps the cursor from one start to the next, and comes before `after`.
    pub state_file: Option<PathBuf>,
    /// How alerts are written.
    pub form: Form,
}

/// Why following ended, other than by being stopped.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The server was reached, and will not let this client follow.
    #[error("{address} refused with status {status}: {why}")]
    Refused {
        /// Where.
        address: String,
        /// The status.
        status: u16,
        /// What the server said.
        why: String,
    },
    /// No connection can come about.
    #[error("{address} cannot be followed: {why}")]
    Hopeless {
        /// Where.
        address: String,
        /// Why not.
        why: String,
    },
    /// Something on this side failed.
    #[error(transparent)]
    Here(#[from] anyhow::Error),
}

/// Follows until `stop` is done. Alerts go to `out`, what people should know to `note`.
///
/// # Errors
/// [`FollowError`]: a first connection that fails for a reason that waiting does not cure, an output or a state file
/// that cannot be written.
pub async fn follow(
    options: &Follow,
    out: &mut (dyn Write + Send),
    note: &mut (dyn FnMut(&str) + Send),
    stop: impl Future<Output = ()>,
) -> Result<(), FollowError> {
    let dial = Arc::new(TcpDial::trusting(&options.ca).context("the certificates cannot be used")?);
    let after = match &options.state_file {
        Some(path) => place::read(path)?.or(options.after),
        None => options.after,
    };
    let place = Place::new(after);
    let printer = Printer::new(options.form, out);
    let mut following = Following {
        session: Session::new(options, dial),
        place,
        printer,
        note,
        state_file: options.state_file.clone(),
    };
    tokio::select! {
        ended = following.run() => ended,
        () = stop => Ok(()),
    }?;
    following.settle()
}

struct Following<'a> {
    session: Session,
    place: Place,
    printer: Printer<'a>,
    note: &'a mut (dyn FnMut(&str) + Send),
    state_file: Option<PathBuf>,
}

impl Following<'_> {
    async fn run(&mut self) -> Result<(), FollowError> {
        let seed = clock::wall() as u64 ^ u64::from(std::process::id()) << 32;
        let mut backoff = Backoff::new(seed);
        let mut was_open = false;
        loop {
            let why = self.connection(&mut was_open, &mut backoff).await?;
            self.settle()?;
            let wait = match why {
                Why::Refused(refusal) if !was_open && refusal.is_lasting() => {
                    let (status, why) = (refusal.status, refusal.why);
                    return Err(FollowError::Refused { address: self.session.shown(), status, why });
                }
                Why::Hopeless(why) if !was_open => {
                    return Err(FollowError::Hopeless { address: self.session.shown(), why });
                }
                // The log says where to go on: at once.
                Why::Elsewhere(elsewhere) => {
                    let said = self.place.moved(&elsewhere);
                    (self.note)(&said);
                    Duration::ZERO
                }
                Why::Refused(refusal) => {
                    let wait = backoff.next(refusal.asked);
                    self.tell(&format!("status {}: {}", refusal.status, refusal.why), wait);
                    wait
                }
                // A certificate that was trusted before may be another one soon.
                Why::Hopeless(why) | Why::Ended(why) => {
                    let wait = backoff.next(None);
                    self.tell(&why, wait);
                    wait
                }
            };
            sleep(wait).await;
        }
    }

    /// One connection to its end.
    async fn connection(&mut self, was_open: &mut bool, backoff: &mut Backoff) -> Result<Why, FollowError> {
        let mut open = match self.session.open(self.place.cursor()).await {
            Ok(open) => open,
            Err(why) => return Ok(why),
        };
        let again = if std::mem::replace(was_open, true) { "following again" } else { "following" };
        let from =
            self.place.cursor().map_or("from the oldest alert on".to_owned(), |c| format!("behind {c}"));
        (self.note)(&format!("{again} {} {from}", self.session.shown()));
        loop {
            let said = match open.ready() {
                Some(said) => said,
                None => {
                    self.settle()?;
                    open.next().await
                }
            };
            match said {
                Ok(message) => {
                    backoff.reset();
                    if self.place.take(&message) {
                        self.printer.put(&message).context("cannot write an alert")?;
                    }
                }
                Err(why) => return Ok(why),
            }
        }
    }

    fn tell(&mut self, why: &str, wait: Duration) {
        (self.note)(&format!("{why}; coming again in {:.1} s", wait.as_secs_f64()));
    }

    /// What was printed is out, and then the place is kept: an alert may come twice after a crash, and is never missing.
    fn settle(&mut self) -> Result<(), FollowError> {
        self.printer.flush().context("cannot write an alert")?;
        if let Some(path) = &self.state_file {
            self.place.keep(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../feed/tests/tls/certificate.pem");
    const KEY: &[u8] = include_bytes!("../feed/tests/tls/key.pem");

    fn acceptor() -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What following such a server comes to, for a client that trusts `ca`, and what it noted meanwhile.
    async fn followed(host: &str, acceptor: Option<TlsAcceptor>, ca: &[u8], token: Option<&str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Follow {
            address: Address::parse(&format!("https://{host}:{port}")).unwrap(),
            ca: ca.to_vec(),
            token: token.map(str::to_owned),
            filter: AlertFilter::default(),
            after: None,
            state_file: None,
            form: Form::Ndjson,
        };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            match acceptor {
                Some(acceptor) => drop(acceptor.accept(stream).await),
                None => {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        });
        let (mut out, mut noted) = (Vec::new(), Vec::new());
        let mut note = |text: &str| noted.push(text.to_owned());
        let ended = follow(&options, &mut out, &mut note, std::future::pending());
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        server.abort();
        let Ok(Err(FollowError::Hopeless { address, why })) = ended else { panic!("{ended:?} {noted:?}") };
        assert_eq!((address, noted.len()), (format!("wss://{host}:{port}/v1/alerts/stream"), 0));
        why
    }

    #[tokio::test]
    async fn what_waiting_does_not_cure_ends_it_in_words() {
        let why = followed("localhost", Some(acceptor()), b"", None).await;
        assert!(why.starts_with("its certificate is not trusted: "), "{why}");
        let why = followed("127.0.0.1", Some(acceptor()), b"", None).await;
        assert!(why.starts_with("its certificate is "), "{why}");
        assert_eq!(followed("localhost", None, b"", None).await, "it does not speak TLS");
        let why = followed("localhost", Some(acceptor()), CERTIFICATE, Some("two\nlines")).await;
        assert_eq!(why, "the token cannot be sent");
    }
}
