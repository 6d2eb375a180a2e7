//! A file of fault rules alone, for the simulation: the `[[fault]]` tables of a cluster file, and
//! nothing else.

use super::{ClusterError, error_at, from_toml, read_text};
use norma_faults::{Faults, Rule};
use std::path::Path;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    fault: Vec<toml::Spanned<Rule>>,
}

/// Reads the rules of a file and checks them; `names` are the nodes that they may name.
///
/// # Errors
/// The file cannot be read, or what is wrong in which of its lines.
pub fn read(path: &Path, names: &[String]) -> Result<Vec<Rule>, ClusterError> {
    parse(&read_text(path)?, path, names)
}

fn parse(text: &str, path: &Path, names: &[String]) -> Result<Vec<Rule>, ClusterError> {
    let file: RulesFile = from_toml(text, path)?;
    let places: Vec<usize> = file.fault.iter().map(|rule| rule.span().start).collect();
    let rules = file.fault.into_iter().map(toml::Spanned::into_inner);
    let rules: Vec<Rule> = rules.collect();
    // The seed decides nothing about whether they make sense.
    match Faults::new(0, &rules, names) {
        Ok(_) => Ok(rules),
        Err((rule, error)) => Err(error_at(path, text, places[rule], error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_faults::Action;

    fn read(text: &str) -> Result<Vec<Rule>, String> {
        let names = ["node0".to_owned(), "node1".to_owned()];
        parse(text, Path::new("rules.toml"), &names).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_are_those_of_a_cluster_file() {
        let rules = read(
            "[[fault]]\ndo = \"drop\"\nprobability = 0.5\n\n[[fault]]\ndo = \"crash\"\nnode = \"node1\"\nafter_ms = 7\n",
        );
        let crash = Rule::mishap(Action::Crash, "node1", 7);
        let drop = Rule::new(Action::Drop).with_probability(0.5);
        assert_eq!(rules, Ok(vec![drop, crash]));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line, words) in [
            ("[[fault]]\ndo = \"drop\"\nfrom = \"a\"\n", 1, "node0"),
            ("\n[[fault]]\ndo = \"melt\"\n", 3, "melt"),
            ("[cluster]\n", 1, "cluster"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.starts_with(&format!("rules.toml:{line}: ")),
                "{error}"
            );
            assert!(error.contains(words), "{error}");
        }
    }
}
