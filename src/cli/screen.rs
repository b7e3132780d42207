//! The terminal while a live run is at work: one picture in place of the one before it, and logs above it.
//!
//! Nothing about the terminal is changed, not even its cursor hidden: however the program ends, it is as it was.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use console::{Term, style};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::table::{self, Size};
use crate::alert::{Alert, Severity, State};
use crate::schema::alerts::scan;
use crate::view::Viewer;

/// How often the picture is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// Alerts that are told at a time: a screenful would hide the picture.
const NEWS_LINES: u64 = 10;

/// Lines of the picture that stand above the cursor. There is one terminal, and logs are written from every thread:
/// whoever writes holds this.
static DRAWN: Mutex<usize> = Mutex::new(0);

fn drawn() -> MutexGuard<'static, usize> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws until it is dropped.
pub(super) struct Screen {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Draws what `viewer` sees, and `notes` below it, if stderr is a terminal.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(super) fn start(viewer: Arc<Viewer>, notes: Vec<String>) -> io::Result<Option<Screen>> {
        if !io::stderr().is_terminal() {
            return Ok(None);
        }
        let (stop, stopped) = bounded(1);
        let thread = std::thread::Builder::new().name("screen".to_owned());
        let thread = thread.spawn(move || draw_all(&viewer, &notes, &stopped))?;
        Ok(Some(Screen { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic has said so itself, and a picture is missing at worst.
            let _ = thread.join();
        }
    }
}

fn draw_all(viewer: &Viewer, notes: &[String], stopped: &Receiver<()>) {
    let terminal = Term::buffered_stderr();
    let mut told = viewer.pulse().alerts().head();
    let mut size = terminal.size();
    loop {
        let is_last = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
        let is_resized = std::mem::replace(&mut size, terminal.size()) != size;
        let (height, width) = size;
        let room = Size {
            width: usize::from(width),
            height: usize::from(height),
            colours: terminal.features().colors_supported(),
        };
        let news = news(viewer, &mut told);
        // As with logs: above the picture, and it scrolls away.
        if !news.is_empty() && Beside.write_all(news.as_bytes()).is_err() {
            break;
        }
        let lines = table::lines(&viewer.view(), notes, room);
        // With the terminal gone there is nobody to draw for.
        if draw(&terminal, &lines, is_resized).is_err() {
            break;
        }
        if is_last {
            break;
        }
    }
    // What is written from now on goes below.
    *drawn() = 0;
}

/// The alerts behind number `told`, a line each, the newest if there are many.
fn news(viewer: &Viewer, told: &mut u64) -> String {
    let head = viewer.pulse().alerts().head();
    let first = (*told + 1).max(head.saturating_sub(NEWS_LINES - 1));
    let left_out = first.saturating_sub(*told + 1);
    let mut lines = String::new();
    if left_out > 0 {
        lines += &format!("… and {left_out} alerts before these\n");
    }
    // A store that cannot be read shows itself elsewhere.
    let alerts = scan(viewer.store(), first).map_while(Result::ok).take_while(|(number, _)| *number <= head);
    for (_, alert) in alerts {
        lines += &line(&alert);
    }
    *told = head;
    lines
}

fn line(alert: &Alert) -> String {
    let at = feeds::time::format(alert.event_time);
    let at = at.get(11..19).unwrap_or(&at);
    let state = match alert.state {
        State::Pending => style("pending "),
        State::Firing if alert.severity == Severity::Critical => style("firing  ").red().bold(),
        State::Firing => style("firing  ").yellow(),
        State::Resolved => style("resolved").green(),
    };
    let message: String = alert.message.chars().filter(|c| !c.is_control()).collect();
    format!("{at} {state} {:10} {:24} {message}\n", alert.rule, alert.symbol)
}

/// Draws over the picture before it, in one write.
fn draw(terminal: &Term, lines: &[String], is_resized: bool) -> io::Result<()> {
    let mut drawn = drawn();
    if is_resized {
        // Lines were wrapped anew: nobody knows how many there are.
        terminal.clear_screen()?;
    } else if *drawn > 0 {
        terminal.move_cursor_up(*drawn)?;
    }
    for line in lines {
        terminal.clear_line()?;
        terminal.write_line(line)?;
    }
    terminal.clear_to_end_of_screen()?;
    *drawn = lines.len();
    terminal.flush()
}

/// Where logs go: stderr, in place of the picture, which is drawn again below them.
pub(super) struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut drawn = drawn();
        if *drawn > 0 {
            let terminal = Term::stderr();
            terminal.move_cursor_up(*drawn)?;
            terminal.clear_to_end_of_screen()?;
            *drawn = 0;
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
