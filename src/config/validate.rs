//! From what the user wrote to what the engine uses; whatever does not hold becomes a problem with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use feeds::number::Decimal;
use feeds::symbol::Symbol;
use feeds::time::Nanos;
use toml::Spanned;

use super::catalogue::{Catalogue, LATER_KINDS, WINDOW_KINDS};
use super::duration::{self, format};
use super::nearest::advice;
use super::problem::Problems;
use super::raw::{Raw, RawEngine, RawFeed, RawGroup, RawInstrument, RawWindow, Text};
use super::{
    Config, Cut, DEFAULT_SET, Durability, Engine, FeedSpec, Group, Instrument, Listen, WindowSpec, limits,
    standard_windows,
};
use crate::feed::address::Address;

/// Checks one file against the names that there are.
pub(super) struct Checker<'a> {
    pub(super) problems: &'a Problems<'a>,
    pub(super) names: &'a Catalogue,
}

impl Checker<'_> {
    /// The configuration; only as good as there are no problems.
    pub(super) fn config(&self, raw: &Raw) -> Config {
        let windows = self.windows(&raw.windows);
        Config {
            engine: self.engine(&raw.engine),
            listen: raw.http.listen.as_ref().and_then(|text| self.listen(text)).unwrap_or_default(),
            access: self.access(&raw.http),
            rules: self.rules(&raw.rules, &windows),
            windows,
            feeds: raw.feeds.iter().filter_map(|feed| self.feed(feed)).collect(),
            instruments: self.instruments(&raw.instruments),
            groups: self.groups(&raw.groups),
            sinks: self.sinks(&raw.sinks, &raw.rules.rules),
        }
    }

    fn engine(&self, raw: &RawEngine) -> Engine {
        let default = Engine::default();
        let within = |field: &Option<Text>, range, default| {
            field.as_ref().and_then(|text| self.duration(text, range)).unwrap_or(default)
        };
        let entries_range = limits::CHECKPOINT_ENTRIES_RANGE;
        let entries = raw.checkpoint_entries.as_ref().and_then(|n| self.integer(n, entries_range));
        let kept = raw.alerts_kept.as_ref().and_then(|n| self.integer(n, limits::ALERTS_KEPT_RANGE));
        let workers = raw.workers.as_ref().and_then(|n| self.integer(n, (1, limits::WORKERS_MAX as u64)));
        Engine {
            db: raw
                .db
                .as_ref()
                .and_then(|db| self.path(db, "`db` is empty; name a directory, such as \"data\"")),
            ca: raw
                .ca
                .as_ref()
                .and_then(|ca| self.path(ca, "`ca` is empty; name a file, such as \"ca.pem\"")),
            lateness: within(&raw.lateness, (0, limits::LATENESS_MAX), default.lateness),
            max_ahead: within(&raw.max_ahead, (0, limits::MAX_AHEAD_MAX), default.max_ahead),
            idle: within(&raw.idle, limits::IDLE_RANGE, default.idle),
            workers: workers.and_then(|n| usize::try_from(n).ok()),
            checkpoint_every: within(
                &raw.checkpoint_every,
                limits::CHECKPOINT_EVERY_RANGE,
                default.checkpoint_every,
            ),
            checkpoint_entries: entries.unwrap_or(default.checkpoint_entries),
            alerts_kept: kept.unwrap_or(default.alerts_kept),
            sync: raw.sync.as_ref().map_or(default.sync, |sync| self.durability(sync)),
        }
    }

    fn listen(&self, text: &Text) -> Option<Listen> {
        let parsed = Listen::parse(text.get_ref());
        parsed.map_err(|message| self.problems.add(text.span(), message)).ok()
    }

    fn path(&self, text: &Text, if_empty: &str) -> Option<PathBuf> {
        if text.get_ref().is_empty() {
            self.problems.add(text.span(), if_empty);
            return None;
        }
        Some(PathBuf::from(text.get_ref()))
    }

    fn durability(&self, text: &Text) -> Durability {
        match text.get_ref().as_str() {
            "default" => return Durability::Default,
            "always" => return Durability::Always,
            other => {
                let advice = advice(other, ["default", "always"]);
                self.problems.add(text.span(), format!("unknown `sync` \"{other}\"; {advice}"));
            }
        }
        Durability::Default
    }

    /// A duration from `least` to `most`.
    pub(super) fn duration(&self, text: &Text, (least, most): (Nanos, Nanos)) -> Option<Nanos> {
        match duration::parse(text.get_ref()) {
            Ok(nanos) if (least..=most).contains(&nanos) => return Some(nanos),
            Ok(_) => {
                let (least, most) = (format(least), format(most));
                let message = format!("`{}` is not between {least} and {most}", text.get_ref());
                self.problems.add(text.span(), message);
            }
            Err(error) => self.problems.add(text.span(), error.to_string()),
        }
        None
    }

    pub(super) fn integer(&self, number: &Spanned<i64>, (least, most): (u64, u64)) -> Option<u64> {
        let value = u64::try_from(*number.get_ref()).ok().filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let message = format!("{} is not between {least} and {most}", number.get_ref());
            self.problems.add(number.span(), message);
        }
        value
    }

    pub(super) fn required<'t>(
        &self,
        field: &'t Option<Text>,
        key: &str,
        span: &Range<usize>,
    ) -> Option<&'t Text> {
        let text = field.as_ref().filter(|text| !text.get_ref().is_empty());
        if let (None, Some(empty)) = (text, field) {
            self.problems.add(empty.span(), format!("`{key}` is empty"));
        } else if text.is_none() {
            self.problems.add(span.clone(), format!("`{key}` is missing here"));
        }
        text
    }

    /// A name that outputs, URLs and rules can hold without quotes.
    pub(super) fn name(&self, field: &Option<Text>, span: &Range<usize>) -> Option<Text> {
        let name = self.required(field, "name", span)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let text = name.get_ref();
        if text.len() > limits::NAME_BYTES_MAX || !text.chars().all(plain) {
            let message = format!(
                "a name has letters, digits, `_`, `-` and `.`, at most {} of them",
                limits::NAME_BYTES_MAX
            );
            self.problems.add(name.span(), message);
            return None;
        }
        Some(name.clone())
    }

    /// Notes each name that was there before.
    pub(super) fn unique<'t>(&self, what: &str, names: impl Iterator<Item = &'t Text>) {
        let mut seen: BTreeMap<&str, &Text> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.get(name.get_ref().as_str()) {
                let line = self.problems.line_of(first.span().start);
                let message = format!("{what} `{}` is there already, in line {line}", name.get_ref());
                self.problems.add(name.span(), message);
            } else {
                seen.insert(name.get_ref(), name);
            }
        }
    }

    pub(super) fn windows(&self, raw: &[RawWindow]) -> Vec<WindowSpec> {
        if raw.is_empty() {
            return standard_windows(self.names);
        }
        self.unique("window", raw.iter().filter_map(|window| window.name.as_ref()));
        if let Some(first) = raw.get(limits::WINDOWS_MAX) {
            let message = format!("{} windows; at most {} are kept", raw.len(), limits::WINDOWS_MAX);
            self.problems.add(first.span.clone(), message);
        }
        raw.iter().filter_map(|window| self.window(window)).collect()
    }

    fn window(&self, raw: &RawWindow) -> Option<WindowSpec> {
        let name = self.name(&raw.name, &raw.span);
        let kind = self.kind(raw.kind.as_ref());
        let stats = self.stats(raw.stats.as_ref());
        let size = match kind {
            // What `size` means depends on the kind.
            None => None,
            Some(Cut::Tumbling) => self.size(name.as_ref(), raw),
        };
        Some(WindowSpec { name: name?.into_inner(), kind: kind?, size: size?, stats })
    }

    fn kind(&self, raw: Option<&Text>) -> Option<Cut> {
        let Some(raw) = raw else { return Some(Cut::Tumbling) };
        let text = raw.get_ref().as_str();
        if text == Cut::Tumbling.name() {
            return Some(Cut::Tumbling);
        }
        let available: Vec<&str> = WINDOW_KINDS.iter().map(|kind| kind.name).collect();
        let message = if LATER_KINDS.contains(&text) {
            format!("kind `{text}` is not available yet; available: {}", available.join(", "))
        } else {
            format!("unknown kind `{text}`; {}", advice(text, available))
        };
        self.problems.add(raw.span(), message);
        None
    }

    /// The size: what `size` says, or the name where that is a duration. They must not contradict each other.
    fn size(&self, name: Option<&Text>, raw: &RawWindow) -> Option<Nanos> {
        let range = (limits::WINDOW_SIZE_MIN, limits::WINDOW_SIZE_MAX);
        let named = name.and_then(|name| duration::parse(name.get_ref()).ok().map(|size| (name, size)));
        let Some(size) = &raw.size else {
            return match (named, name) {
                (Some((name, _)), _) => self.duration(name, range),
                (None, Some(name)) => {
                    self.sizeless(name);
                    None
                }
                (None, None) => None,
            };
        };
        let nanos = self.duration(size, range)?;
        if let Some((name, other)) = named.filter(|(_, other)| *other != nanos) {
            let message = format!(
                "window `{}` has the size {}; a name that is a duration says the size ({})",
                name.get_ref(),
                size.get_ref(),
                format(other)
            );
            self.problems.add(size.span(), message);
            return None;
        }
        Some(nanos)
    }

    fn sizeless(&self, name: &Text) {
        let text = name.get_ref();
        let message = match duration::parse(text) {
            Err(duration::DurationError::Misspelt { nearest, .. }) => {
                format!("window `{text}` has no size: write name = \"{nearest}\", or add `size`")
            }
            _ => format!("window `{text}` has no size: add one, such as size = \"10s\""),
        };
        self.problems.add(name.span(), message);
    }

    fn stats(&self, raw: Option<&Spanned<Vec<Text>>>) -> Vec<&'static str> {
        let Some(raw) = raw else { return self.names.expand(DEFAULT_SET).unwrap_or_default() };
        if raw.get_ref().is_empty() {
            self.problems.add(raw.span(), "`stats` is empty; without it a window has the set `bar`");
        }
        let mut stats = Vec::new();
        for name in raw.get_ref() {
            let Some(members) = self.names.expand(name.get_ref()) else {
                let advice = advice(name.get_ref(), self.names.stat_names());
                let message = format!("unknown statistic or set `{}`; {advice}", name.get_ref());
                self.problems.add(name.span(), message);
                continue;
            };
            for member in members {
                if !stats.contains(&member) {
                    stats.push(member);
                }
            }
        }
        stats
    }

    /// The channels of a venue, if there is such a venue.
    fn venue(&self, id: &str, span: Range<usize>) -> Option<&'static [&'static str]> {
        let channels = self.names.channels(id);
        if channels.is_none() {
            let advice = advice(id, self.names.venue_ids());
            self.problems.add(span, format!("unknown venue `{id}`; {advice}"));
        }
        channels
    }

    fn feed(&self, raw: &RawFeed) -> Option<FeedSpec> {
        let venue = self.required(&raw.venue, "venue", &raw.span);
        let available = venue.and_then(|venue| self.venue(venue.get_ref(), venue.span()));
        let symbols = match &raw.symbols {
            Some(symbols) => self.native_symbols(venue, symbols),
            None => {
                self.problems.add(raw.span.clone(), "`symbols` is missing here");
                Vec::new()
            }
        };
        let channels = self.channels(available?, raw.channels.as_ref());
        let url = raw.url.as_ref().and_then(|url| self.url(url));
        let silence = raw.silence.as_ref().and_then(|text| self.duration(text, limits::SILENCE_RANGE));
        let silence = silence.unwrap_or(limits::SILENCE);
        Some(FeedSpec { venue: venue?.get_ref().clone(), symbols, channels, url, silence })
    }

    fn url(&self, text: &Text) -> Option<String> {
        if let Err(error) = Address::parse(text.get_ref()) {
            self.problems.add(text.span(), error.to_string());
            return None;
        }
        Some(text.get_ref().clone())
    }

    fn native_symbols(&self, venue: Option<&Text>, raw: &Spanned<Vec<Text>>) -> Vec<String> {
        if raw.get_ref().is_empty() {
            self.problems.add(raw.span(), "`symbols` is empty; name at least one");
        }
        self.unique("symbol", raw.get_ref().iter());
        for symbol in raw.get_ref() {
            let text = symbol.get_ref();
            let native =
                venue.and_then(|venue| text.strip_prefix(venue.get_ref().as_str())?.strip_prefix(':'));
            if let Some(native) = native {
                let message = format!("the venue is said already; write the native name, `{native}`");
                self.problems.add(symbol.span(), message);
            } else if text.is_empty() || text.chars().any(char::is_whitespace) {
                self.problems.add(symbol.span(), format!("`{text}` is not a symbol's name on the wire"));
            }
        }
        raw.get_ref().iter().map(|symbol| symbol.get_ref().clone()).collect()
    }

    fn channels(&self, available: &[&'static str], raw: Option<&Spanned<Vec<Text>>>) -> Vec<String> {
        let Some(raw) = raw else { return available.iter().map(|&channel| channel.to_owned()).collect() };
        if raw.get_ref().is_empty() {
            self.problems.add(raw.span(), "`channels` is empty; without it a feed has all of its venue's");
        }
        self.unique("channel", raw.get_ref().iter());
        for channel in raw.get_ref().iter().filter(|c| !available.contains(&c.get_ref().as_str())) {
            let advice = advice(channel.get_ref(), available.iter().copied());
            self.problems.add(channel.span(), format!("unknown channel `{}`; {advice}", channel.get_ref()));
        }
        raw.get_ref().iter().map(|channel| channel.get_ref().clone()).collect()
    }

    /// `venue:NATIVE` of a venue that there is.
    fn symbol(&self, text: &Text) -> Option<Symbol> {
        let Some(symbol) = Symbol::parse(text.get_ref()) else {
            let message = format!(
                "`{}` is not a symbol; write venue:NATIVE, the native part as on the wire",
                text.get_ref()
            );
            self.problems.add(text.span(), message);
            return None;
        };
        self.venue(symbol.venue(), text.span())?;
        Some(symbol)
    }

    fn instruments(&self, raw: &[RawInstrument]) -> Vec<Instrument> {
        self.unique("instrument", raw.iter().filter_map(|instrument| instrument.symbol.as_ref()));
        raw.iter().filter_map(|instrument| self.instrument(instrument)).collect()
    }

    fn instrument(&self, raw: &RawInstrument) -> Option<Instrument> {
        let multiplier = raw.multiplier.as_ref().and_then(|number| self.positive(number));
        let tick = raw.tick.as_ref().and_then(|number| self.positive(number));
        let lot = raw.lot.as_ref().and_then(|number| self.positive(number));
        let scale_max = u64::from(feeds::number::SCALE_MAX);
        let scale = raw.scale.as_ref().and_then(|scale| self.integer(scale, (0, scale_max)));
        let symbol =
            self.required(&raw.symbol, "symbol", &raw.span).and_then(|symbol| self.symbol(symbol))?;
        let scale = scale.and_then(|scale| u8::try_from(scale).ok());
        Some(Instrument { symbol, multiplier, inverse: raw.inverse.unwrap_or(false), tick, lot, scale })
    }

    fn positive(&self, text: &Text) -> Option<Decimal> {
        match Decimal::parse(text.get_ref().as_bytes()) {
            Ok(number) if number > Decimal::ZERO => return Some(number),
            Ok(_) => self.problems.add(text.span(), format!("{} is not above zero", text.get_ref())),
            Err(error) => self.problems.add(text.span(), format!("`{}`: {error}", text.get_ref())),
        }
        None
    }

    fn groups(&self, raw: &[RawGroup]) -> Vec<Group> {
        self.unique("group", raw.iter().filter_map(|group| group.name.as_ref()));
        raw.iter().filter_map(|group| self.group(group)).collect()
    }

    fn group(&self, raw: &RawGroup) -> Option<Group> {
        let name = self.name(&raw.name, &raw.span);
        let Some(symbols) = &raw.symbols else {
            self.problems.add(raw.span.clone(), "`symbols` is missing here");
            return None;
        };
        self.unique("symbol", symbols.get_ref().iter());
        let symbols = symbols.get_ref().iter().filter_map(|symbol| self.symbol(symbol)).collect();
        Some(Group { name: name?.into_inner(), symbols })
    }
}
