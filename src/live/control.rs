//! What a person asks of a run while it runs.

use std::rc::Rc;

use feeds::time::{self, Nanos};
use tokio::sync::{mpsc, oneshot};

use super::symbols;
use crate::clock;
use crate::config::limits::COMMANDS_WAITING;
use crate::config::rules::SilenceSpec;
use crate::config::{Catalogue, Config, ConfigError, RulesSpec, WindowSpec};
use crate::feed::Feeds;
use crate::feed::delivery::Delivery;

/// One wish. Rules are granted when they are an entry of the tape, symbols when the connections know of them.
#[derive(Debug)]
pub enum Command {
    /// Other rules from now on.
    Reload {
        /// A configuration, of which the rules are taken, or a file of rules alone.
        text: String,
        /// The number of the tape entry from which on they hold; or what is wrong with them, and all stays as it is.
        answer: oneshot::Sender<Result<u64, String>>,
    },
    /// Silences beside those that are there.
    Silence {
        /// `[[silences]]`.
        text: String,
        /// As above.
        answer: oneshot::Sender<Result<u64, String>>,
    },
    /// Other symbols beside those that are there, or no more of some.
    Symbols {
        /// `{"add":["venue:SYMBOL"],"remove":["venue:SYMBOL"]}`.
        text: String,
        /// The symbols that are wanted from now on; or what is wrong, and all stays as it is.
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    },
}

/// Commands as they come, made deliveries.
pub struct Commands {
    pub(super) asked: mpsc::Receiver<Command>,
    pub(super) windows: Vec<WindowSpec>,
    /// The rules in force, as text.
    pub(super) rules: String,
}

impl Commands {
    /// To a run with the windows of `config` that begins with `rules`, and where to give them.
    #[must_use]
    pub fn about(config: &Config, rules: &str) -> (mpsc::Sender<Command>, Commands) {
        let (control, asked) = mpsc::channel(COMMANDS_WAITING);
        let (windows, rules) = (config.windows.clone(), rules.to_owned());
        (control, Commands { asked, windows, rules })
    }

    /// Makes what is asked for an entry of the tape, until nobody can ask any more.
    /// Symbols come and go on `venues`.
    pub async fn grant(mut self, deliveries: mpsc::Sender<Delivery>, venues: Option<Rc<Feeds>>) {
        while let Some(command) = self.asked.recv().await {
            let (rules, answer) = match command {
                Command::Reload { text, answer } => {
                    let rules = rules_of("the rules", &text, &self.windows);
                    (rules.map(|rules| carried(rules, &self.rules, &self.windows, clock::wall())), answer)
                }
                Command::Silence { text, answer } => (self.silenced(&text, clock::wall()), answer),
                Command::Symbols { text, answer } => {
                    let changed = match &venues {
                        Some(feeds) => symbols::change(feeds, &text).await,
                        None => Err("this run has no feeds".to_owned()),
                    };
                    // Who asked may be gone.
                    let _ = answer.send(changed);
                    continue;
                }
            };
            let text = match rules {
                Ok(rules) => rules.text(),
                Err(why) => {
                    // Who asked may be gone.
                    let _ = answer.send(Err(why));
                    continue;
                }
            };
            self.rules.clone_from(&text);
            let delivery = Delivery::Rules { text, received_at: clock::wall(), answer: Some(answer) };
            if deliveries.send(delivery).await.is_err() {
                return;
            }
        }
    }

    /// The rules in force with further silences, at `now`. One that was asked for before gives way if it is over, or has
    /// the name of a new one.
    fn silenced(&self, text: &str, now: Nanos) -> Result<RulesSpec, String> {
        let sections: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        if sections.len() != 1 || !sections.contains_key("silences") {
            return Err("write [[silences]], and nothing else".to_owned());
        }
        let silences = sections.get("silences").and_then(toml::Value::as_array);
        let named = |silence: &toml::Value| Some(silence.get("name")?.as_str()?.to_owned());
        let names: Vec<String> = silences.into_iter().flatten().filter_map(named).collect();
        let mut before = in_force(&self.rules, &self.windows);
        let gives_way = |silence: &SilenceSpec| silence.until <= now || names.contains(&silence.name);
        before.silences.retain(|silence| !(silence.asked && gives_way(silence)));
        // Which rules there are to be silenced, only both together say; what is new first, for its lines.
        let both = format!("{text}\n{}", before.text());
        let mut rules =
            RulesSpec::parse("the silences", &both, &self.windows).map_err(|error| error.to_string())?;
        for silence in rules.silences.iter_mut().filter(|silence| names.contains(&silence.name)) {
            silence.asked = true;
            // Those of a configuration may be history; whoever asks for one now wants something of it.
            if silence.until <= now {
                let until = time::format(silence.until);
                return Err(format!("silence `{}` is over: its `until`, {until}, is past", silence.name));
            }
        }
        Ok(rules)
    }
}

