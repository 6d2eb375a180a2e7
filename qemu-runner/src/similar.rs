//! "Did you mean": the known word that a mistyped one is nearest to.
//!
//! (Commands and options are the command line parser's, which does the same.)

use strsim::damerau_levenshtein;

/// `; did you mean ...?` to be put behind an error, or nothing where no known word is near: a
/// third of the letters may be wrong, and one in any case.
#[must_use]
pub fn hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let most = (wanted.chars().count() / 3).max(1);
    let lower = wanted.to_lowercase();
    let near = known.into_iter().filter_map(|word| {
        let far = damerau_levenshtein(&lower, &word.to_lowercase());
        (far <= most).then_some((far, word))
    });
    let nearest = near.min_by_key(|(far, _)| *far);
    nearest.map_or_else(String::new, |(_, word)| format!("; did you mean `{word}`?"))
}

/// `expected one of: ...`, with a hint.
#[must_use]
pub fn expected<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let hint = hint(wanted, known.iter().copied());
    format!("expected one of: {}{hint}", known.join(", "))
}

/// A hint for a message of serde's: what it found and what it knows are in it in backticks.
#[must_use]
pub fn hint_for_unknown(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wanted = quoted.next().unwrap_or_default();
    hint(wanted, quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_none_that_is_far() {
        let known = ["demo", "hello", "nettest"];
        assert_eq!(hint("dmeo", known), "; did you mean `demo`?");
        assert_eq!(hint("Hello", known), "; did you mean `hello`?");
        assert_eq!(hint("netest", known), "; did you mean `nettest`?");
        assert_eq!(hint("bench", known), "");
        assert_eq!(hint("b", ["a", "c"]), "; did you mean `a`?");
        assert_eq!(hint("", known), "");
        let message = "unknown field `nmae`, expected one of `image`, `name`";
        assert_eq!(hint_for_unknown(message), "; did you mean `name`?");
        assert_eq!(hint_for_unknown("missing field `image`"), "");
    }
}
