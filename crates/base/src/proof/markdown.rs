//! The report for people.

use std::fmt::Write;

use super::measure::{Better, Measure};
use super::report::{Claim, Experiment, Report};
use crate::table::Table;

/// The whole report as Markdown. Writing into a string cannot fail, so results of `write!` are dropped.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# Proof: {}\n", report.title);
    let seeds: Vec<String> = report.seeds.iter().map(u64::to_string).collect();
    let _ = writeln!(
        out,
        "`{}` · Orrery {} · {} run · seeds {} · {} cores · {}\n",
        report.command,
        report.version,
        if report.full { "full" } else { "short" },
        seeds.join(", "),
        report.cores,
        minutes(report.seconds),
    );
    claims(&mut out, report);
    for experiment in &report.experiments {
        table(&mut out, experiment);
    }
    for figure in &report.figures {
        let _ = writeln!(out, "![{}]({})\n", figure.caption, figure.file);
        let _ = writeln!(out, "*{}*\n", figure.caption);
    }
    if !report.notes.is_empty() {
        out.push_str("## Notes\n\n");
        for note in &report.notes {
            let _ = writeln!(out, "- {note}");
        }
        out.push('\n');
    }
    out.push_str(
        "Brackets hold 95 % intervals: Student's over seeds, Wilson's over samples of one model, or as a measure's text \
         says. *Shown* needs the whole interval on the right side of the threshold, *shown, narrowly* the mean alone.\n",
    );
    out
}

fn claims(out: &mut String, report: &Report) {
    let row = |claim: &Claim| {
        let revised = match claim.revised {
            true => " (threshold changed after an earlier run)",
            false => "",
        };
        [
            format!("**{}**{revised}", claim.verdict.words()),
            format!("{} ({})", claim.statement, claim.source),
            claim.threshold.clone(),
            claim.evidence.clone(),
        ]
    };
    let heads = ["", "Claim", "What would show it", "What was found"];
    let table = Table::new(heads, report.claims.iter().map(row));
    let _ = writeln!(out, "## Claims\n\n{}\n", table.markdown(false));
}

fn table(out: &mut String, experiment: &Experiment) {
    let _ = writeln!(out, "## {}\n\n{}\n", experiment.title, experiment.about);
    let named = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let measures = experiment.measures.iter();
    let row = |arm: &super::Arm| {
        let cells = measures.clone().map(|measure| measure.show(&arm.name));
        named(&arm.name, cells.collect())
    };
    let table = Table {
        heads: named("", measures.clone().map(head).collect()),
        rows: experiment.arms.iter().map(row).collect(),
    };
    let _ = writeln!(out, "{}\n", table.markdown(false));
    for measure in &experiment.measures {
        let _ = writeln!(out, "- **{}**: {}", measure.name, measure.about);
    }
    for arm in experiment.arms.iter().filter(|arm| !arm.about.is_empty()) {
        let _ = writeln!(out, "- *{}*: {}", arm.name, arm.about);
    }
    out.push('\n');
}

fn head(measure: &Measure) -> String {
    let arrow = match measure.better {
        Better::Higher => " ↑",
        Better::Lower => " ↓",
        Better::Near => "",
    };
    format!("{}{arrow}", measure.name)
}

fn minutes(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::proof::{Arm, Claim, Experiment, Figure, Measure, Outcome, Report, Verdict};

    fn report() -> Report {
        let mut measure = Measure::lower("distance", "how far");
        measure.outcomes = vec![
            Outcome::numbers("method", &[(0, 1.0), (1, 2.0)]),
            Outcome::numbers("baseline", &[(0, f64::NAN)]),
        ];
        let mut report = Report::new("toy", "Toy", "orrery prove toy", false, &[0, 1]);
        report.claims.push(Claim {
            statement: "|x| falls".into(),
            source: "paper".into(),
            threshold: "below 2".into(),
            verdict: Verdict::from_met(false),
            evidence: measure.show("method"),
            revised: false,
        });
        report.experiments.push(Experiment {
            title: "One".into(),
            about: "Two arms.".into(),
            arms: vec![Arm::new("method", ""), Arm::new("baseline", "does nothing")],
            measures: vec![measure],
        });
        report
            .figures
            .push(Figure::encoded("a.png", "A dot", vec![0]));
        report
    }

    #[test]
    fn a_claim_that_does_not_show_says_so() {
        let text = report().markdown();
        assert!(
            text.contains(
                "| **not shown** | \\|x\\| falls (paper) | below 2 | 1.500 [-4.853, 7.853] |"
            ),
            "{text}"
        );
        assert!(text.contains("| baseline | – |"), "{text}");
        assert!(text.contains("| | distance ↓ |"), "{text}");
    }

    #[test]
    fn all_files_are_written_and_the_json_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("made/here");
        report().write(&place).unwrap();
        let text = std::fs::read_to_string(place.join("report.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["claims"][0]["verdict"], "not_shown");
        let outcome = &json["experiments"][0]["measures"][0]["outcomes"][0];
        assert_eq!(
            (outcome["mean"].as_f64(), outcome["method"].as_str()),
            (Some(1.5), Some("student"))
        );
        assert!(json["experiments"][0]["measures"][0]["outcomes"][1]["mean"].is_null());
        assert!(place.join("a.png").exists() && place.join("report.md").exists());
        assert!(!text.contains(&folder.path().display().to_string()));
    }
}