/// What was parsed before.
fn in_force(text: &str, windows: &[WindowSpec]) -> RulesSpec {
    RulesSpec::parse("the rules in force", text, windows).unwrap_or_else(|error| {
        tracing::error!(%error, "the rules in force cannot be read");
        RulesSpec::default()
    })
}

/// `rules` with the silences of `before` that were asked for and have not ended at `now`. Such as are about rules that
/// are gone, or have a name that is taken, are left behind, and that is told.
#[must_use]
pub fn carried(rules: RulesSpec, before: &str, windows: &[WindowSpec], now: Nanos) -> RulesSpec {
    let mut asked = in_force(before, windows).silences;
    asked.retain(|silence| silence.asked && silence.until > now);
    beside(rules, asked, |rules| RulesSpec::parse("the silence", &rules.text(), windows).map(drop))
}

/// `rules` with those of `asked` that `check` lets stand beside them. It reads all of the rules, on the thread of the
/// sockets, so it looks at all silences together, and at each only if that fails.
fn beside(
    mut rules: RulesSpec,
    asked: Vec<SilenceSpec>,
    mut check: impl FnMut(&RulesSpec) -> Result<(), ConfigError>,
) -> RulesSpec {
    if asked.is_empty() {
        return rules;
    }
    let own = rules.silences.len();
    rules.silences.extend(asked.iter().cloned());
    if check(&rules).is_ok() {
        return rules;
    }
    rules.silences.truncate(own);
    for silence in asked {
        let name = silence.name.clone();
        rules.silences.push(silence);
        if let Err(error) = check(&rules) {
            tracing::warn!(name, %error, "a silence that was asked for ends here: it is about none of the rules");
            rules.silences.pop();
        }
    }
    rules
}

/// The rules of `text`, which is a configuration with its windows or a file of rules alone, about `windows`.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn rules_of(name: &str, text: &str, windows: &[WindowSpec]) -> Result<RulesSpec, String> {
    let of_rules = |section: &String| ["rules", "silences", "inhibitions"].contains(&section.as_str());
    let sections: toml::Table = text.parse().unwrap_or_default();
    // An empty text is a file that is being written, or a request that was to read a file again, and no wish to end all.
    if sections.is_empty() && text.parse::<toml::Table>().is_ok() {
        return Err("there is nothing in it; to end all rules, write `rules = []`".to_owned());
    }
    if sections.keys().all(of_rules) {
        return RulesSpec::parse(name, text, windows).map_err(|error| error.to_string());
    }
    let config = Config::parse(name, text, &Catalogue::built_in()).map_err(|error| error.to_string())?;
    // Its windows may be others than those of the run.
    RulesSpec::parse("its rules", &config.rules.text(), windows).map_err(|error| {
        format!("it has other windows, and those of a run stay until it is started again: {error}")
    })
}

#[cfg(test)]
mod tests {
    use feeds::time::SECOND;

    use super::*;
    use crate::config::limits::SILENCES_MAX;

    const CONFIG: &str = "[[windows]]\nname = '1s'\n[[rules]]\nname = 'one'\nwhen = 'price > 1'\n";

