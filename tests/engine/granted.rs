//! A stream that was granted and has brought nothing is carried all the same: what that means for the end of a connection
//! is one answer live and replayed, though a replay has sent no request whose number the venue's answer names.

use feeds::frame::Frame;
use feeds::live::{Channel, Notice, Stream};
use feeds::recording::{Alarm, Answer, Wish};
use feeds::symbol::SymbolTable;
use feeds::time::{Nanos, SECOND};
use feeds::venue::Output;
use feeds::venues::by_id;
use tapedeck::feed::delivery::{ConnectionId, Delivery};
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::store::Family;
use tapedeck::symbol::outages::{Cause, Stretch};
use tapedeck::tape::Cut;

use crate::live::{Connection, live_options, recording, run_live};
use crate::made::{capture_trade, config, native_of};
use crate::support::{assert_same, dump_of, dumped, lines, options};

const START: i64 = 1_700_000_000 * SECOND;

/// A trade of the symbol, in its second.
fn trade(second: i64) -> (i64, Vec<u8>) {
    let line =
        capture_trade(0, u64::try_from(second).unwrap(), START + second * SECOND, START + second * SECOND);
    let space = line.iter().position(|byte| *byte == b' ').unwrap();
    (START + second * SECOND, line[space + 1..].trim_ascii_end().to_vec())
}

fn answer(connection: u32, granted: bool) -> Delivery {
    let streams = vec![Stream::new(native_of(0), Channel::Trades)];
    let (connection, answer) = (ConnectionId(connection), Answer { streams, granted });
    Delivery::Answer { connection, answer, received_at: START }
}

/// The stretches of a live run of these deliveries, whose replay must say the same.
fn stretches(deliveries: Vec<Delivery>) -> Vec<Stretch> {
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), deliveries, &live_options(2, Cut::Adaptive));
    let replay = ReplayOptions { config: config(true), ..options() };
    assert_same(&dump_of(&recording(folder.path()), &replay), &dumped(&store), "the replay");
    let pairs = store.scan(Family::Gaps, &[], None).map(|pair| pair.unwrap());
    let missing = pairs.map(|(key, value)| gaps::decode(&key, &value).unwrap().1);
    let stretches = missing.filter_map(|missing| match missing {
        Missing::Stretch(stretch) if stretch.cause != Cause::Start => Some(stretch),
        _ => None,
    });
    stretches.collect()
}

/// What was out because connections ended.
fn outages(deliveries: Vec<Delivery>) -> Vec<Channel> {
    let stretches = stretches(deliveries).into_iter();
    stretches.filter(|it| it.cause == Cause::Connection).map(|it| it.channel).collect()
}

/// Trades came on the first connection, and are asked for on a second one, which is told `answers`, before the first ends;
/// the second ends, too, if `ends`.
fn replaced(answers: &[bool], ends: bool) -> Vec<Channel> {
    let binance = by_id("binance").unwrap();
    let (mut old, opened) = Connection::open(1, binance, START);
    let mut deliveries = vec![opened, answer(1, true), old.frames(&[trade(1), trade(2)])];
    let (new, opened) = Connection::open(2, binance, START);
    deliveries.push(opened);
    deliveries.extend(answers.iter().map(|&granted| answer(2, granted)));
    deliveries.push(old.close(START + 3 * SECOND));
    deliveries.extend(ends.then(|| new.close(START + 4 * SECOND)));
    outages(deliveries)
}

#[test]
fn a_successor_to_which_it_was_granted_takes_over_before_it_brings_anything() {
    assert_eq!(replaced(&[true], false), []);
    for not in [&[][..], &[false], &[true, false]] {
        assert_eq!(replaced(not, false), [Channel::Trades], "{not:?}");
    }
    assert_eq!(replaced(&[false, true], false), [], "asked for again");
}

#[test]
fn what_was_granted_and_brought_nothing_is_out_when_its_connection_ends() {
    assert_eq!(replaced(&[true], true), [Channel::Trades]);
}

