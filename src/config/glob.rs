//! Patterns for names: `*` is any run of characters, also none, `?` is one.

/// True if `pattern` fits the whole of `name`.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: the `*` then takes one character more.
    let mut last_star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                last_star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                at = star + 1;
                read = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "here:ABC"),
            ("here:*", "here:ABC"),
            ("*:ABC", "here:ABC"),
            ("h*:*C", "here:ABC"),
            ("here:A?C", "here:ABC"),
            ("**", "x"),
            ("*aab", "aaaab"),
            ("é?", "éé"),
            ("", ""),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "x"), ("?", ""), ("here:", "here:ABC"), ("*:ABD", "here:ABC"), ("A*A", "A"), ("a", "A")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    /// A pattern from outside must not make a match take for ever.
    #[test]
    fn many_stars_take_no_longer_than_the_product_of_the_lengths() {
        assert!(!fits(&"*a".repeat(2_000), &"a".repeat(1_999)));
        assert!(!fits(&format!("{}b", "*a".repeat(1_000)), &"a".repeat(4_000)));
    }
}
