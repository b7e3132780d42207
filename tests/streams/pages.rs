//! `/v1/alerts`: pages of the log, and cursors that do not fit it.

use serde_json::Value;
use tapedeck::query::alerts::{AlertFilter, columns};
use tapedeck::schema::alerts::Generation;

use crate::support::{Served, alert, get};

fn numbers(rows: &Value) -> Vec<u64> {
    let entries = rows.as_array().unwrap().iter().map(|row| row["entry"].as_u64().unwrap());
    entries.collect()
}

#[test]
fn pages_follow_each_other_without_a_hole() {
    let served = Served::start();
    let (status, empty) = get(served.address, "/v1/alerts?after=0");
    assert_eq!((status, numbers(&empty["rows"]), &empty["next"]), (200, vec![], &Value::from("1-0")));
    served.tell(1..=25);
    // What is not said to be committed is not shown.
    served.write(26..=30);
    let (mut seen, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let (status, page) = get(served.address, &format!("/v1/alerts?after={after}&limit=7"));
        assert_eq!(status, 200, "{page}");
        let names: Vec<String> = columns().into_iter().map(|column| column.name).collect();
        assert_eq!(page["columns"], Value::from(names));
        seen.extend(numbers(&page["rows"]));
        after = page["next"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!((seen, after.as_str()), ((1..=25).collect(), "1-25"));
    let (_, one) = get(served.address, "/v1/alerts?after=1-3&limit=1");
    let row = &one["rows"][0];
    assert_eq!((&row["cursor"], &row["state"]), (&Value::from("1-4"), &Value::from("firing")));
    assert_eq!(row["values"], "volume[1s]=4");
    served.end();
}

#[test]
fn filters_are_those_of_the_query() {
    let served = Served::start();
    served.tell(1..=40);
    let all = AlertFilter::default();
    let text = |text: &str| vec![text.to_owned()];
    for (query, filter) in [
        ("symbol=there%3A*", AlertFilter { symbols: text("there:*"), ..all.clone() }),
        ("symbol=ABC&rule=gap*", AlertFilter { symbols: text("ABC"), rules: text("gap*"), ..all.clone() }),
        ("severity=critical", AlertFilter { severity: Some(alert(4).severity), ..all.clone() }),
        ("state=resolved", AlertFilter { state: Some(alert(2).state), ..all.clone() }),
    ] {
        let (status, page) = get(served.address, &format!("/v1/alerts?{query}"));
        let wanted: Vec<u64> = (1..=40).filter(|&number| filter.takes(&alert(number))).collect();
        assert!(!wanted.is_empty() && wanted.len() < 40, "{query}");
        assert_eq!((status, numbers(&page["rows"])), (200, wanted), "{query}");
        assert_eq!(page["next"], "1-40", "who goes on need not look at them again");
    }
    for (query, said) in [
        ("severity=bad", "info, warning or critical"),
        ("state=on", "pending, firing or resolved"),
        ("after=7", "GENERATION-NUMBER"),
        ("limit=0", "from 1 to 10000"),
        ("after=1-5&after=1-6", "`after` is there twice"),
        ("severity=info&severity=critical", "`severity` is there twice"),
        ("symbols=x", "the nearest is `symbol`"),
    ] {
        let (status, answer) = get(served.address, &format!("/v1/alerts?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(answer["error"].as_str().unwrap().contains(said), "{answer}");
    }
    served.end();
}

#[test]
fn a_cursor_that_does_not_fit_is_told_where_the_log_is() {
    let served = Served::start();
    served.tell(1..=9);
    served.forget_before(4);
    for fits in ["1-3", "1-9", "0"] {
        assert_eq!(get(served.address, &format!("/v1/alerts?after={fits}")).0, 200, "{fits}");
    }
    let (status, gone) = get(served.address, "/v1/alerts?after=1-2");
    assert_eq!((status, &gone["oldest"]), (410, &Value::from("1-4")));
    let (status, beyond) = get(served.address, "/v1/alerts?after=1-10");
    assert_eq!((status, &beyond["head"]), (416, &Value::from("1-9")));
    served.enter(Generation { number: 2, differs_from: 6 });
    served.enter(Generation { number: 3, differs_from: 8 });
    let (status, later) = get(served.address, "/v1/alerts?after=2-5");
    assert_eq!((status, &later["generation"], &later["differs_from"]), (409, &3.into(), &8.into()));
    // Whoever missed one that rose is told the earliest difference.
    let (status, other) = get(served.address, "/v1/alerts?after=1-5");
    assert_eq!((status, &other["generation"], &other["differs_from"]), (409, &3.into(), &6.into()));
    assert!(other["error"].as_str().unwrap().contains("behind 3-5"), "{other}");
    let (status, page) = get(served.address, "/v1/alerts?after=3-5&limit=1");
    assert_eq!((status, &page["rows"][0]["cursor"]), (200, &Value::from("3-6")));
    served.end();
}
