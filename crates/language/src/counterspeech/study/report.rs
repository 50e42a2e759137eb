//! The analysis for people.

use std::fmt::Write;

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
        out.push_str("## Context shown against not shown\n\nParticipants' means, Mann–Whitney, Holm-corrected over configurations.\n\n| aspect | configuration | d | p | corrected |\n| --- | --- | --- | --- | --- |\n");
        for it in &analysis.conditions {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                it.aspect,
                it.config,
                number(it.d),
                p(Some(it.p)),
                p(Some(it.p_holm))
            );
        }
        out.push('\n');
    }
    out.push_str("## Agreement of raters\n\nKrippendorff's α, ordinal.\n\n| aspect | condition | α |\n| --- | --- | --- |\n");
    for it in &analysis.agreement {
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            it.aspect,
            it.condition,
            number(it.alpha)
        );
    }
    out.push('\n');
    if !analysis.indicators.is_empty() {
        let _ = writeln!(
            out,
            "## Ratings and indicators\n\nIndicators: {}.\n",
            COLUMNS.join(", ")
        );
        out.push_str("| aspect | indicator | over | n | Spearman | p | Kendall | p |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for it in &analysis.indicators {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {:.3} | {} | {:.3} | {} |",
                it.aspect,
                it.indicator,
                it.over,
                it.count,
                it.spearman,
                p(Some(it.p_spearman)),
                it.kendall,
                p(Some(it.p_kendall))
            );
        }
        out.push('\n');
    }
    out.push_str("## Rankings\n\nMean ranks, 1 the best.\n\n| configuration | people | indicators |\n| --- | --- | --- |\n");
    for it in &analysis.ranks {
        let algorithmic = it
            .algorithmic
            .map_or("–".to_owned(), |rank| format!("{rank:.2}"));
        let _ = writeln!(out, "| {} | {:.2} | {algorithmic} |", it.config, it.human);
    }
    out
}

fn comparisons(out: &mut String, rows: &[Comparison]) {
    out.push_str("| aspect | condition | configuration | mean (Ba) | d | Cliff's δ | mixed ± error | p mixed | p Wilcoxon | p Mann–Whitney | corrected |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for it in rows {
        let interval = it.d_interval.map_or(String::new(), |ends| {
            format!(" [{:.2}, {:.2}]", ends.low, ends.high)
        });
        let error = it
            .mixed_error
            .map_or(String::new(), |error| format!(" ± {error:.3}"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} ({:.2}) | {}{interval} | {} | {}{error} | {} | {} | {} | {} {} |",
            it.aspect,
            it.condition,
            it.config,
            it.mean,
            it.baseline,
            number(it.d),
            number(it.delta),
            number(it.mixed),
            p(it.p_mixed),
            p(it.p_wilcoxon),
            p(it.p_mann_whitney),
            p(it.p_holm),
            it.stars()
        );
    }
    out.push('\n');
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
