//! Windows as a stream, as they are committed. There is no log of them to go on in but the store, so what is too far
//! behind is left out, and every message says how much that was.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use hyper::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use super::alerts::resumed;
use super::{Follower, Lost, Streams, Told, Way};
use crate::alert::Cursor;
use crate::commit::windows::{Emitted, Following, WindowBoard};
use crate::config::limits::{STREAM_BATCH_BYTES, WINDOWS_AT_ONCE};
use crate::output::{Cell, Column, Format, write};
use crate::query::alerts::{after, names};
use crate::query::windows::{Shape, shape};
use crate::query::{Catalogue, QueryError};
use crate::serve::routes::{answer, problem, refused};
use crate::serve::rows::pairs;

/// What a request asks for.
#[derive(Debug, Default)]
struct Asked {
    window: Option<String>,
    symbols: Vec<String>,
    is_live: bool,
    /// Nothing: from now on. Nothing in it: from the oldest on.
    after: Option<Option<Cursor>>,
}

impl Asked {
    fn parse(query: Option<&str>) -> Result<Asked, String> {
        let mut asked = Asked::default();
        for (key, value) in pairs(query, &["window", "symbol", "live", "after"])? {
            match key.as_str() {
                "window" => asked.window = Some(value),
                "symbol" => asked.symbols.push(value),
                "live" => asked.is_live = value == "true",
                _ => asked.after = Some(after(&value).map_err(|why| format!("`{key}`: {why}"))?),
            }
        }
        Ok(asked)
    }
}

/// One place among the emissions of a run.
struct WindowFollower {
    board: WindowBoard,
    _following: Following,
    heads: watch::Receiver<u64>,
    catalogue: Arc<Catalogue>,
    windows: Vec<usize>,
    shape: Shape,
    symbols: Vec<String>,
    /// Of each window of a symbol only the last emission, where several wait.
    is_live: bool,
    place: Cursor,
}

/// One emission that is wanted: its number, and where it is.
type Wanted = (u64, usize, usize);

impl WindowFollower {
    /// The wanted emissions among `entries` behind the place, and how many of them are overtaken by others.
    fn wanted(&self, entries: &[Arc<Emitted>]) -> (Vec<Wanted>, u64) {
        let mut wanted: Vec<Wanted> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let is_named = |pattern: &String| names(pattern, entry.symbol.as_str());
            if !self.symbols.is_empty() && !self.symbols.iter().any(is_named) {
                continue;
            }
            for (number, (index, head)) in (entry.first..).zip(entry.emissions.heads.iter().enumerate()) {
                if number > self.place.number && self.windows.contains(&usize::from(head.window)) {
                    wanted.push((number, at, index));
                }
            }
        }
        if !self.is_live {
            return (wanted, 0);
        }
        let key = |&(_, at, index): &Wanted| (&entries[at].symbol, entries[at].emissions.heads[index].window);
        let last: HashMap<_, u64> = wanted.iter().map(|one| (key(one), one.0)).collect();
        let all = wanted.len();
        let kept: Vec<Wanted> =
            wanted.iter().filter(|one| last.get(&key(one)) == Some(&one.0)).copied().collect();
        let overtaken = (all - kept.len()) as u64;
        (kept, overtaken)
    }

    fn cells(&self, entries: &[Arc<Emitted>], (_, at, index): Wanted) -> Result<Vec<Cell>, QueryError> {
        let Emitted { symbol, emissions, .. } = &*entries[at];
        let head = &emissions.heads[index];
        let row = emissions.row(head).map_err(|error| QueryError::damaged("a window", error))?;
        self.shape
            .cells(&self.catalogue, usize::from(head.window), symbol, &row)
            .ok_or_else(|| QueryError::damaged("a window", "the configuration has none of that number"))
    }

    fn message(
        &self,
        entries: &[Arc<Emitted>],
        wanted: &[Wanted],
        (cursor, left_out): (Cursor, u64),
    ) -> Result<Told, anyhow::Error> {
        let rows = wanted.iter().map(|&one| Ok(self.cells(entries, one)?));
        let columns: &[Column] = &self.shape.columns;
        let mut lines = Vec::new();
        write(Format::Ndjson, columns, rows, &mut lines)?;
        let rows = String::from_utf8(lines)?.trim_end().replace('\n', ",");
        let text = format!("{{\"cursor\":\"{cursor}\",\"left_out\":{left_out},\"rows\":[{rows}]}}");
        Ok(Told { cursor, text: text.into() })
    }
}

