//! WebSockets: what is no upgrade is answered as HTTP, what is no frame ends with its code.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use feeds::time::SECOND;
use tapedeck::clock;
use tapedeck::config::{Access, Scope};

use crate::stage::{
    Answer, Healthy, ORIGIN, READ, Stage, bearer, connect, guarded, read_all, request, send, token,
};

const STREAM: &str = "GET /v1/alerts/stream";
const KEY: &str = "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const UPGRADE: [&str; 2] = ["Upgrade: websocket", "Connection: Upgrade"];
/// The same of those who do not wait for more when it is refused.
const ONCE: [&str; 2] = ["Upgrade: websocket", "Connection: Upgrade, close"];

/// A WebSocket that a test speaks byte by byte.
struct Socket {
    stream: TcpStream,
    head: String,
}

impl Socket {
    /// Opens one, which must succeed.
    fn open(address: SocketAddr, lines: &[&str]) -> Socket {
        let mut stream = connect(address);
        let lines: Vec<&str> = [&UPGRADE[..], &[KEY, VERSION], lines].concat();
        stream.write_all(&request(STREAM, &lines)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = Answer::of(&head);
        assert_eq!(answer.status, 101, "{answer:?}");
        Socket { stream, head: answer.head }
    }

    /// The code of the close that comes, and its reason; what else comes before is passed over. 0 without a close.
    fn closed(mut self) -> (u16, String) {
        loop {
            let mut head = [0; 2];
            if self.stream.read_exact(&mut head).is_err() {
                return (0, String::new());
            }
            let length = match head[1] {
                126 => {
                    let mut long = [0; 2];
                    self.stream.read_exact(&mut long).unwrap();
                    usize::from(u16::from_be_bytes(long))
                }
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).unwrap();
            if head[0] == 0x88 {
                let code = payload.first_chunk::<2>().map_or(0, |code| u16::from_be_bytes(*code));
                return (code, String::from_utf8(payload.split_off(2.min(length))).unwrap());
            }
        }
    }
}

/// A frame as clients send it, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
        longer => {
            bytes.push(0x80 | 127);
            bytes.extend((longer as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[test]
fn what_is_no_upgrade_is_answered_as_http() {
    let stage = Stage::new(&guarded());
    let healthy = Healthy::start(stage.address, Some(READ));
    let read = bearer(READ);
    let with = |lines: &[&'static str]| [&ONCE[..], lines].concat();
    let cases: [(&str, &str, Vec<&str>, u16); 12] = [
        ("no key", STREAM, with(&[VERSION]), 400),
        ("no version", STREAM, with(&[KEY]), 426),
        ("another version", STREAM, with(&[KEY, "Sec-WebSocket-Version: 8"]), 426),
        ("no upgrade at all", STREAM, vec![KEY, VERSION], 426),
        ("another protocol", STREAM, vec!["Upgrade: h2c", ONCE[1], KEY, VERSION], 426),
        ("no word of it in Connection", STREAM, vec!["Upgrade: websocket", KEY, VERSION], 400),
        ("by POST", "POST /v1/alerts/stream", with(&[KEY, VERSION]), 405),
        ("of what is no stream", "GET /nothing", with(&[KEY, VERSION]), 404),
        ("a cursor that is none", "GET /v1/alerts/stream?after=x", with(&[KEY, VERSION]), 400),
        ("a cursor beyond the end", "GET /v1/alerts/stream?after=1-9", with(&[KEY, VERSION]), 416),
        ("another generation's cursor", "GET /v1/alerts/stream?after=9-0", with(&[KEY, VERSION]), 409),
        ("from another site", STREAM, with(&[KEY, VERSION, "Origin: https://evil.example"]), 403),
    ];
    for (what, line, lines, status) in cases {
        let lines = [&lines[..], &[&read]].concat();
        let answer = send(stage.address, &request(line, &lines));
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    for (what, lines, status) in [
        ("no token", vec![KEY, VERSION], 401),
        ("a wrong token", vec![KEY, VERSION, "Sec-WebSocket-Protocol: bearer, guessed"], 401),
        ("a protocol without a token", vec![KEY, VERSION, "Sec-WebSocket-Protocol: bearer"], 401),
        ("a token in the query", vec![KEY, VERSION], 400),
    ] {
        let line = if status == 400 { "GET /v1/alerts/stream?token=x" } else { STREAM };
        let answer = send(stage.address, &request(line, &with(&lines)));
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    assert!(healthy.end() > 0);
}

#[test]
fn a_browser_sends_its_token_as_a_protocol_and_hears_that_protocol() {
    let stage = Stage::new(&guarded());
    let protocol = format!("Sec-WebSocket-Protocol: bearer, {READ}");
    let socket = Socket::open(stage.address, &[&protocol, &format!("Origin: {ORIGIN}")]);
    assert!(socket.head.contains("\r\nsec-websocket-protocol: bearer\r\n"), "{}", socket.head);
    let plain = Socket::open(stage.address, &[&bearer(READ)]);
    assert!(!plain.head.contains("sec-websocket-protocol"), "{}", plain.head);
}

#[test]
fn what_is_no_frame_ends_with_its_code_while_others_are_served() {
    let stage = Stage::new(&guarded());
    let healthy = Healthy::start(stage.address, Some(READ));
    let in_parts = [frame(0x01, &[b'x'; 10_000]), frame(0x80, &[b'x'; 10_000])].concat();
    let many: Vec<u8> = (0..100).flat_map(|_| frame(0x89, b"")).collect();
    let cases: [(&str, Vec<u8>, u16); 19] = [
        ("a frame without a mask", vec![0x81, 1, b'x'], 1002),
        ("a ping without a mask", vec![0x89, 0], 1002),
        ("an opcode that there is not", frame(0x83, b""), 1002),
        ("a control frame that there is not", frame(0x8b, b""), 1002),
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("a ping in parts", frame(0x09, b""), 1002),
        ("a ping that is too long", frame(0x89, &[0; 126]), 1002),
        ("the rest of nothing", frame(0x80, b"x"), 1002),
        ("a message within a message", [frame(0x01, b"x"), frame(0x81, b"x")].concat(), 1002),
        ("a close of one byte", frame(0x88, b"x"), 1002),
        ("text that is no text", frame(0x81, &[0xff, 0xfe]), 1007),
        ("text cut within a letter", frame(0x81, &[0xc3]), 1007),
        ("a message that is too long", frame(0x81, &[b'x'; 20_000]), 1009),
        ("one that says that it is", [&[0x82, 0xff][..], &[0x7f; 8], &[1, 2, 3, 4]].concat(), 1009),
        ("one that becomes too long", in_parts, 1009),
        ("a message", frame(0x81, b"{\"subscribe\":\"*\"}"), 1003),
        ("bytes", frame(0x82, &[0; 9]), 1003),
        ("a flood", many, 1008),
        ("a good end", frame(0x88, &1000_u16.to_be_bytes()), 1000),
    ];
    for (what, bytes, code) in cases {
        let mut socket = Socket::open(stage.address, &[&bearer(READ)]);
        socket.stream.write_all(&bytes).unwrap();
        let (closed, why) = socket.closed();
        assert_eq!(closed, code, "{what}: {why}");
    }
    assert!(healthy.end() > 0);
}

#[test]
fn who_follows_is_cut_off_when_the_token_ends() {
    let soon = clock::wall() + SECOND;
    let tokens = vec![token(READ, Scope::Read, None), token("made-up.short", Scope::Read, Some(soon))];
    let stage = Stage::new(&Access { tokens, ..Access::default() });
    let healthy = Healthy::start(stage.address, Some(READ));
    let short = bearer("made-up.short");
    let socket = Socket::open(stage.address, &[&short]);
    let mut events = connect(stage.address);
    events.write_all(&request(STREAM, &[&short, "Accept: text/event-stream"])).unwrap();
    assert_eq!(socket.closed(), (4001, "1-0".to_owned()));
    let answer = Answer::of(&read_all(&mut events));
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("event: cut\ndata: {\"code\":4001,\"cursor\":\"1-0\"}"), "{answer:?}");
    assert_eq!(send(stage.address, &request("GET /v1/status", &[&short])).status, 401);
    assert!(healthy.end() > 0);
}
