//! Patterns for names: `*` is any run of characters, also none, `?` is one.

use std::fmt;

/// A pattern that is known to be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(String);

impl Glob {
    /// The pattern that is written like this. Any text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Glob {
        Glob(pattern.to_owned())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if it fits one name only.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// True if it fits the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        fits(&self.0, name)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// True if `pattern` fits the whole of `name`. Takes at most as many steps as the two lengths multiplied.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on when what follows the last `*` does not fit: the `*` then takes one character more.
    let mut last_star = None;
    loop {
        let (mut behind, mut rest) = (pattern.clone(), name.clone());
        match (behind.next(), rest.next()) {
            (Some('*'), _) => {
                last_star = Some((behind.clone(), name.clone()));
                pattern = behind;
            }
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (pattern, name) = (behind, rest);
            }
            _ => {
                let Some((after, taken)) = &mut last_star else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition, recursively.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                naive(rest, name) || name.split_first().is_some_and(|(_, after)| naive(pattern, after))
            }
            (['?', rest @ ..], [_, after @ ..]) => naive(rest, after),
            ([wanted, rest @ ..], [found, after @ ..]) => wanted == found && naive(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_what_their_definition_says(pattern in "[ab*?]{0,8}", name in "[abc]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(fits(&pattern, &name), naive(&chars(&pattern), &chars(&name)));
            prop_assert_eq!(Glob::new(&pattern).matches(&name), fits(&pattern, &name));
        }
    }

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
