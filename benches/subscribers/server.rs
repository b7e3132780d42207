//! The served log, written at a steady pace, and the memory that its followers take.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use feeds::time::SECOND;
use tapedeck::alert::{Alert, AlertId, Severity, State};
use tapedeck::clock;
use tapedeck::config::{Catalogue, Config, Listen};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::schema::alerts::{encode, key};
use tapedeck::serve::{Server, bind};
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::{Batch, Family, Store};
use tapedeck::tape::Cut;
use tapedeck::view::{Facts, Viewer};

use super::client;
use crate::{Failure, Load};

/// What was measured of one crowd.
struct Measured {
    /// What the client process says, by name.
    client: Vec<(String, f64)>,
    /// Most resident bytes of this process, and most bytes of the kernel's TCP.
    memory: (u64, u64),
}

impl Measured {
    fn of(&self, name: &str) -> f64 {
        self.client.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// Both crowds in turn, and a table.
pub(crate) fn measure(subscribers: usize, seconds: u64, rate: u64) -> Result<(), Failure> {
    let (healthy, flapping) = (subscribers * 2 / 5, subscribers / 10);
    let alerts = seconds * rate;
    let crowd = Load { healthy, flapping, stalled: subscribers - healthy - flapping, after: 0, last: alerts };
    let served = Served::start()?;
    let empty = served.memory();
    let alone = served.tell(Load { stalled: 0, ..crowd }, rate)?;
    let beside = served.tell(Load { after: alerts, last: 2 * alerts, ..crowd }, rate)?;
    let row = |what: &str, figure: String, against: &str| println!("{what:<58} {figure:>12}   {against}");
    let what = format!("{healthy} of {subscribers}, {rate} alerts/s");
    for (name, words) in [("p50_us", "p50"), ("p99_us", "p99"), ("max_us", "most")] {
        row(
            &format!("delivery {words}, {what}"),
            format!("{:.0} µs", beside.of(name)),
            &format!("{:.0} µs without them", alone.of(name)),
        );
    }
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    for (words, [before, alone, beside]) in [
        ("process", [empty.0, alone.memory.0, beside.memory.0]),
        ("kernel's TCP, both ends", [empty.1, alone.memory.1, beside.memory.1]),
    ] {
        let each = beside.saturating_sub(before) as f64 / subscribers as f64 / 1024.0;
        row(
            &format!("most memory of the {words}"),
            mib(beside),
            &format!("{} without them, {} empty; {each:.1} KiB each", mib(alone), mib(before)),
        );
    }
    for (name, words) in [
        ("cut", "cut for not reading, all with their cursor"),
        ("resumed", "of these gone on to the end without a hole"),
        ("flaps", "connections of the flapping"),
    ] {
        row(words, format!("{:.0}", beside.of(name)), "");
    }
    served.end()
}

struct Served {
    deck: Deck,
    server: Server,
    store: Arc<dyn Store>,
    viewer: Arc<Viewer>,
}

impl Served {
    fn start() -> Result<Served, Failure> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = Config::standard(&Catalogue::built_in());
        let facts = Facts { checkpoint_every: config.engine.checkpoint_every, ..Facts::default() };
        let options = LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None };
        let deck = Deck::start(&store, &options, None)?;
        let viewer = Arc::new(Viewer::new(deck.pulse(), Arc::clone(&store), facts));
        let bound = bind(&Listen::At("127.0.0.1:0".to_owned()))?.ok_or("nothing to listen on")?;
        let server = bound.serve(Arc::clone(&viewer))?;
        Ok(Served { deck, server, store, viewer })
    }

    fn end(self) -> Result<(), Failure> {
        self.server.stop();
        self.deck.stop()?;
        Ok(())
    }

    /// Writes alerts at the pace while `load` follows, and hears what came of it.
    fn tell(&self, load: Load, rate: u64) -> Result<Measured, Failure> {
        let (mut child, mut lines) = self.followers(load)?;
        let mut ready = String::new();
        lines.read_line(&mut ready)?;
        if ready.trim() != "ready" {
            return Err("the followers did not come".into());
        }
        let every = SECOND / i64::try_from(rate)?;
        let (begin, mut memory) = (clock::wall(), self.memory());
        for number in load.after + 1..=load.last {
            let due = begin + every * i64::try_from(number - load.after)?;
            clock::wait(due - clock::wall());
            let mut batch = Batch::default();
            batch.put(Family::Alerts, key(number), encode(&alert(number, due)));
            self.store.commit(&batch, false)?;
            self.viewer.pulse().alerts().publish(number);
            if number % rate == 0 {
                let now = self.memory();
                memory = (memory.0.max(now.0), memory.1.max(now.1));
            }
        }
        let said: Vec<String> = lines.lines().collect::<Result<_, _>>()?;
        if !child.wait()?.success() {
            return Err("the followers failed".into());
        }
        let pairs = said.iter().filter_map(|line| line.split_once(' '));
        let client = pairs.map(|(name, value)| Ok((name.to_owned(), value.parse()?)));
        Ok(Measured { client: client.collect::<Result<_, Failure>>()?, memory })
    }

    fn followers(&self, load: Load) -> Result<(Child, BufReader<ChildStdout>), Failure> {
        let numbers = [load.healthy as u64, load.flapping as u64, load.stalled as u64, load.after, load.last];
        let mut child = Command::new(std::env::current_exe()?)
            .arg(client::ARGUMENT)
            .arg(self.server.address().to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no output of the followers")?;
        Ok((child, BufReader::new(out)))
    }

    /// Resident bytes of this process, and bytes of the kernel's TCP; 0 where the system does not say.
    fn memory(&self) -> (u64, u64) {
        let number = |text: String, before: &str| {
            let rest = text.split_once(before).map(|(_, rest)| rest.trim_start().to_owned());
            rest.and_then(|rest| rest.split_whitespace().next().and_then(|number| number.parse().ok()))
                .unwrap_or(0)
        };
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let sockets = read("/proc/net/sockstat");
        let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default().to_owned();
        (number(read("/proc/self/status"), "VmRSS:") * 1_024, number(tcp, " mem ") * 4_096)
    }
}

/// An alert of usual length, whose message is when it is due.
fn alert(number: u64, due: i64) -> Alert {
    Alert {
        id: AlertId([number as u8; 16]),
        state: State::Firing,
        rule: "burst".to_owned(),
        symbol: format!("here:SYM{:04}USDT", number % 1_000),
        severity: Severity::Warning,
        event_time: due,
        fired_at: Some(due),
        message: due.to_string(),
        labels: vec![("desk".to_owned(), "one".to_owned())],
        values: vec![
            ("volume[1s]".to_owned(), "1234.5678".to_owned()),
            ("mean(volume[1s], 60)".to_owned(), "246.9135".to_owned()),
        ],
        windows: Vec::new(),
        number,
        suppressed: None,
    }
}
