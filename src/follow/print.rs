//! Alerts as they are printed: lines for people, CSV, NDJSON.

use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use crate::output::{Cell, Column, ColumnKind, Format, write};
use crate::query::alerts::columns;

/// How alerts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A line for each, for people.
    Table,
    /// The columns of `query alerts`, with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Writes alerts to an output.
pub(super) struct Printer<'a> {
    form: Form,
    columns: Vec<Column>,
    out: &'a mut (dyn Write + Send),
    has_header: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(form: Form, out: &'a mut (dyn Write + Send)) -> Printer<'a> {
        // What came over the wire is text already.
        let columns = columns().iter().map(|column| Column::new(&column.name, ColumnKind::Text)).collect();
        Printer { form, columns, out, has_header: false }
    }

    /// Writes one alert.
    pub(super) fn put(&mut self, alert: &Value) -> Result<()> {
        match self.form {
            Form::Table => writeln!(self.out, "{}", line(alert))?,
            Form::Ndjson => writeln!(self.out, "{}", ordered(alert, &self.columns)?)?,
            Form::Csv => {
                let cells = self.columns.iter().map(|column| cell(alert.get(&column.name)));
                let mut text = Vec::new();
                write(Format::Csv, &self.columns, std::iter::once(Ok(cells.collect())), &mut text)?;
                let header = text.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                let from = if std::mem::replace(&mut self.has_header, true) { header } else { 0 };
                self.out.write_all(&text[from..])?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// The members in the order of the columns, and whatever else there is behind them.
fn ordered(alert: &Value, columns: &[Column]) -> Result<String> {
    let Some(members) = alert.as_object() else { return Ok(alert.to_string()) };
    let is_column = |name: &String| columns.iter().any(|column| column.name == *name);
    let known = columns.iter().filter_map(|column| members.get_key_value(&column.name));
    let others = members.iter().filter(|(name, _)| !is_column(name));
    let mut text = String::from("{");
    for (name, value) in known.chain(others) {
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}{}:{value}", serde_json::to_string(name)?));
    }
    text.push('}');
    Ok(text)
}

fn cell(value: Option<&Value>) -> Cell {
    match value {
        None | Some(Value::Null) => Cell::Empty,
        Some(Value::String(text)) => Cell::Text(text.clone()),
        Some(other) => Cell::Text(other.to_string()),
    }
}

/// Time, severity, state, rule, symbol and message. What could move a terminal's cursor is not passed on.
fn line(alert: &Value) -> String {
    let text = |name: &str| {
        let text = alert.get(name).and_then(Value::as_str).unwrap_or_default();
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    };
    // Milliseconds are enough for people.
    let time: String = text("event_time").chars().take("2024-08-08T12:00:00.000".len()).collect();
    let suppressed = text("suppressed");
    let suppressed = if suppressed.is_empty() { suppressed } else { format!(" ({suppressed})") };
    format!(
        "{time}Z {:<8} {:<8} {:<20} {:<24} {}{suppressed}",
        text("severity"),
        text("state"),
        text("rule"),
        text("symbol"),
        text("message")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(form: Form, alerts: &[Value]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(form, &mut out);
        alerts.iter().for_each(|alert| printer.put(alert).unwrap());
        printer.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn alerts_in_every_form() {
        let one = json!({
            "entry": 7, "cursor": "1-2", "id": "00ff", "state": "firing", "rule": "burst", "symbol": "here:ABC",
            "severity": "warning", "event_time": "2024-08-08T12:00:00.123456789Z", "fired_at": null,
            "message": "much,\u{1b}[2J much", "values": "volume[1s]=2", "flags": null, "labels": null,
            "suppressed": "silence:night", "later": true,
        });
        assert_eq!(
            printed(Form::Csv, &[one.clone(), one.clone()]),
            "cursor,id,state,rule,symbol,severity,event_time,fired_at,message,values,flags,labels,suppressed,entry\n"
                .to_owned()
                + &"1-2,00ff,firing,burst,here:ABC,warning,2024-08-08T12:00:00.123456789Z,,\"much,\u{1b}[2J much\",\
                    volume[1s]=2,,,silence:night,7\n"
                    .repeat(2)
        );
        let lines = printed(Form::Ndjson, std::slice::from_ref(&one));
        assert!(
            lines.starts_with("{\"cursor\":\"1-2\",\"id\":\"00ff\",\"state\":")
                && lines.ends_with(",\"later\":true}\n")
        );
        assert_eq!(serde_json::from_str::<Value>(&lines).unwrap(), one);
        let line = printed(Form::Table, &[one]);
        assert!(line.starts_with("2024-08-08T12:00:00.123Z warning  firing   burst"), "{line}");
        assert!(line.ends_with("much, [2J much (silence:night)\n") && !line.contains('\u{1b}'), "{line}");
    }
}
