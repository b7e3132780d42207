//! The shells: one actor per symbol, and the engine that feeds them. No arithmetic here.
//!
//! | from | to | what | bound | when full |
//! |---|---|---|---|---|
//! | sequencer | symbol actors | shares of an epoch | [`credit`]: `EPOCHS_IN_FLIGHT` epochs, `EPOCH_BYTES_IN_FLIGHT` bytes | the sequencer waits, and so does the source |
//! | symbol actors | committer | a finished epoch | the same credit | cannot be: it has room for all in flight |
//! | committer | writer | a checkpoint | 1 | the committer waits, and so does the credit |

pub mod credit;
pub mod engine;
pub mod looks;
pub mod symbol;
pub mod work;

pub use engine::{Engine, EngineError, EngineOptions, Member};
