//! What a person asks of a run while it runs.

use tokio::sync::oneshot;

/// One wish. It is granted when it is an entry of the tape.
#[derive(Debug)]
pub enum Command {
    /// Other rules from now on.
    Reload {
        /// The configuration, of which the rules are taken.
        text: String,
        /// The number of the tape entry from which on they hold; or what is wrong with them, and all stays as it is.
        answer: oneshot::Sender<Result<u64, String>>,
    },
}
