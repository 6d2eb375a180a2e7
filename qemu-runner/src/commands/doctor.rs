//! `cargo norma doctor`: what is there, what is missing, and what mends it.

use super::data;
use crate::context::Context;
use crate::setup::{Finding, State, findings};
use crate::status::Status;

/// Prints every check. Fails when something is missing without which nothing works.
///
/// # Errors
/// None; the signature is that of every command.
pub fn run(context: &Context) -> anyhow::Result<Status> {
    let findings = findings(context);
    for finding in &findings {
        data(&text(finding));
    }
    let broken = findings
        .iter()
        .any(|finding| finding.required && matches!(finding.state, State::Missing { .. }));
    Ok(if broken { Status::Failed } else { Status::Pass })
}

fn text(finding: &Finding) -> String {
    match &finding.state {
        State::Found(what) => format!("ok       {:<15} {what}", finding.what),
        State::Missing { found, fix } => {
            let word = if finding.required {
                "missing"
            } else {
                "absent"
            };
            format!(
                "{word:<8} {:<15} {found}\n         {:<15} to mend it: {fix}",
                finding.what, ""
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_remedy() {
        let state = State::Missing {
            found: "no such thing".into(),
            fix: "get it".into(),
        };
        let text = text(&Finding {
            what: "thing",
            required: true,
            state,
        });
        assert!(
            text.starts_with("missing  thing") && text.contains("to mend it: get it"),
            "{text}"
        );
    }
}
