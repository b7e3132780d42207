//! Where a client is in the log, what it has printed, and what it makes of a log that is not where it thought.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::alert::Cursor;

/// Alerts that are known to be printed, for a log that tells them again under other cursors: those of the last hours.
const PRINTED: usize = 65_536;
/// Longest state file that is read; a cursor has 41 bytes at most.
const STATE_BYTES: u64 = 4_096;

/// Where the log is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Of another generation, the same up to here.
    Generation { generation: u64, differs_from: u64 },
    /// It begins with this alert.
    Gone { oldest: Cursor },
    /// It ends with this alert.
    Beyond { head: Cursor },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Place {
    cursor: Option<Cursor>,
    kept: Option<Cursor>,
    printed: HashSet<(String, String)>,
    order: VecDeque<(String, String)>,
}

impl Place {
    pub(super) fn new(cursor: Option<Cursor>) -> Place {
        Place { cursor, kept: cursor, ..Place::default() }
    }

    /// Behind which alert to go on; from the oldest without.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Steps behind a message. True if it is an alert to be printed.
    pub(super) fn take(&mut self, message: &Value) -> bool {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let Some(cursor) = text("cursor").and_then(|cursor| cursor.parse::<Cursor>().ok()) else {
            return false;
        };
        if self.cursor.is_some_and(|known| cursor <= known) {
            return false;
        }
        self.cursor = Some(cursor);
        let (Some(id), Some(state)) = (text("id"), text("state")) else { return false };
        // What was suppressed when it fired may be told later, as the same step.
        let quiet = if text("suppressed").is_some() { "-suppressed" } else { "" };
        let step = (id.to_owned(), format!("{state}{quiet}"));
        if !self.printed.insert(step.clone()) {
            return false;
        }
        self.order.push_back(step);
        if self.order.len() > PRINTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.printed.remove(&oldest);
        }
        true
    }

    /// Goes on where the log is, and says what that means.
    pub(super) fn moved(&mut self, elsewhere: &Elsewhere) -> String {
        let known = self.cursor.map_or(0, |cursor| cursor.number);
        match *elsewhere {
            Elsewhere::Generation { generation, differs_from } => {
                let number = known.min(differs_from.saturating_sub(1));
                self.cursor = Some(Cursor { generation, number });
                format!(
                    "the log is of generation {generation} now: alerts from number {differs_from} on may differ from \
                     those that were printed; going on behind {generation}-{number}, and what was printed since the \
                     start is not printed again"
                )
            }
            Elsewhere::Gone { oldest } => {
                let number = oldest.number.saturating_sub(1);
                self.cursor = Some(Cursor { number, ..oldest });
                format!("alerts {} to {number} are no longer kept: they were missed", known.saturating_add(1))
            }
            Elsewhere::Beyond { head } => {
                self.cursor = Some(head);
                format!("the log ends with {head}, before number {known}; going on from there")
            }
        }
    }

    /// Writes the cursor to a file that is replaced whole, if it is another than the one there.
    pub(super) fn keep(&mut self, path: &Path) -> Result<()> {
        let Some(cursor) = self.cursor.filter(|cursor| self.kept != Some(*cursor)) else { return Ok(()) };
        let what = || format!("cannot write the state file {}", path.display());
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let mut file = fs::File::create(&beside).with_context(what)?;
        writeln!(file, "{cursor}").with_context(what)?;
        fs::rename(&beside, path).with_context(what)?;
        self.kept = Some(cursor);
        Ok(())
    }
}

/// The cursor in a state file; nothing if there is no such file yet.
pub(super) fn read(path: &Path) -> Result<Option<Cursor>> {
    let what = || format!("cannot read the state file {}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(what),
        Ok(file) if file.len() > STATE_BYTES => return Err(anyhow!("it holds no cursor")).with_context(what),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).with_context(what)?;
    let cursor = text.trim().parse().map_err(|why: &str| anyhow!(why));
    cursor.map(Some).with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn alert(cursor: &str, id: &str) -> Value {
        json!({ "cursor": cursor, "id": id, "state": "firing" })
    }

    fn at(generation: u64, number: u64) -> Option<Cursor> {
        Some(Cursor { generation, number })
    }

    #[test]
    fn each_alert_is_printed_once_and_heartbeats_move_on() {
        let mut place = Place::new(None);
        assert!(place.take(&alert("1-1", "a")) && place.take(&alert("1-2", "b")));
        assert!(!place.take(&alert("1-2", "b")) && !place.take(&alert("1-1", "a")), "what lies before");
        assert!(!place.take(&json!({ "cursor": "1-9", "heartbeat": true })));
        assert_eq!(place.cursor(), at(1, 9));
        assert!(!place.take(&json!({ "cursor": "x" })) && !place.take(&json!(7)));
        assert!(place.take(&json!({ "cursor": "1-10", "id": "b", "state": "resolved" })), "another step");
        let quiet = json!({ "cursor": "1-11", "id": "c", "state": "firing", "suppressed": "silence:night" });
        let (told, again) = (alert("1-12", "c"), alert("1-13", "c"));
        assert!(
            place.take(&quiet) && place.take(&told) && !place.take(&again),
            "told when nothing suppresses it"
        );
    }

    #[test]
    fn another_generation_is_gone_on_in_where_it_may_differ() {
        let mut place = Place::new(None);
        for (cursor, id) in [("1-1", "a"), ("1-2", "b"), ("1-3", "c")] {
            assert!(place.take(&alert(cursor, id)));
        }
        let said = place.moved(&Elsewhere::Generation { generation: 2, differs_from: 2 });
        assert!(said.contains("generation 2") && said.contains("behind 2-1"), "{said}");
        assert_eq!(place.cursor(), at(2, 1));
        assert!(!place.take(&alert("2-2", "b")), "it was printed");
        assert!(place.take(&alert("2-3", "d")) && !place.take(&alert("2-4", "c")));
        place.moved(&Elsewhere::Generation { generation: 3, differs_from: 90 });
        assert_eq!(place.cursor(), at(3, 4), "nothing that was printed differs");
    }

    #[test]
    fn what_is_missed_is_said() {
        let mut place = Place::new(at(1, 4));
        let said = place.moved(&Elsewhere::Gone { oldest: Cursor { generation: 1, number: 10 } });
        assert_eq!(
            (said.as_str(), place.cursor()),
            ("alerts 5 to 9 are no longer kept: they were missed", at(1, 9))
        );
        let said = place.moved(&Elsewhere::Beyond { head: Cursor { generation: 1, number: 2 } });
        assert!(said.contains("ends with 1-2"), "{said}");
        assert_eq!(place.cursor(), at(1, 2));
    }

    #[test]
    fn memory_of_what_was_printed_is_bounded() {
        let mut place = Place::new(None);
        for number in 1..=PRINTED as u64 + 10 {
            assert!(place.take(&alert(&format!("1-{number}"), &number.to_string())));
        }
        assert_eq!((place.printed.len(), place.order.len()), (PRINTED, PRINTED));
    }

    #[test]
    fn the_cursor_is_kept_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        assert_eq!(read(&path).unwrap(), None);
        let mut place = Place::new(None);
        place.keep(&path).unwrap();
        assert!(!path.exists(), "there is nothing to keep");
        place.take(&alert("1-7", "a"));
        place.keep(&path).unwrap();
        assert_eq!(read(&path).unwrap(), at(1, 7));
        fs::write(&path, "seven").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("GENERATION-NUMBER"));
        fs::write(&path, "1".repeat(5_000)).unwrap();
        assert!(read(&path).is_err());
    }
}
