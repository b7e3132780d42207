//! Sequences, counts and absences, second by second.

use feeds::time::SECOND;

use super::stage::Trial;

/// Judges `text` at each of these seconds with that price; the seconds at which it was true.
fn true_at(text: &str, prices: &[(i64, &str)]) -> Vec<i64> {
    let mut trial = Trial::new(text);
    let judged = prices.iter().map(|(second, price)| (*second, trial.at(*second, "price", price)));
    judged.filter(|(_, judged)| *judged == Some(true)).map(|(second, _)| second).collect()
}

#[test]
fn a_sequence_is_true_when_its_last_step_is() {
    let text = "price == 1 then price == 2 within 3s";
    assert_eq!(true_at(text, &[(0, "1"), (1, "5"), (3, "2"), (4, "2")]), [3]);
    assert_eq!(true_at(text, &[(0, "1"), (4, "2")]), [0; 0]);
    assert_eq!(true_at(text, &[(0, "2"), (1, "1")]), [0; 0]);
    // The newest first step counts.
    assert_eq!(true_at(text, &[(0, "1"), (2, "1"), (5, "2")]), [5]);
}

#[test]
fn each_step_is_a_later_judgement_and_a_match_begins_anew() {
    let text = "price > 0 then price > 0 within 9s";
    assert_eq!(true_at(text, &[(0, "1"), (1, "1"), (2, "1"), (3, "1"), (4, "-")]), [1, 3]);
    let text = "price == 1 then price == 2 then price == 3 within 4s";
    assert_eq!(true_at(text, &[(0, "1"), (1, "2"), (2, "1"), (4, "3"), (5, "3")]), [4]);
    // 2 came within the time of the first 1 only, which is too long ago at 3.
    assert_eq!(true_at(text, &[(0, "1"), (1, "2"), (2, "1"), (5, "3")]), [0; 0]);
}

#[test]
fn a_count_slides_and_begins_anew() {
    let text = "3 of price > 0 within 2s";
    let up = |seconds: &[i64]| seconds.iter().map(|second| (*second, "1")).collect::<Vec<_>>();
    assert_eq!(true_at(text, &up(&[0, 1, 2, 3, 4, 5])), [2, 5]);
    assert_eq!(true_at(text, &up(&[0, 2, 3, 4, 5, 7])), [4]);
    assert_eq!(true_at(text, &up(&[0, 3, 6])), [0; 0]);
    assert_eq!(true_at("1 of price > 0 within 1s", &up(&[0, 1])), [0, 1]);
}

#[test]
fn an_absence_is_true_from_its_deadline_until_it_comes() {
    let mut trial = Trial::new("not price > 10 for 5s");
    assert_eq!(trial.condition.deadline(&trial.memory), None);
    assert_eq!(trial.at(1, "price", "1"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(6 * SECOND));
    assert_eq!(trial.at(2, "price", "11"), Some(false));
    assert_eq!(trial.at(4, "price", "1"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(7 * SECOND));
    assert_eq!(trial.condition.pass(7 * SECOND - 1, &mut trial.memory), Some(false));
    assert_eq!(trial.condition.pass(7 * SECOND, &mut trial.memory), Some(true));
    assert_eq!(trial.condition.deadline(&trial.memory), None);
    assert_eq!(trial.at(9, "price", "1"), Some(true));
    assert_eq!(trial.at(10, "price", "-"), Some(true));
    assert_eq!(trial.at(11, "price", "12"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(16 * SECOND));
    // Who does not ask for deadlines learns of it at the next judgement.
    assert_eq!(trial.at(16, "price", "1"), Some(true));
}

#[test]
fn what_is_not_answered_is_reckoned_from_the_oldest() {
    let mut trial = Trial::new("price == 1 then not price == 2 for 5s");
    assert_eq!(trial.at(0, "price", "3"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), None);
    assert_eq!(trial.at(1, "price", "1"), Some(false));
    assert_eq!(trial.at(3, "price", "1"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(6 * SECOND));
    assert_eq!(trial.condition.pass(6 * SECOND, &mut trial.memory), Some(true));
    assert_eq!(trial.at(8, "price", "1"), Some(true));
    assert_eq!(trial.at(9, "price", "2"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), None);
    assert_eq!(trial.at(10, "price", "1"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(15 * SECOND));
    // An answer at the same judgement answers what was before, not itself.
    let mut trial = Trial::new("price > 0 then not price > 0 for 5s");
    assert_eq!(trial.at(0, "price", "1"), Some(false));
    assert_eq!(trial.at(2, "price", "1"), Some(false));
    assert_eq!(trial.condition.deadline(&trial.memory), Some(7 * SECOND));
}

#[test]
fn only_an_absence_has_a_deadline() {
    for text in ["price > 1", "price > 1 then price > 2 within 1s", "2 of price > 1 within 1s"] {
        let mut trial = Trial::new(text);
        trial.at(0, "price", "5");
        assert_eq!(trial.condition.deadline(&trial.memory), None);
        assert_eq!(trial.condition.pass(SECOND, &mut trial.memory), None);
    }
}
