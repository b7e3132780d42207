//! TLS: who speaks it is served, who does not is told or closed.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tapedeck::config::{Access, Tls};

use crate::stage::{Answer, READ, Stage, bearer, connect, guarded, read_all, request, send};

const CERTIFICATE: &[u8] = include_bytes!("../../src/feed/tests/tls/certificate.pem");

/// A client that trusts that certificate.
fn secure(address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), connect(address))
}

fn asked(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = secure(address);
    stream.write_all(bytes).unwrap();
    Answer::of(&read_all(&mut stream))
}

#[test]
fn tls_is_spoken_with_those_who_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/feed/tests/tls");
    let tls = Tls { cert: folder.join("certificate.pem"), key: folder.join("key.pem") };
    let stage = Stage::new(&Access { tls: Some(tls), ..guarded() });
    let read = bearer(READ);
    let status = request("GET /v1/status", &[&read]);
    assert_eq!(asked(stage.address, &status).status, 200);
    // These say nothing, or only the beginning of a handshake, and are closed; others are served meanwhile.
    let mut silent = connect(stage.address);
    let mut begins = connect(stage.address);
    begins.write_all(&[0x16, 3, 1, 2, 0]).unwrap();
    for (what, lines, expected) in [
        ("without a token", vec![], 401),
        ("with one", vec![read.as_str()], 200),
        ("our own page", vec![read.as_str(), "Origin: https://localhost"], 200),
        ("our own page without TLS", vec![read.as_str(), "Origin: http://localhost"], 403),
        ("another site", vec![read.as_str(), "Origin: https://evil.example"], 403),
        ("another name", vec![read.as_str(), "Host: evil.example"], 403),
    ] {
        assert_eq!(asked(stage.address, &request("GET /v1/status", &lines)).status, expected, "{what}");
    }
    let plain = send(stage.address, &status);
    assert_eq!(plain.status, 400, "{plain:?}");
    assert!(plain.body.contains("https") && !plain.body.contains("ledger"));
    for slow in [&mut silent, &mut begins] {
        assert_eq!(Answer::of(&read_all(slow)).status, 0);
        assert_eq!(asked(stage.address, &status).status, 200);
    }
    let mut upgrade = secure(stage.address);
    let lines = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==",
        "Sec-WebSocket-Version: 13",
        &read,
    ];
    upgrade.write_all(&request("GET /v1/alerts/stream", &lines)).unwrap();
    // A message without a mask, and the end: a head, and a close with 1002.
    upgrade.write_all(&[0x81, 1, b'x']).unwrap();
    let bytes = read_all(&mut upgrade);
    assert_eq!(Answer::of(&bytes).status, 101);
    let closed = bytes.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1002_u16.to_be_bytes());
    assert!(closed, "{:?}", String::from_utf8_lossy(&bytes));
}
