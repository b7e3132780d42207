//! Bounds: too many connections, too many requests, too slow. Whoever is within them is served.

use std::io::{Read, Write};
use std::net::TcpStream;

use tapedeck::config::{Access, AccessBounds, Listen, Scope};
use tapedeck::serve::{ServeError, bind, bind_for};

use crate::stage::{
    Answer, CONTROL, Healthy, READ, Stage, bearer, connect, connect_from, guarded, read_all, request, token,
};

fn bounded(bounds: AccessBounds) -> Access {
    Access { bounds, ..Access::default() }
}

/// Asks on a connection that stays open, and reads the head of the answer and what came with it.
fn ask(stream: &mut TcpStream, lines: &[&str]) -> Answer {
    let lines = [lines, &["Connection: keep-alive"]].concat();
    let _ = stream.write_all(&request("GET /healthz", &lines));
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"alive\n") && !bytes.ends_with(b"}\n") {
        let mut piece = [0; 1_024];
        match stream.read(&mut piece) {
            Ok(length @ 1..) => bytes.extend(&piece[..length]),
            _ => break,
        }
    }
    Answer::of(&bytes)
}

#[test]
fn connections_are_bounded_in_all() {
    let bounds = AccessBounds { connections: 3, ..AccessBounds::default() };
    let stage = Stage::new(&bounded(bounds));
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(stage.address)).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, &[]).status, 200);
    }
    // It takes the third place again and again.
    let healthy = Healthy::start(stage.address, None);
    assert!(healthy.end() > 0);
    let mut third = connect(stage.address);
    assert_eq!(ask(&mut third, &[]).status, 200);
    for _ in 0..5 {
        let refused = ask(&mut connect_from(stage.address, "127.0.0.7"), &[]);
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.head.contains("retry-after: 1"));
    }
    for stream in &mut held {
        assert_eq!(ask(stream, &[]).status, 200, "who has a place keeps it");
    }
}

#[test]
fn connections_are_bounded_by_address_while_others_are_served() {
    let bounds = AccessBounds { per_address: Some(2), ..AccessBounds::default() };
    let stage = Stage::new(&bounded(bounds));
    let healthy = Healthy::start(stage.address, None);
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect_from(stage.address, "127.0.0.7")).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, &[]).status, 200);
    }
    for _ in 0..5 {
        assert_eq!(ask(&mut connect_from(stage.address, "127.0.0.7"), &[]).status, 429);
    }
    assert_eq!(ask(&mut connect_from(stage.address, "127.0.0.8"), &[]).status, 200);
    assert!(healthy.end() > 0);
}

#[test]
fn connections_are_bounded_by_token_streams_included() {
    let tokens = vec![token(READ, Scope::Read, None), token(CONTROL, Scope::Control, None)];
    let bounds = AccessBounds { per_token: Some(3), ..AccessBounds::default() };
    let stage = Stage::new(&Access { tokens, bounds, ..Access::default() });
    let healthy = Healthy::start(stage.address, Some(CONTROL));
    let open = || {
        let mut stream = connect(stage.address);
        let lines = [&bearer(READ), "Accept: text/event-stream"];
        stream.write_all(&request("GET /v1/alerts/stream", &lines)).unwrap();
        let mut bytes = vec![0; 4_096];
        let length = stream.read(&mut bytes).unwrap();
        (Answer::of(&bytes[..length]).status, stream)
    };
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (status, stream) = open();
        assert_eq!(status, 200);
        streams.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(open().0, 429, "a flood of subscriptions");
    }
    // One that goes makes room for one.
    drop(streams.pop());
    while open().0 == 429 {
        std::thread::yield_now();
    }
    assert!(healthy.end() > 0);
}

#[test]
fn requests_have_a_pace_by_address() {
    let bounds = AccessBounds { requests_per_second: Some(20), ..AccessBounds::default() };
    let stage = Stage::new(&bounded(bounds));
    let mut flood = connect_from(stage.address, "127.0.0.7");
    let statuses: Vec<u16> = (0..60).map(|_| ask(&mut flood, &[]).status).collect();
    assert!(statuses[..20].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429) && statuses.iter().all(|status| [200, 429].contains(status)));
    let mut other = connect_from(stage.address, "127.0.0.8");
    assert_eq!(ask(&mut other, &[]).status, 200);
}

/// Their time is the server's own; nobody waits for them.
#[test]
fn who_is_too_slow_is_closed_without_a_word() {
    let stage = Stage::new(&guarded());
    let healthy = Healthy::start(stage.address, Some(READ));
    let says_nothing = connect(stage.address);
    let mut begins = connect(stage.address);
    begins.write_all(b"GET /v1/status HTTP/1.1\r\nHost: loc").unwrap();
    let mut dribbles = connect(stage.address);
    dribbles.write_all(b"GET /v1/status HTTP/1.1\r\n").unwrap();
    let mut writer = dribbles.try_clone().unwrap();
    // One header after the other, as slowly as the test's own reads give out, until nobody takes them.
    let dribble = std::thread::spawn(move || {
        let (_never, pause) = crossbeam_channel::bounded::<()>(0);
        for at in 0..600 {
            if writer.write_all(format!("X-{at}: y\r\n").as_bytes()).is_err() {
                return at;
            }
            let _ = pause.recv_timeout(std::time::Duration::from_millis(500));
        }
        600
    });
    for mut slow in [says_nothing, begins, dribbles] {
        assert_eq!(Answer::of(&read_all(&mut slow)).status, 0);
    }
    assert!(dribble.join().unwrap() < 64, "it had to stop before it had sent as many headers as it may");
    let mut body = connect(stage.address);
    let lines = [&bearer(CONTROL), "Content-Length: 100"];
    body.write_all(&request("POST /v1/rules/reload", &lines)).unwrap();
    body.write_all(b"[[rules]]").unwrap();
    assert_eq!(Answer::of(&read_all(&mut body)).status, 408);
    assert!(healthy.end() > 0);
}

#[test]
fn others_cannot_ask_where_nobody_is_known() {
    let anywhere = Listen::At("0.0.0.0:0".to_owned());
    for refused in [bind(&anywhere), bind_for(&anywhere, &Access::default())] {
        let error = refused.err().unwrap();
        assert!(matches!(error, ServeError::Open(_)), "{error}");
        assert!(error.to_string().contains("[[http.tokens]]"), "{error}");
    }
    assert!(bind_for(&anywhere, &guarded()).unwrap().is_some());
}
