//! The analysis for people.

use std::fmt::Write;

use base::table::Table;

use super::super::indicators::COLUMNS;
use super::{Analysis, Comparison};

/// The report in Markdown.
pub fn markdown(analysis: &Analysis) -> String {
    let mut out = format!("# {}\n\n", analysis.title);
    if analysis.simulated {
        out.push_str("**These ratings are simulated. They say nothing about people.**\n\n");
    }
    let _ = writeln!(
        out,
        "{} participants, {} ratings. Pre-registration: SHA-256 `{}`.\n",
        analysis.participants, analysis.ratings, analysis.prereg_sha
    );
    if analysis.participants != analysis.planned_participants {
        let _ = writeln!(
            out,
            "**{} participants were registered, not {}.**\n",
            analysis.planned_participants, analysis.participants
        );
    }
    if !analysis.excluded.is_empty() {
        out.push_str("Left out:\n\n");
        for it in &analysis.excluded {
            let _ = writeln!(out, "- {}: {}", it.participant, it.reason);
        }
        out.push('\n');
    }
    out.push_str("## Against the baseline\n\n");
    comparisons(&mut out, &analysis.comparisons);
    let below = |it: &&Comparison| it.p_holm.is_some_and(|p| p < analysis.alpha);
    let found = analysis.comparisons.iter().filter(below);
    let found: Vec<String> = found
        .map(|it| format!("{} of {} ({})", it.aspect, it.config, it.condition))
        .collect();
    let _ = writeln!(
        out,
        "At the registered level of {} these differ from the baseline: {}.\n",
        analysis.alpha,
        match found.is_empty() {
            true => "none".to_owned(),
            false => found.join(", "),
        }
    );
    out.push_str("Stars: *** p < .01, ** p < .05, * p < .1, of the pre-registered test, Holm-corrected over configurations. d: Cohen's d of single ratings with its 95 % interval. Mixed: rating ~ configuration + (1|participant) + (1|message), REML, Wald's z. Wilcoxon: participants' means, zeros dropped, tie-corrected, no continuity correction. Mann–Whitney: single ratings, tie-corrected, continuity-corrected.\n\n");
    if let Some((name, rows)) = &analysis.subgroup {
        let _ = writeln!(out, "## Subgroup: {name}\n");
        match rows.is_empty() {
            true => out.push_str("Nobody, or no ratings of the baseline.\n\n"),
            false => comparisons(&mut out, rows),
        }
    }
    if !analysis.conditions.is_empty() {
        out.push_str("## Context shown against not shown\n\nParticipants' means, Mann–Whitney, Holm-corrected over configurations.\n\n");
        let rows = analysis.conditions.iter().map(|it| {
            [
                it.aspect.clone(),
                it.config.clone(),
                number(it.d),
                p(Some(it.p)),
                p(Some(it.p_holm)),
            ]
        });
        let heads = ["aspect", "configuration", "d", "p", "corrected"];
        let _ = writeln!(out, "{}\n", Table::new(heads, rows).markdown(false));
    }
    let rows = analysis.agreement.iter();
    let rows = rows.map(|it| [it.aspect.clone(), it.condition.clone(), number(it.alpha)]);
    let _ = writeln!(
        out,
        "## Agreement of raters\n\nKrippendorff's α, ordinal.\n\n{}\n",
        Table::new(["aspect", "condition", "α"], rows).markdown(false)
    );
    if !analysis.indicators.is_empty() {
        let heads = [
            "aspect",
            "indicator",
            "over",
            "n",
            "Spearman",
            "p",
            "Kendall",
            "p",
        ];
        let rows = analysis.indicators.iter().map(|it| {
            [
                it.aspect.clone(),
                it.indicator.clone(),
                it.over.to_string(),
                it.count.to_string(),
                format!("{:.3}", it.spearman),
                p(Some(it.p_spearman)),
                format!("{:.3}", it.kendall),
                p(Some(it.p_kendall)),
            ]
        });
        let _ = writeln!(
            out,
            "## Ratings and indicators\n\nIndicators: {}.\n\n{}\n",
            COLUMNS.join(", "),
            Table::new(heads, rows).markdown(false)
        );
    }
    let rows = analysis.ranks.iter().map(|it| {
        let rank = |rank: f64| format!("{rank:.2}");
        let algorithmic = it.algorithmic.map_or("–".to_owned(), rank);
        [it.config.clone(), rank(it.human), algorithmic]
    });
    let _ = writeln!(
        out,
        "## Rankings\n\nMean ranks, 1 the best.\n\n{}",
        Table::new(["configuration", "people", "indicators"], rows).markdown(false)
    );
    out
}

fn comparisons(out: &mut String, rows: &[Comparison]) {
    let heads = [
        "aspect",
        "condition",
        "configuration",
        "mean (Ba)",
        "d",
        "Cliff's δ",
        "mixed ± error",
        "p mixed",
        "p Wilcoxon",
        "p Mann–Whitney",
        "corrected",
    ];
    let rows = rows.iter().map(|it| {
        let interval = it.d_interval.map_or(String::new(), |ends| {
            format!(" [{:.2}, {:.2}]", ends.low, ends.high)
        });
        let error = it
            .mixed_error
            .map_or(String::new(), |error| format!(" ± {error:.3}"));
        [
            it.aspect.clone(),
            it.condition.clone(),
            it.config.clone(),
            format!("{:.2} ({:.2})", it.mean, it.baseline),
            number(it.d) + &interval,
            number(it.delta),
            number(it.mixed) + &error,
            p(it.p_mixed),
            p(it.p_wilcoxon),
            p(it.p_mann_whitney),
            format!("{} {}", p(it.p_holm), it.stars()),
        ]
    });
    let _ = writeln!(out, "{}\n", Table::new(heads, rows).markdown(false));
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

fn p(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(p) if p < 0.0005 => "< .001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}
