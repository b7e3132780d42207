//! Symbols that come and go while a run goes on, as a person asks for them.

use std::collections::BTreeSet;

use feeds::venue::Venue;
use serde::Deserialize;

use crate::config::limits::{SYMBOL_BYTES_ASKED, SYMBOLS_ASKED};
use crate::feed::Feeds;

/// What is asked for, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    add: Vec<String>,
    remove: Vec<String>,
}

/// The same, understood: venues and symbols as they are on the wire.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    add: Vec<(&'static str, String)>,
    remove: Vec<(&'static str, String)>,
}

/// Does what `text` asks for, and returns all symbols that are wanted then. What was there before the run and is in its
/// configuration is there again at the next start.
///
/// # Errors
/// What is wrong with it; nothing is changed then.
pub(super) async fn change(feeds: &Feeds, text: &str) -> Result<Vec<String>, String> {
    let wanted = feeds.wanted();
    let changes = understand(text, &wanted, &feeds.venues())?;
    for (venue, native) in &changes.remove {
        feeds.unsubscribe(venue, std::slice::from_ref(native), &feeds.channels(venue)).await;
    }
    // Those of a venue together: they share requests.
    for venue in feeds.venues() {
        let of_it = changes.add.iter().filter(|(of, _)| *of == venue.id());
        let natives: Vec<String> = of_it.map(|(_, native)| native.clone()).collect();
        if !natives.is_empty() {
            let channels = feeds.channels(venue.id());
            feeds.subscribe(venue.id(), &natives, &channels).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(feeds.wanted().into_iter().collect())
}

/// Reads `text`, where `wanted` are wanted of `venues`.
fn understand(
    text: &str,
    wanted: &BTreeSet<String>,
    venues: &[&'static dyn Venue],
) -> Result<Changes, String> {
    let asked: Asked = serde_json::from_str(text).map_err(|error| {
        format!(r#"write {{"add":["venue:SYMBOL"],"remove":["venue:SYMBOL"]}}, or one of them: {error}"#)
    })?;
    let count = asked.add.len() + asked.remove.len();
    if count > SYMBOLS_ASKED {
        return Err(format!("{count} symbols at once, {SYMBOLS_ASKED} are allowed"));
    }
    let read = |written: &Vec<String>| {
        written.iter().map(|symbol| read(symbol, venues)).collect::<Result<BTreeSet<_>, String>>()
    };
    let (add, remove) = (read(&asked.add)?, read(&asked.remove)?);
    if let Some((venue, native)) = add.intersection(&remove).next() {
        return Err(format!("{venue}:{native} is both to be added and to be removed"));
    }
    let is_wanted = |(venue, native): &(&str, String)| wanted.contains(&format!("{venue}:{native}"));
    let add: Vec<_> = add.into_iter().filter(|symbol| !is_wanted(symbol)).collect();
    let remove: Vec<_> = remove.into_iter().filter(|symbol| is_wanted(symbol)).collect();
    if add.is_empty() && remove.is_empty() {
        return Err(
            "nothing to do: what is to be added is wanted already, what is to be removed is not".to_owned()
        );
    }
    Ok(Changes { add, remove })
}

/// A symbol with its venue, which has a feed.
fn read(written: &str, venues: &[&'static dyn Venue]) -> Result<(&'static str, String), String> {
    let Some((id, native)) = written.split_once(':') else {
        return Err(format!("`{}` is no symbol; write venue:SYMBOL", written.escape_debug()));
    };
    let is_name = !native.is_empty()
        && native.len() <= SYMBOL_BYTES_ASKED
        && native.chars().all(|char| !char.is_whitespace() && !char.is_control());
    if !is_name {
        return Err(format!("`{}` is no symbol of a venue", written.escape_debug()));
    }
    match venues.iter().find(|venue| venue.id() == id) {
        Some(venue) => Ok((venue.id(), venue.native(native))),
        None => {
            let ids: Vec<&str> = venues.iter().map(|venue| venue.id()).collect();
            Err(format!("this run has no feed of `{}`; it has {}", id.escape_debug(), ids.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use feeds::venues::by_id;

    use super::*;

    fn understood(text: &str) -> Result<Changes, String> {
        let wanted = BTreeSet::from(["binance:BTCUSDT".to_owned(), "binance:ETHUSDT".to_owned()]);
        understand(text, &wanted, &[by_id("binance").unwrap(), by_id("kraken").unwrap()])
    }

    #[test]
    fn what_is_wanted_already_is_passed_over_and_names_are_those_of_the_wire() {
        let text =
            r#"{"add":["binance:solusdt","binance:BTCUSDT","kraken:BTC/USD"],"remove":["binance:ETHUSDT"]}"#;
        let add = vec![("binance", "SOLUSDT".to_owned()), ("kraken", "BTC/USD".to_owned())];
        assert_eq!(understood(text), Ok(Changes { add, remove: vec![("binance", "ETHUSDT".to_owned())] }));
    }

    #[test]
    fn what_cannot_be_is_said_and_changes_nothing() {
        let many: Vec<String> = (0..=SYMBOLS_ASKED).map(|n| format!("\"binance:S{n}\"")).collect();
        for (text, why) in [
            ("", "write {\"add\""),
            (r#"{"more":[]}"#, "unknown field `more`"),
            (r#"{"add":["BTCUSDT"]}"#, "`BTCUSDT` is no symbol; write venue:SYMBOL"),
            (r#"{"add":["binance:"]}"#, "is no symbol of a venue"),
            (r#"{"add":["binance:A B"]}"#, "is no symbol of a venue"),
            (r#"{"add":["binance:A\n"]}"#, "`binance:A\\n` is no symbol of a venue"),
            (r#"{"add":["okx:BTC-USDT"]}"#, "no feed of `okx`; it has binance, kraken"),
            (r#"{"add":["binance:A"],"remove":["binance:a"]}"#, "binance:A is both"),
            (r#"{"add":["binance:BTCUSDT"],"remove":["binance:XRPUSDT"]}"#, "nothing to do"),
            ("{}", "nothing to do"),
            (&format!("{{\"add\":[{}]}}", many.join(",")), "symbols at once"),
        ] {
            let said = understood(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
