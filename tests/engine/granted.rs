//! A stream that was granted and has brought nothing is carried all the same: what that means for the end of a connection
//! is one answer live and replayed, though a replay has sent no request whose number the venue's answer names.

use feeds::frame::Frame;
use feeds::live::{Channel, Notice, Stream};
use feeds::recording::Answer;
use feeds::symbol::SymbolTable;
use feeds::time::SECOND;
use feeds::venue::Output;
use feeds::venues::by_id;
use tapedeck::feed::delivery::{ConnectionId, Delivery};
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::store::Family;
use tapedeck::symbol::outages::Cause;
use tapedeck::tape::Cut;

use crate::live::{Connection, live_options, recording, run_live};
use crate::made::{capture_trade, config, native_of};
use crate::support::{assert_same, dump_of, dumped, options};

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

/// What is out according to a live run of these deliveries, whose replay must say the same.
fn outages(deliveries: Vec<Delivery>) -> Vec<Channel> {
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), deliveries, &live_options(2, Cut::Adaptive));
    let replay = ReplayOptions { config: config(true), ..options() };
    assert_same(&dump_of(&recording(folder.path()), &replay), &dumped(&store), "the replay");
    let pairs = store.scan(Family::Gaps, &[], None).map(|pair| pair.unwrap());
    let missing = pairs.map(|(key, value)| gaps::decode(&key, &value).unwrap().1);
    let stretches = missing.filter_map(|missing| match missing {
        Missing::Stretch(stretch) if stretch.cause == Cause::Connection => Some(stretch.channel),
        _ => None,
    });
    stretches.collect()
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
