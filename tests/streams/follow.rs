//! `alerts follow` against servers that stop, come again, and hold another log than before.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tapedeck::alert::AlertId;
use tapedeck::feed::address::Address;
use tapedeck::follow::{Follow, FollowError, Form, follow};
use tapedeck::query::alerts::AlertFilter;
use tapedeck::schema::alerts::Generation;
use tapedeck::serve::Terms;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::client::number;
use crate::support::{DEADLINE, Served, alert, on};

/// What was written, and a way to wait for it.
#[derive(Clone)]
struct Written(Arc<Mutex<String>>, watch::Sender<usize>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = self.0.lock().unwrap().len();
        self.1.send_replace(length);
        Ok(())
    }
}

/// A client at work.
struct Client {
    out: Written,
    notes: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), FollowError>>,
}

fn options(served: &Served) -> Follow {
    Follow {
        address: Address::parse(&format!("http://{}", served.address)).unwrap(),
        ca: Vec::new(),
        token: None,
        filter: AlertFilter::default(),
        after: None,
        state_file: None,
        form: Form::Ndjson,
    }
}

impl Client {
    fn start(options: Follow) -> Client {
        let out = Written(Arc::default(), watch::Sender::new(0));
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (mut writer, noted) = (out.clone(), Arc::clone(&notes));
        let task = tokio::spawn(async move {
            let mut note = |text: &str| noted.lock().unwrap().push(text.to_owned());
            let stopped = async {
                let _ = stopped.await;
            };
            follow(&options, &mut writer, &mut note, stopped).await
        });
        Client { out, notes, stop, task }
    }

    fn printed(&self) -> Vec<Value> {
        let text = self.out.0.lock().unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.printed().iter().map(number).collect()
    }

    /// Waits until so many are printed.
    async fn has(&self, alerts: usize) {
        let mut flushed = self.out.1.subscribe();
        let waiting = flushed.wait_for(|_| self.out.0.lock().unwrap().lines().count() >= alerts);
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{:?} {:?}", self.numbers(), self.notes());
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

#[test]
fn it_comes_again_and_prints_each_alert_once() {
    on(Terms::default(), async |served| {
        served.tell(1..=20);
        let client = Client::start(options(served));
        client.has(20).await;
        served.tell(21..=22);
        client.has(22).await;
        served.stop_server().await.unwrap();
        served.tell(23..=30);
        served.serve_again();
        client.has(30).await;
        assert_eq!(client.numbers(), (1..=30).collect::<Vec<u64>>());
        let notes = client.notes();
        assert!(
            notes[0].starts_with("following ws://127.0.0.1:")
                && notes[0].ends_with("from the oldest alert on")
        );
        assert!(notes[1].starts_with("the server stops; coming again in "), "{notes:?}");
        assert!(
            notes.iter().any(|note| note.starts_with("following again") && note.ends_with("behind 1-22"))
        );
        client.end().await;
    });
}

#[test]
fn another_generation_is_said_and_nothing_is_printed_twice() {
    on(Terms::default(), async |served| {
        served.tell(1..=8);
        let client = Client::start(options(served));
        client.has(8).await;
        served.stop_server().await.unwrap();
        // 6 is another alert now, and what was 6 comes behind it.
        let mut other = alert(6);
        other.id = AlertId([99; 16]);
        served.put(6, &other);
        for number in 7..=9 {
            served.put(number, &alert(number - 1));
        }
        served.enter(Generation { number: 2, differs_from: 6 });
        served.tell(10..=10);
        served.serve_again();
        client.has(10).await;
        let cursors: Vec<Value> = client.printed().iter().skip(8).map(|row| row["cursor"].clone()).collect();
        assert_eq!(cursors, ["2-6", "2-10"], "what was printed is not printed again");
        let notes = client.notes();
        assert!(
            notes.iter().any(|note| note.contains("generation 2") && note.contains("behind 2-5")),
            "{notes:?}"
        );
        client.end().await;
    });
}

#[test]
fn what_is_no_longer_kept_is_said() {
    on(Terms::default(), async |served| {
        served.tell(1..=9);
        served.forget_before(5);
        let after = Some("1-2".parse().unwrap());
        let client = Client::start(Follow { after, ..options(served) });
        client.has(5).await;
        assert_eq!(client.numbers(), [5, 6, 7, 8, 9]);
        assert!(client.notes().contains(&"alerts 3 to 4 are no longer kept: they were missed".to_owned()));
        client.end().await;
    });
}

#[test]
fn the_state_file_holds_what_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("cursor");
    on(Terms::default(), async |served| {
        let filter = AlertFilter { rules: vec!["burst".to_owned()], ..AlertFilter::default() };
        let kept = Follow { state_file: Some(path.clone()), filter, ..options(served) };
        served.tell(1..=10);
        let first = Client::start(kept.clone());
        first.has(5).await;
        assert_eq!(first.numbers(), [2, 4, 6, 8, 10]);
        first.end().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1-10\n");
        served.tell(11..=14);
        let second = Client::start(kept);
        second.has(2).await;
        assert_eq!(second.numbers(), [12, 14]);
        second.end().await;
    });
}

#[test]
fn a_refusal_that_lasts_ends_it_with_the_reason() {
    on(Terms::default(), async |served| {
        let address = Address::parse(&format!("http://{}/elsewhere", served.address)).unwrap();
        let client = Client::start(Follow { address, ..options(served) });
        let error = client.task.await.unwrap().unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("/elsewhere/v1/alerts/stream refused with status 404: nothing is here"),
            "{said}"
        );
    });
}