/// Why the answers are entries: without them a replay could not know.
#[test]
fn an_answer_by_number_tells_nothing_to_who_has_not_asked() {
    let heard = |asks: bool| {
        let binance = by_id("binance").unwrap();
        let (mut session, mut out) = (binance.open(), Output::default());
        if asks {
            session.subscribe(&[Stream::new(native_of(0), Channel::Quotes)], START, &mut out);
        }
        let frame = Frame { received_at: Some(START), payload: br#"{"result":null,"id":1}"# };
        session.on_frame(frame, &mut SymbolTable::new(binance.id()), &mut out);
        out.notices
    };
    assert_eq!(heard(true), [Notice::Acknowledged(vec![Stream::new(native_of(0), Channel::Quotes)])]);
    assert_eq!(heard(false), []);
}

/// Its trades have no ids: while two connections bring them, nothing but their content shows which are the same.
#[test]
fn what_two_connections_bring_counts_once_where_nothing_numbers_it() {
    let phemex = by_id("phemex").unwrap();
    let trades = |first: i64, many: i64| {
        let frames = (first..first + many).map(|at| {
            let ts = START + at * SECOND / 4;
            let trade = format!("[{ts},\"Buy\",\"100.{at}\",\"0.5\"]");
            let text = format!(
                "{{\"dts\":{ts},\"mts\":{ts},\"sequence\":{at},\"symbol\":\"FOOUSDT\",\"trades_p\":[{trade},{trade}],\
                 \"type\":\"incremental\"}}"
            );
            (ts, text.into_bytes())
        });
        frames.collect::<Vec<_>>()
    };
    let (mut old, opened) = Connection::open(1, phemex, START);
    let mut deliveries = vec![opened, old.frames(&trades(0, 8))];
    let (mut new, opened) = Connection::open(2, phemex, START);
    deliveries.extend([
        opened,
        new.frames(&trades(8, 4)),
        old.frames(&trades(8, 8)),
        new.frames(&trades(12, 6)),
    ]);
    deliveries.push(old.close(START + 5 * SECOND));
    deliveries.push(new.frames(&trades(18, 2)));
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), deliveries, &live_options(2, Cut::Adaptive));
    let replay = ReplayOptions { config: config(true), ..options() };
    assert_same(&dump_of(&recording(folder.path()), &replay), &dumped(&store), "the replay");
    let dump = dumped(&store);
    let windows = lines(&dump, "window,1s,phemex:FOOUSDT,");
    assert_eq!(windows.len(), 5);
    assert!(windows.iter().all(|line| line.contains(",trades=8,")), "{windows:?}");
}

/// A symbol is often removed because it is silent. It must not be stale for ever then, and what its connection loses later
/// is not missing of it.
#[test]
fn what_is_not_wanted_any_more_is_not_missing_any_more() {
    let removed = |is_wanted: bool| {
        let (mut connection, opened) = Connection::open(1, by_id("binance").unwrap(), START);
        let stream = Stream::new(native_of(0), Channel::Trades);
        let (id, received_at) = (ConnectionId(1), START + 3 * SECOND);
        let mut deliveries = vec![opened, connection.frames(&[trade(1), trade(2)])];
        let alarm =
            Alarm { stream: Some(stream.clone()), since: START + 2 * SECOND, what: "silent".to_owned() };
        deliveries.push(Delivery::Alarm { connection: id, alarm, received_at });
        let wish = Wish { stream, wanted: is_wanted };
        deliveries.push(Delivery::Wish { connection: id, wish, received_at });
        deliveries.push(connection.frames(&[(received_at, b"torn".to_vec())]));
        deliveries.push(connection.close(received_at));
        stretches(deliveries)
            .iter()
            .filter(|it| it.channel == Channel::Trades)
            .map(|it| (it.cause, it.to))
            .collect()
    };
    let left: Vec<(Cause, Nanos)> = removed(false);
    assert_eq!(left, [(Cause::Silence, START + 2 * SECOND)], "over");
    let right: Vec<(Cause, Nanos)> = removed(true);
    assert_eq!(right.iter().filter(|(_, to)| *to == Nanos::MAX).count(), 2, "{right:?}");
}
