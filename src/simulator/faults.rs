//! What goes wrong on purpose, and when: scripts of faults by the number of the market's event, listed or from a seed.

use std::fmt;

use crate::market::random::Random;

/// What a frame of an `oversize` fault measures unless told otherwise: more than a careful client reads at once.
const OVERSIZE_BYTES: u64 = 20 << 20;
/// The largest frame that can be asked for.
const OVERSIZE_BYTES_MAX: u64 = 64 << 20;
/// Most faults of a script.
pub(super) const FAULTS_MAX: usize = 1_000;

/// A kind of fault, its name, and what its count means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Every connection ends without a word.
    Disconnect,
    /// Every connection goes on to exist, and nothing is sent or read on it.
    HalfOpen,
    /// All events of the symbol are kept back, while `count` events of the market pass.
    Silence,
    /// `count` trades are not sent; REST has them.
    Gap,
    /// `count` trades are sent twice.
    Duplicate,
    /// `count` trades are sent behind the next trade of their symbol.
    Reorder,
    /// `count` frames of rubbish.
    Garbage,
    /// One frame of `count` bytes.
    Oversize,
    /// `count` frames are sent slowly, one at a time.
    Slow,
    /// The venue warns, and ends every connection after `count` further events of the market.
    Shutdown,
    /// The venue's clock is `count` milliseconds ahead from here on.
    Skew,
    /// As [`Kind::Skew`], behind.
    Lag,
    /// From the connection of this number on, `count` are refused with 429 and `Retry-After`.
    TooMany,
    /// As [`Kind::TooMany`], with 503.
    Unavailable,
    /// From here on, without end, one fault in about `count` events; the number is the seed.
    Random,
    /// As [`Kind::Random`], with faults of every kind, those too that take a client a while to get over.
    Chaos,
}

/// Every kind by its name in scripts.
pub const KINDS: &[(&str, Kind)] = &[
    ("disconnect", Kind::Disconnect),
    ("half-open", Kind::HalfOpen),
    ("silence", Kind::Silence),
    ("gap", Kind::Gap),
    ("duplicate", Kind::Duplicate),
    ("reorder", Kind::Reorder),
    ("garbage", Kind::Garbage),
    ("oversize", Kind::Oversize),
    ("slow", Kind::Slow),
    ("shutdown", Kind::Shutdown),
    ("skew", Kind::Skew),
    ("lag", Kind::Lag),
    ("too-many", Kind::TooMany),
    ("unavailable", Kind::Unavailable),
    ("random", Kind::Random),
    ("chaos", Kind::Chaos),
];

/// What chance chooses from: faults that a client gets over.
pub(super) const BY_CHANCE: &[Kind] =
    &[Kind::Disconnect, Kind::Gap, Kind::Duplicate, Kind::Reorder, Kind::Garbage, Kind::Slow];

/// What chaos chooses from: everything.
pub(super) const OF_CHAOS: &[Kind] = &[
    Kind::Disconnect,
    Kind::HalfOpen,
    Kind::Silence,
    Kind::Gap,
    Kind::Duplicate,
    Kind::Reorder,
    Kind::Garbage,
    Kind::Oversize,
    Kind::Slow,
    Kind::Shutdown,
    Kind::Skew,
    Kind::Lag,
    Kind::TooMany,
    Kind::Unavailable,
];

/// One fault of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// At which event of the market, or which connection, counted from one; of [`Kind::Random`] and
    /// [`Kind::Chaos`], the seed.
    pub at: u64,
    /// How many, how long or how much, as the kind says.
    pub count: u64,
    /// Only this symbol's events, by its name on the wire.
    pub symbol: Option<String>,
}

/// A script of faults: `gap@100*5:BTCUSDT,disconnect@500`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(pub Vec<Fault>);

impl Script {
    /// Reads `KIND@NUMBER[*COUNT][:SYMBOL]`, several with commas between.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn parse(text: &str) -> Result<Script, String> {
        let faults: Result<Vec<Fault>, String> =
            text.split(',').filter(|part| !part.is_empty()).map(Fault::parse).collect();
        let faults = faults?;
        if faults.len() > FAULTS_MAX {
            return Err(format!("at most {FAULTS_MAX} faults"));
        }
        Ok(Script(faults))
    }

    /// The script for the venue in this place: chance begins at another seed at each.
    #[must_use]
    pub fn at_place(&self, place: u64) -> Script {
        let mut script = self.clone();
        for fault in script.0.iter_mut().filter(|fault| [Kind::Random, Kind::Chaos].contains(&fault.kind)) {
            fault.at = fault.at.wrapping_add(place);
        }
        script
    }

    /// What the connection of this number (from one) is refused with.
    #[must_use]
    pub fn refusal(&self, connection: u64) -> Option<Kind> {
        let kinds = [Kind::TooMany, Kind::Unavailable];
        let mut refusing = self.0.iter().filter(|fault| kinds.contains(&fault.kind));
        refusing
            .find(|fault| (fault.at..fault.at.saturating_add(fault.count)).contains(&connection))
            .map(|fault| fault.kind)
    }
}