/// Rows of one message: some 16 KiB.
const ROWS_OF_MESSAGE: usize = STREAM_BATCH_BYTES / 512;

impl Follower for WindowFollower {
    async fn ready(&mut self) {
        let place = self.place.number;
        // An error means that the run is gone, and the server with it.
        let _ = self.heads.wait_for(|head| *head > place).await;
    }

    async fn take(&mut self) -> Result<Vec<Told>, Lost> {
        let most = if self.is_live { WINDOWS_AT_ONCE } else { ROWS_OF_MESSAGE };
        let (oldest, head) = self.board.extent();
        let entries = self.board.behind(self.place.number, most);
        // What went while this was looked at counts as well.
        let first = entries.first().map_or(oldest.max(head + 1), |entry| entry.first);
        let gone = first.saturating_sub(self.place.number.saturating_add(1));
        let reached =
            entries.last().map_or(head, |entry| entry.first + entry.emissions.heads.len() as u64 - 1);
        let (wanted, overtaken) = self.wanted(&entries);
        let mut left_out = gone + overtaken;
        let mut told = Vec::new();
        for part in wanted.chunks(ROWS_OF_MESSAGE) {
            let cursor = Cursor { number: part.last().map_or(reached, |one| one.0), ..self.place };
            let message = self.message(&entries, part, (cursor, std::mem::take(&mut left_out)));
            told.push(message.map_err(|error| {
                tracing::error!(%error, "a window cannot be told");
                Lost::Failed
            })?);
        }
        self.place.number = reached.max(self.place.number);
        if left_out > 0 {
            let message = self.message(&entries, &[], (self.place, left_out));
            told.push(message.map_err(|_| Lost::Failed)?);
        }
        Ok(told)
    }

    fn cursor(&self) -> Cursor {
        self.place
    }

    fn is_behind(&self) -> bool {
        self.place.number < self.board.extent().1
    }
}

/// `/v1/windows/stream`.
pub(in crate::serve) async fn stream(State(streams): State<Arc<Streams>>, request: Request) -> Response {
    let way = match Way::of(&request) {
        Ok(way) => way,
        Err(response) => return *response,
    };
    let asked = Asked::parse(request.uri().query()).and_then(|asked| {
        let last = resumed(request.headers(), None)?;
        Ok(Asked { after: last.map(Some).or(asked.after), ..asked })
    });
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let viewer = Arc::clone(&streams.viewer);
    let window = asked.window.clone();
    let read = tokio::task::spawn_blocking(move || {
        let catalogue = Catalogue::read(viewer.store())?;
        let windows = catalogue.windows_in(window.as_deref())?;
        Ok::<_, QueryError>((catalogue, windows))
    });
    let (catalogue, windows) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return refused(&error),
        Err(_) => return problem(StatusCode::INTERNAL_SERVER_ERROR, "reading ended by a panic"),
    };
    let board = streams.viewer.pulse().windows().clone();
    let following = board.follow();
    let place = match place(&board, u64::from(streams.viewer.pulse().run()), asked.after) {
        Ok(place) => place,
        Err(response) => return *response,
    };
    let follower = WindowFollower {
        heads: board.heads(),
        board,
        _following: following,
        shape: shape(&catalogue, &windows),
        catalogue: Arc::new(catalogue),
        windows,
        symbols: asked.symbols,
        is_live: asked.is_live,
        place,
    };
    streams.begin(request, way, follower)
}

/// Where to begin: cursors are of one run of the program, and only a short tail of it is kept.
fn place(board: &WindowBoard, run: u64, after: Option<Option<Cursor>>) -> Result<Cursor, Box<Response>> {
    let (oldest, head) = board.extent();
    let cursor = |number| Cursor { generation: run, number };
    match after {
        None => Ok(cursor(head)),
        Some(None) => Ok(cursor(oldest - 1)),
        Some(Some(after)) if after.generation != run => {
            let why = "the cursor is of another run; /v1/windows has what that one committed";
            Err(Box::new(answer(StatusCode::CONFLICT, &json!({ "error": why, "generation": run }))))
        }
        Some(Some(after)) if after.number > head => {
            let why = "the cursor is beyond what was committed";
            let body = json!({ "error": why, "head": cursor(head).to_string() });
            Err(Box::new(answer(StatusCode::RANGE_NOT_SATISFIABLE, &body)))
        }
        Some(Some(after)) => Ok(after),
    }
}