    /// What is granted, as the text of the rules from then on; or what is said instead.
    fn granted(
        ask: fn(String, oneshot::Sender<Result<u64, String>>) -> Command,
        text: &str,
    ) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let config = Config::parse("made", CONFIG, &Catalogue::built_in()).unwrap();
            let (control, commands) = Commands::about(&config, &config.rules.text());
            let (deliveries, mut arriving) = mpsc::channel(1);
            let (answer, told) = oneshot::channel();
            control.send(ask(text.to_owned(), answer)).await.unwrap();
            drop(control);
            commands.grant(deliveries, None).await;
            match arriving.recv().await {
                Some(Delivery::Rules { text, answer, .. }) => {
                    assert!(answer.is_some(), "who asked is told from which entry on");
                    Ok(text)
                }
                Some(_) => panic!("another delivery"),
                None => Err(told.await.unwrap().unwrap_err()),
            }
        })
    }

    #[test]
    fn rules_come_alone_or_with_the_configuration_that_they_are_in() {
        let reload = |text: &str| granted(|text, answer| Command::Reload { text, answer }, text);
        let alone = reload("[[rules]]\nname = 'two'\nwhen = 'size > 1'\n").unwrap();
        assert!(alone.contains("name = \"two\"") && !alone.contains("one"), "{alone}");
        assert!(reload(CONFIG).unwrap().contains("name = \"one\""));
        assert_eq!(reload("rules = []\n").unwrap(), "", "no rules are rules, too");
        for nothing in ["", "\n# all of it later\n"] {
            assert!(reload(nothing).unwrap_err().contains("`rules = []`"));
        }
        let wrong = reload("[[rules]]\nname = 'two'\nwhen = 'sizes > 1'\n").unwrap_err();
        assert!(wrong.contains("the rules:3:") && wrong.contains("`size`"), "{wrong}");
        // Its windows are not those of the run.
        let other = "[[windows]]\nname = '9s'\n[[rules]]\nname = 'two'\nwhen = 'volume[9s] > 1'\n";
        let why = reload(other).unwrap_err();
        assert!(why.contains("9s") && why.starts_with("it has other windows"), "{why}");
        let wrong = reload(&CONFIG.replace("price >", "prise >")).unwrap_err();
        assert!(wrong.contains("the rules:5:") && !wrong.contains("windows"), "one thing is wrong: {wrong}");
    }

    #[test]
    fn silences_that_were_asked_for_go_on_until_they_end() {
        let config = Config::parse("made", CONFIG, &Catalogue::built_in()).unwrap();
        let silence = |name: &str, rule: &str, until: &str| {
            format!(
                "[[silences]]\nname = '{name}'\nrules = ['{rule}']\nuntil = '2030-01-{until}T00:00:00Z'\n"
            )
        };
        let (_control, mut commands) = Commands::about(&config, &config.rules.text());
        let begin = time::parse_words("2030-01-01T00:00:00Z").unwrap();
        let mut ask = |text: &str| {
            commands.rules = commands.silenced(text, begin).unwrap().text();
            commands.rules.clone()
        };
        ask(&silence("short", "one", "02"));
        ask(&silence("long", "*", "09"));
        let later = ask(&silence("short", "one", "05"));
        assert_eq!(later.matches("name = \"short\"").count(), 1, "{later}");
        let names = |rules: &str, day: i64| -> Vec<(String, bool)> {
            let rules = RulesSpec::parse("other", rules, &config.windows).unwrap();
            let now = begin + (day - 1) * 86_400 * SECOND;
            let kept = carried(rules, &later, &config.windows, now).silences;
            kept.into_iter().map(|silence| (silence.name, silence.asked)).collect()
        };
        let both = [("short".to_owned(), true), ("long".to_owned(), true)];
        assert_eq!(names(&config.rules.text(), 4), both);
        assert_eq!(names(&config.rules.text(), 6), both[1..], "one has ended");
        let other = "[[rules]]\nname = 'two'\nwhen = 'price > 1'\n";
        assert_eq!(names(other, 4), both[1..], "the other's rule is gone");
        let own = config.rules.text() + &silence("long", "one", "03");
        assert_eq!(
            names(&own, 4),
            [("long".to_owned(), false), both[0].clone()],
            "what is written goes before"
        );
        assert!(commands.silenced(&silence("short", "nobody", "05"), begin).is_err());
    }

    /// Each is over before the next is asked for.
    #[test]
    fn silences_that_are_over_take_no_place() {
        let config = Config::parse("made", CONFIG, &Catalogue::built_in()).unwrap();
        let (_control, mut commands) = Commands::about(&config, &config.rules.text());
        let begin = time::parse_words("2030-01-01T00:00:00Z").unwrap();
        for number in 0..=SILENCES_MAX as i64 {
            let (now, name) = (begin + number * 10 * SECOND, format!("s{number}"));
            let until = time::format(now + 10 * SECOND);
            let text = format!("[[silences]]\nname = '{name}'\nrules = ['one']\nuntil = '{until}'\n");
            let rules = commands.silenced(&text, now).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(rules.silences.iter().map(|it| &it.name).collect::<Vec<_>>(), [&name]);
            commands.rules = rules.text();
        }
    }

    #[test]
    fn silences_that_are_carried_are_looked_at_together_and_alone_only_where_one_is_wrong() {
        let windows = Config::parse("made", CONFIG, &Catalogue::built_in()).unwrap().windows;
        let rule = |name: &str| format!("[[rules]]\nname = '{name}'\nwhen = 'price > 1'\n");
        let silence = |(name, of): (&str, &str)| {
            let until = "2030-01-01T00:00:00Z";
            format!("[[silences]]\nname = '{name}'\nrules = ['{of}']\nuntil = '{until}'\nasked = true\n")
        };
        let text =
            rule("one") + &rule("two") + &[("a", "one"), ("b", "two"), ("c", "*")].map(silence).concat();
        let asked = RulesSpec::parse("before", &text, &windows).unwrap().silences;
        let of = |rules: &str| {
            let (mut looked, rules) = (0, RulesSpec::parse("new", rules, &windows).unwrap());
            let rules = beside(rules, asked.clone(), |rules| {
                looked += 1;
                RulesSpec::parse("both", &rules.text(), &windows).map(drop)
            });
            (rules.silences.into_iter().map(|silence| silence.name).collect::<String>(), looked)
        };
        assert_eq!(of(&(rule("one") + &rule("two"))), ("abc".to_owned(), 1));
        assert_eq!(of(&rule("two")), ("bc".to_owned(), 4));
        assert_eq!(of(&(rule("one") + &rule("two") + &silence(("b", "*")))), ("bac".to_owned(), 4));
    }

    #[test]
    fn a_silence_comes_beside_the_rules_that_are_there() {
        let silence = |text: &str| granted(|text, answer| Command::Silence { text, answer }, text);
        let text = "[[silences]]\nname = 'night'\nrules = ['one']\nuntil = '2030-01-01T00:00:00Z'\n";
        let both = silence(text).unwrap();
        assert!(both.contains("name = \"one\"") && both.contains("name = \"night\""), "{both}");
        let wrong = silence(&text.replace("until", "untill")).unwrap_err();
        assert!(wrong.contains("the silences:4:"), "{wrong}");
        let more = "[[rules]]\nname = 'two'\nwhen = 'size > 1'\n";
        assert!(silence(&(text.to_owned() + more)).unwrap_err().contains("nothing else"));
        assert!(silence("").is_err());
    }

    #[test]
    fn a_silence_that_is_over_is_history_in_a_configuration_and_refused_from_who_asks() {
        let silence = |text: &str| granted(|text, answer| Command::Silence { text, answer }, text);
        let of = |name: &str, year: u32| {
            format!("[[silences]]\nname = '{name}'\nrules = ['one']\nuntil = '{year}-01-01T00:00:00Z'\n")
        };
        let over = "silence `old` is over: its `until`, 2020-01-01T00:00:00.000000000Z, is past";
        assert_eq!(silence(&of("old", 2020)), Err(over.to_owned()));
        assert_eq!(silence(&(of("old", 2020) + &of("new", 2190))), Err(over.to_owned()));
        let rules = format!("{CONFIG}{}", of("old", 2020));
        let reloaded = granted(|text, answer| Command::Reload { text, answer }, &rules).unwrap();
        let config = Config::parse("made", &rules, &Catalogue::built_in()).unwrap();
        let (_control, commands) = Commands::about(&config, &config.rules.text());
        assert_eq!(commands.rules, reloaded);
        assert_eq!(commands.silenced(&of("new", 2190), clock::wall()).map(|both| both.silences.len()), Ok(2));
    }
}