impl Fault {
    fn parse(text: &str) -> Result<Fault, String> {
        let wrong = || format!("`{text}` is no fault; write KIND@NUMBER, KIND@NUMBER*COUNT or KIND@…:SYMBOL");
        let (name, rest) = text.split_once('@').ok_or_else(wrong)?;
        let kind = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("`{name}` is no fault; there are {}", names.join(", "))
        })?;
        let (rest, symbol) = match rest.split_once(':') {
            Some((rest, symbol)) if !symbol.is_empty() => (rest, Some(symbol.to_owned())),
            Some(_) => return Err(wrong()),
            None => (rest, None),
        };
        let (at, count) = match rest.split_once('*') {
            Some((at, count)) => (at, count.parse().map_err(|_| wrong())?),
            None => (rest, kind.usual_count()),
        };
        if kind == Kind::Oversize && count > OVERSIZE_BYTES_MAX {
            return Err(format!("`{text}`: at most {OVERSIZE_BYTES_MAX} bytes"));
        }
        if count == 0 && !kind.takes_nought() {
            return Err(format!("`{text}`: a count of 0 is no fault"));
        }
        Ok(Fault { kind, at: at.parse().map_err(|_| wrong())?, count, symbol })
    }
}

impl Kind {
    fn usual_count(self) -> u64 {
        match self {
            Kind::Oversize => OVERSIZE_BYTES,
            Kind::Shutdown => 0,
            Kind::Silence | Kind::Skew | Kind::Lag | Kind::Random | Kind::Chaos => 1_000,
            Kind::Slow => 10,
            _ => 1,
        }
    }

    /// True if a count of 0 says something: an end at once, a clock that is right again.
    fn takes_nought(self) -> bool {
        matches!(self, Kind::Shutdown | Kind::Skew | Kind::Lag)
    }

    /// Its name in scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// A count for a fault that chance chose.
    pub(super) fn chance_count(self, random: &mut Random) -> u64 {
        let most = match self {
            Kind::Oversize => return OVERSIZE_BYTES,
            Kind::Silence | Kind::Shutdown => 200,
            Kind::Skew | Kind::Lag => 3_000,
            _ => 5,
        };
        1 + random.below(most)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}*{}", self.kind.name(), self.at, self.count)?;
        self.symbol.as_ref().map_or(Ok(()), |symbol| write!(f, ":{symbol}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_checked_and_read_back() {
        for (text, said) in [
            ("gap", "write KIND@NUMBER"),
            ("gap@x", "write KIND@NUMBER"),
            ("gap@1*", "write KIND@NUMBER"),
            ("gap@1:", "write KIND@NUMBER"),
            ("gop@1", "there are disconnect"),
            ("oversize@1*100000000", "at most"),
            ("gap@10*0", "`gap@10*0`: a count of 0 is no fault"),
            ("too-many@1*0", "a count of 0"),
            ("chaos@7*0", "a count of 0"),
        ] {
            assert!(Script::parse(text).unwrap_err().contains(said), "{text}");
        }
        assert_eq!(Script::parse("shutdown@1*0,skew@2*0,lag@3*0").unwrap().0.len(), 3);
        let chance = Script::parse("random@7*50,gap@1").unwrap();
        assert_eq!(chance.at_place(2), Script::parse("random@9*50,gap@1").unwrap());
        let script = Script::parse("gap@3*2:A,too-many@2*3,unavailable@5").unwrap();
        let shown: Vec<String> = script.0.iter().map(Fault::to_string).collect();
        assert_eq!(Script::parse(&shown.join(",")).unwrap(), script);
        let refused: Vec<Option<Kind>> = (1..=6).map(|number| script.refusal(number)).collect();
        let (many, none) = (Some(Kind::TooMany), None);
        assert_eq!(refused, [none, many, many, many, Some(Kind::Unavailable), none]);
    }
}
