//! Windows as a stream, as they are committed. There is no log of them to go on in but the store, so what is too far
//! behind is left out, and every message says how much that was. Whoever asks is also told how windows stand that are open.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use feeds::symbol::Symbol;
use hyper::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use super::alerts::resumed;
use super::open::OpenWindows;
use super::{Follower, Lost, Streams, Told, Way};
use crate::alert::Cursor;
use crate::commit::open::New;
use crate::commit::windows::{Emitted, Following, WindowBoard};
use crate::config::limits::STREAM_BATCH_BYTES;
use crate::output::{Cell, Column, Format, write};
use crate::query::alerts::{after, names};
use crate::query::windows::{Shape, shape};
use crate::query::{Catalogue, QueryError};
use crate::schema::rows::{Emissions, Head};
use crate::serve::routes::{answer, problem, refused};
use crate::serve::rows::{pairs, truth};

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
            let wrong = |why: &str| format!("`{key}`: {why}");
            match key.as_str() {
                "window" => asked.window = Some(value),
                "symbol" => asked.symbols.push(value),
                "live" => asked.is_live = truth(&value).map_err(|why| wrong(&why))?,
                _ => asked.after = Some(after(&value).map_err(wrong)?),
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
    /// The windows that are open, if they are wanted as well.
    open: Option<OpenWindows>,
    /// Looks that were left out, and not told so yet.
    looks_left_out: u64,
    catalogue: Arc<Catalogue>,
    windows: Vec<usize>,
    shape: Shape,
    symbols: Vec<String>,
    place: Cursor,
}

/// One emission that is wanted: its number, and where it is.
type Wanted = (u64, usize, usize);

/// Whether `symbol` is among those that are `asked` for; all are, if none is named.
fn is_asked(asked: &[String], symbol: &Symbol) -> bool {
    asked.is_empty() || asked.iter().any(|pattern| names(pattern, symbol.as_str()))
}

impl WindowFollower {
    /// The wanted emissions among `entries` behind the place.
    fn wanted(&self, entries: &[Arc<Emitted>]) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            if !is_asked(&self.symbols, &entry.symbol) {
                continue;
            }
            for (number, (index, head)) in (entry.first..).zip(entry.emissions.heads.iter().enumerate()) {
                if number > self.place.number && self.windows.contains(&usize::from(head.window)) {
                    wanted.push((number, at, index));
                }
            }
        }
        wanted
    }

    fn cells(&self, symbol: &Symbol, emissions: &Emissions, head: &Head) -> Result<Vec<Cell>, QueryError> {
        let row = emissions.row(head).map_err(|error| QueryError::damaged("a window", error))?;
        self.shape
            .cells(&self.catalogue, usize::from(head.window), symbol, &row)
            .ok_or_else(|| QueryError::damaged("a window", "the configuration has none of that number"))
    }

    /// `rows` as one message, which begins with `head`.
    fn message(&self, head: &str, cursor: Cursor, rows: Vec<Vec<Cell>>) -> Result<Told, anyhow::Error> {
        let columns: &[Column] = &self.shape.columns;
        let mut lines = Vec::new();
        write(Format::Ndjson, columns, rows.into_iter().map(Ok), &mut lines)?;
        let rows = String::from_utf8(lines)?.trim_end().replace('\n', ",");
        let text = format!("{{\"cursor\":\"{cursor}\",{head},\"rows\":[{rows}]}}");
        Ok(Told { cursor, text: text.into() })
    }

    /// What was committed behind the place.
    fn take_emitted(&mut self) -> Result<Vec<Told>, anyhow::Error> {
        let (oldest, head) = self.board.extent();
        let entries = self.board.behind(self.place.number, ROWS_OF_MESSAGE);
        // What went while this was looked at counts as well.
        let first = entries.first().map_or(oldest.max(head + 1), |entry| entry.first);
        let mut left_out = first.saturating_sub(self.place.number.saturating_add(1));
        let reached =
            entries.last().map_or(head, |entry| entry.first + entry.emissions.heads.len() as u64 - 1);
        let wanted = self.wanted(&entries);
        let mut told = Vec::new();
        let says = |left_out: u64| format!("\"left_out\":{left_out}");
        for part in wanted.chunks(ROWS_OF_MESSAGE) {
            let cursor = Cursor { number: part.last().map_or(reached, |one| one.0), ..self.place };
            let rows = part.iter().map(|&(_, at, index)| {
                let Emitted { symbol, emissions, .. } = &*entries[at];
                self.cells(symbol, emissions, &emissions.heads[index])
            });
            let rows = rows.collect::<Result<_, _>>()?;
            told.push(self.message(&says(std::mem::take(&mut left_out)), cursor, rows)?);
        }
        self.place.number = reached.max(self.place.number);
        if left_out > 0 {
            told.push(self.message(&says(left_out), self.place, Vec::new())?);
        }
        Ok(told)
    }

    /// How the open windows stand, if that is wanted and new. Behind what was committed, so that nobody hears of a window's
    /// result and then of a look at it.
    fn take_open(&mut self) -> Result<Option<Told>, anyhow::Error> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let is_wanted = |symbol: &Symbol| is_asked(&self.symbols, symbol);
        let mut rows = Vec::new();
        for New { symbol, shown, open, left_out } in open.take(is_wanted, &self.windows, ROWS_OF_MESSAGE) {
            self.looks_left_out += left_out;
            for head in &open {
                let mut cells = self.cells(&symbol, &shown.rows, head)?;
                // It has none until it is a result.
                cells[Shape::REVISION] = Cell::Empty;
                rows.push(cells);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let head = format!("\"open\":true,\"left_out\":{}", std::mem::take(&mut self.looks_left_out));
        self.message(&head, self.place, rows).map(Some)
    }
}

/// Rows of one message: some 16 KiB.
const ROWS_OF_MESSAGE: usize = STREAM_BATCH_BYTES / 512;

impl Follower for WindowFollower {
    async fn ready(&mut self) {
        let place = self.place.number;
        // An error means that the run is gone, and the server with it.
        let emitted = self.heads.wait_for(|head| *head > place);
        match &mut self.open {
            None => drop(emitted.await),
            Some(open) => tokio::select! {
                _ = emitted => {}
                () = open.ready() => {}
            },
        }
    }

    async fn take(&mut self) -> Result<Vec<Told>, Lost> {
        let told = self.take_emitted().and_then(|mut told| {
            told.extend(self.take_open()?);
            Ok(told)
        });
        told.map_err(|error| {
            tracing::error!(%error, "a window cannot be told");
            Lost::Failed
        })
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
    let open = if asked.is_live {
        let Ok(looks) = Arc::clone(&streams.lookers).try_acquire_owned() else {
            return streams.no_place(&format!("{} look at open windows already", streams.terms.lookers));
        };
        Some(OpenWindows::new(streams.viewer.pulse().open_windows().clone(), looks))
    } else {
        None
    };
    let follower = WindowFollower {
        open,
        looks_left_out: 0,
        heads: board.heads(),
        board,
        _following: following,
        shape: shape(&catalogue, &windows),
        catalogue: Arc::new(catalogue),
        windows,
        symbols: asked.symbols,
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
