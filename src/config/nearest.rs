//! The name that was probably meant.

/// The name of `known` that is nearest to `word`, if any is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace([' ', '-'], "_");
    // Half a name is nearer than another name of its length: `volatility` means `realized_volatility`.
    let distance = |name: &str| {
        let name = name.to_lowercase().replace('-', "_");
        let part = word.len() >= 4 && name.len() >= 4 && (name.contains(&word) || word.contains(&name));
        let edits = strsim::damerau_levenshtein(&word, &name);
        (if part { edits.min(1) } else { edits }, edits)
    };
    let allowed = word.chars().count().div_ceil(3);
    let near = known.into_iter().map(|name| (distance(name), name)).filter(|((far, _), _)| *far <= allowed);
    near.min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// What to say behind "unknown …": the nearest name, or all names where none is near.
#[must_use]
pub fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(name) => format!("the nearest is `{name}`"),
        None => format!("available: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["open", "volume", "vwap", "binance", "binance-us", "realized_volatility"];

    #[test]
    fn near_names_are_found_and_far_ones_not() {
        for (word, expected) in [
            ("vwp", Some("vwap")),
            ("Volume", Some("volume")),
            ("binanse", Some("binance")),
            ("binance_us", Some("binance-us")),
            ("volatility", Some("realized_volatility")),
            ("opne", Some("open")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, NAMES), expected, "{word}");
        }
        assert_eq!(advice("zzz", ["open", "vwap"]), "available: open, vwap");
    }
}
