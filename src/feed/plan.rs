//! Which stream goes on which connection, by the venue's limits. Pure.

use feeds::live::{Live, Stream};

/// A connection that is there, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Which of the venue's routes it takes.
    pub route: usize,
    /// How many streams it has.
    pub streams: usize,
}

/// Streams for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The connection's place in the list of loads; beyond its end for a new one, in order.
    pub connection: usize,
    /// Which of the venue's routes it takes.
    pub route: usize,
    /// What is added to it.
    pub streams: Vec<Stream>,
}

/// Puts `streams` on connections that have room, then on new ones. No stream moves that is already placed. Streams of
/// channels that the venue has no route for are returned.
#[must_use]
pub fn place(live: &Live, loads: &[Load], streams: &[Stream]) -> (Vec<Placement>, Vec<Stream>) {
    let most = live.streams_per_connection.max(1);
    let mut loads = loads.to_vec();
    let mut placed: Vec<Placement> = Vec::new();
    let mut homeless = Vec::new();
    for stream in streams {
        let Some(route) = live.route(stream) else {
            homeless.push(stream.clone());
            continue;
        };
        let has_room = |load: &Load| load.route == route && load.streams < most;
        let connection = loads.iter().position(has_room).unwrap_or(loads.len());
        if connection == loads.len() {
            loads.push(Load { route, streams: 0 });
        }
        loads[connection].streams += 1;
        match placed.iter_mut().find(|placement| placement.connection == connection) {
            Some(placement) => placement.streams.push(stream.clone()),
            None => placed.push(Placement { connection, route, streams: vec![stream.clone()] }),
        }
    }
    placed.sort_by_key(|placement| placement.connection);
    (placed, homeless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use feeds::live::{Channel, Rate, Route};

    static LIVE: Live = Live {
        routes: &[
            Route { url: "wss://foo/trades", channels: &[Channel::Trades], ending: "" },
            Route { url: "wss://foo/quotes", channels: &[Channel::Quotes], ending: "" },
        ],
        streams_per_connection: 3,
        streams_per_request: 2,
        requests: Rate::new(1, 1),
        connects: Rate::new(1, 1),
        ping_seconds: None,
        dead_seconds: 30,
        lifetime_seconds: None,
    };

    fn trades(range: std::ops::Range<u32>) -> Vec<Stream> {
        range.map(|n| Stream::new(format!("S{n}"), Channel::Trades)).collect()
    }

    #[test]
    fn seven_streams_of_three_each_take_three_connections_and_channels_their_routes() {
        let mut streams = trades(0..7);
        streams.push(Stream::new("S0", Channel::Quotes));
        let (placed, homeless) = place(&LIVE, &[], &streams);
        let shape: Vec<(usize, usize, usize)> =
            placed.iter().map(|p| (p.connection, p.route, p.streams.len())).collect();
        assert_eq!(shape, [(0, 0, 3), (1, 0, 3), (2, 0, 1), (3, 1, 1)]);
        assert!(homeless.is_empty());
        let all: Vec<&Stream> = placed.iter().flat_map(|p| &p.streams).collect();
        assert_eq!(all, streams.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_added_fills_gaps_first_and_moves_nothing() {
        let loads =
            [Load { route: 0, streams: 3 }, Load { route: 1, streams: 0 }, Load { route: 0, streams: 1 }];
        let (placed, _) = place(&LIVE, &loads, &trades(0..3));
        let shape: Vec<(usize, usize)> = placed.iter().map(|p| (p.connection, p.streams.len())).collect();
        assert_eq!(shape, [(2, 2), (3, 1)]);
    }

    #[test]
    fn symbols_take_the_first_route_whose_ending_they_have() {
        static BY_ENDING: [Route; 2] =
            [Route { ending: "_USD", ..Route::all("wss://foo/btc") }, Route::all("wss://foo/rest")];
        let live = Live { routes: &BY_ENDING, ..LIVE };
        let streams = ["A_USD", "A_USDT", "B_USD"].map(|name| Stream::new(name, Channel::Trades));
        let (placed, _) = place(&live, &[], &streams);
        let names = |placement: &Placement| -> Vec<String> {
            placement.streams.iter().map(|stream| stream.native.clone()).collect()
        };
        let shape: Vec<(usize, Vec<String>)> = placed.iter().map(|p| (p.route, names(p))).collect();
        assert_eq!(
            shape,
            [(0, vec!["A_USD".to_owned(), "B_USD".to_owned()]), (1, vec!["A_USDT".to_owned()])]
        );
    }

    #[test]
    fn a_channel_without_a_route_is_returned() {
        let live = Live { routes: &LIVE.routes[..1], ..LIVE };
        let (placed, homeless) = place(&live, &[], &[Stream::new("S0", Channel::Quotes)]);
        assert_eq!((placed.len(), homeless.len()), (0, 1));
    }
}
