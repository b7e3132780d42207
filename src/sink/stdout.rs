//! Alerts on standard output, one line of JSON each, or one for a group.

use std::io::{self, Write};

use super::{Delivering, Means, Sink, SinkError, SinkKind, Told};
use crate::config::SinkSpec;
use crate::config::limits::SINK_BATCH;

/// The kind.
pub(super) static STDOUT: Stdout = Stdout;

/// See the module.
pub(super) struct Stdout;

impl SinkKind for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn about(&self) -> &'static str {
        "a line of JSON for each alert, or group, on standard output"
    }

    fn keys(&self) -> &'static [(&'static str, bool)] {
        &[]
    }

    fn open(&self, _: &SinkSpec, _: &Means) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(Stdout))
    }
}

impl Sink for Stdout {
    fn at_once(&self) -> usize {
        SINK_BATCH
    }

    fn deliver<'a>(&'a mut self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            let lines: String = told.iter().map(|told| format!("{}\n", told.text)).collect();
            let mut out = io::stdout().lock();
            out.write_all(lines.as_bytes()).and_then(|()| out.flush()).map_err(SinkError::failed)
        })
    }
}
