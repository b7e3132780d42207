//! What a person asks of a run while it runs.

use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::limits::COMMANDS_WAITING;
use crate::config::{Catalogue, Config, ConfigError, RulesSpec, WindowSpec};
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
        let wrong = |error: ConfigError| error.to_string();
        let more = RulesSpec::parse("the silences", text, &self.windows).map_err(wrong)?;
        if !more.rules.is_empty() || !more.inhibitions.is_empty() || more.silences.is_empty() {
            return Err("write [[silences]], and nothing else".to_owned());
        }
        RulesSpec::parse("the rules", &(self.rules.clone() + &more.text()), &self.windows).map_err(wrong)
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
