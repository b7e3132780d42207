//! What a person asks of a run while it runs.

use feeds::time;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::limits::COMMANDS_WAITING;
use crate::config::{Catalogue, Config, RulesSpec, WindowSpec};
use crate::feed::delivery::Delivery;

/// One wish. It is granted when it is an entry of the tape.
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
}

/// Commands as they come, made deliveries.
pub struct Commands {
    pub(super) asked: mpsc::Receiver<Command>,
    pub(super) windows: Vec<WindowSpec>,
    /// The rules in force, as text.
    pub(super) rules: String,
}

impl Commands {
    /// To a run of `config`, and where to give them.
    #[must_use]
    pub fn about(config: &Config) -> (mpsc::Sender<Command>, Commands) {
        let (control, asked) = mpsc::channel(COMMANDS_WAITING);
        let (windows, rules) = (config.windows.clone(), config.rules.text());
        (control, Commands { asked, windows, rules })
    }

    /// Makes what is asked for an entry of the tape, until nobody can ask any more.
    pub async fn grant(mut self, deliveries: mpsc::Sender<Delivery>) {
        while let Some(command) = self.asked.recv().await {
            let (rules, answer) = match command {
                Command::Reload { text, answer } => (rules_of("the rules", &text, &self.windows), answer),
                Command::Silence { text, answer } => (self.silenced(&text), answer),
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

    /// The rules in force with further silences.
    fn silenced(&self, text: &str) -> Result<RulesSpec, String> {
        let sections: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        if sections.len() != 1 || !sections.contains_key("silences") {
            return Err("write [[silences]], and nothing else".to_owned());
        }
        // Which rules there are to be silenced, only both together say.
        let both = self.rules.clone() + text;
        let both = RulesSpec::parse("the rules and these silences", &both, &self.windows)
            .map_err(|error| error.to_string())?;
        // Those of a configuration may be history; whoever asks for one now wants something of it.
        let asked = sections.get("silences").and_then(toml::Value::as_array).map_or(0, Vec::len);
        let now = clock::wall();
        match both.silences.iter().rev().take(asked).find(|silence| silence.until <= now) {
            Some(over) => {
                let until = time::format(over.until);
                Err(format!("silence `{}` is over: its `until`, {until}, is past", over.name))
            }
            None => Ok(both),
        }
    }
}

/// The rules of `text`, which is a configuration with its windows or a file of rules alone, about `windows`.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn rules_of(name: &str, text: &str, windows: &[WindowSpec]) -> Result<RulesSpec, String> {
    let alone = RulesSpec::parse(name, text, windows).map_err(|error| error.to_string());
    match (alone, Config::parse(name, text, &Catalogue::built_in())) {
        (Ok(rules), _) => Ok(rules),
        // Its windows may be others than those of the run.
        (Err(_), Ok(config)) => {
            RulesSpec::parse(name, &config.rules.text(), windows).map_err(|error| error.to_string())
        }
        (Err(why), Err(_)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[[windows]]\nname = '1s'\n[[rules]]\nname = 'one'\nwhen = 'price > 1'\n";

    /// What is granted, as the text of the rules from then on; or what is said instead.
    fn granted(
        ask: fn(String, oneshot::Sender<Result<u64, String>>) -> Command,
        text: &str,
    ) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let config = Config::parse("made", CONFIG, &Catalogue::built_in()).unwrap();
            let (control, commands) = Commands::about(&config);
            let (deliveries, mut arriving) = mpsc::channel(1);
            let (answer, told) = oneshot::channel();
            control.send(ask(text.to_owned(), answer)).await.unwrap();
            drop(control);
            commands.grant(deliveries).await;
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
        assert_eq!(reload("").unwrap(), "", "no rules are rules, too");
        let wrong = reload("[[rules]]\nname = 'two'\nwhen = 'sizes > 1'\n").unwrap_err();
        assert!(wrong.contains("the rules:3:") && wrong.contains("`size`"), "{wrong}");
        // Its windows are not those of the run.
        let other = "[[windows]]\nname = '9s'\n[[rules]]\nname = 'two'\nwhen = 'volume[9s] > 1'\n";
        assert!(reload(other).unwrap_err().contains("9s"));
    }

    #[test]
    fn a_silence_comes_beside_the_rules_that_are_there() {
        let silence = |text: &str| granted(|text, answer| Command::Silence { text, answer }, text);
        let text = "[[silences]]\nname = 'night'\nrules = ['one']\nuntil = '2030-01-01T00:00:00Z'\n";
        let both = silence(text).unwrap();
        assert!(both.contains("name = \"one\"") && both.contains("name = \"night\""), "{both}");
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
        let (_control, commands) = Commands::about(&config);
        assert_eq!(commands.rules, reloaded);
        assert_eq!(commands.silenced(&of("new", 2190)).map(|both| both.silences.len()), Ok(2));
    }
}
