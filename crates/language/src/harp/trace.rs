//! What happened at each token, for people: coloured text in the terminal, JSON lines.

use std::fmt::Write;
use std::io::IsTerminal;

use serde::Serialize;

use super::{Generation, HarpConfig, Metric, TokenStep};

/// Upper ends of the bands of entropy, in bits; the last band has none.
pub(super) const BANDS: [f32; 5] = [0.5, 1.0, 2.0, 4.0, 6.0];
/// Colours of the bands among the terminal's 256, calm to hot.
const TERMINAL: [u8; 6] = [71, 108, 179, 215, 209, 203];
/// The band of an entropy.
pub(super) fn band(entropy: f32) -> usize {
    BANDS.iter().take_while(|end| entropy > **end).count()
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colors {
    /// On a terminal, unless the variable NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colors {
    /// Whether standard output is coloured.
    pub fn wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
                !asked_not_to && std::io::stdout().is_terminal()
            }
        }
    }
}

/// A token as the terminal shows it: coloured by entropy, underlined where the model hesitated, bold where the second look
/// changed the best token. Control characters of the text are not passed on, but for line breaks and tabs.
pub(super) fn terminal(step: &TokenStep, colors: bool) -> String {
    let text = printable(&step.text);
    if !colors || text.is_empty() {
        return text;
    }
    let marks = match (step.changed(), step.hesitated) {
        (true, _) => ";1;4",
        (false, true) => ";4",
        (false, false) => "",
    };
    format!(
        "\x1b[38;5;{}{marks}m{text}\x1b[0m",
        TERMINAL[band(step.entropy)]
    )
}

/// Text that cannot steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// What the colours mean.
pub fn legend() -> String {
    let mut line = "entropy in bits: ".to_owned();
    let mut from = 0.0;
    for (at, color) in TERMINAL.iter().enumerate() {
        let words = match BANDS.get(at) {
            Some(end) => format!("{from}–{end}"),
            None => format!("over {from}"),
        };
        let _ = write!(line, "\x1b[38;5;{color}m{words}\x1b[0m  ");
        from = BANDS.get(at).copied().unwrap_or(from);
    }
    line + "\x1b[4mlooked twice\x1b[0m  \x1b[1;4mchanged by it\x1b[0m"
}

/// A token of a trace.
#[derive(Serialize)]
struct TraceLine<'a> {
    prompt: usize,
    token: usize,
    id: u32,
    text: &'a str,
    entropy: f32,
    hesitated: bool,
    vanilla_argmax: u32,
    vanilla_text: &'a str,
    final_argmax: u32,
}

/// One JSON object a token, with the number of its prompt.
///
/// # Errors
/// [`serde_json::Error`] for numbers that JSON does not have.
pub fn json_lines(generations: &[Generation]) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for (prompt, generation) in generations.iter().enumerate() {
        for (token, step) in generation.trace.iter().enumerate() {
            out += &serde_json::to_string(&TraceLine {
                prompt,
                token,
                id: step.id,
                text: &step.text,
                entropy: step.entropy,
                hesitated: step.hesitated,
                vanilla_argmax: step.vanilla,
                vanilla_text: &step.vanilla_text,
                final_argmax: step.best,
            })?;
            out.push('\n');
        }
    }
    Ok(out)
}

/// In a few words: how many tokens, how often the model looked twice and what that changed.
pub(super) fn summary(generation: &Generation, config: &HarpConfig) -> String {
    let changed = generation
        .trace
        .iter()
        .filter(|step| step.changed())
        .count();
    let plural = if generation.steps == 1 { "" } else { "s" };
    let steps = format!("{} step{plural}", generation.steps);
    match config.metric {
        Metric::Never => format!("{steps}, one pass each"),
        _ => format!(
            "{steps}, looked twice at {} ({:.0} %), which changed the best token at {changed}; {:.2} passes a token",
            generation.hesitations,
            100.0 * generation.hesitation_rate(),
            generation.passes_per_token(config),
        ),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::harp) fn step(text: &str, entropy: f32, hesitated: bool, best: u32) -> TokenStep {
        TokenStep {
            id: best,
            text: text.into(),
            entropy,
            hesitated,
            vanilla: 1,
            vanilla_text: "<b>".into(),
            best,
        }
    }

    #[test]
    fn tokens_are_marked_and_cannot_steer_the_terminal() {
        assert_eq!(
            terminal(&step("a\x1b[2J\n", 0.1, false, 1), false),
            "a\u{fffd}[2J\n"
        );
        assert_eq!(
            terminal(&step("a", 0.1, false, 1), true),
            "\x1b[38;5;71ma\x1b[0m"
        );
        assert_eq!(
            terminal(&step("a", 1.5, true, 1), true),
            "\x1b[38;5;179;4ma\x1b[0m"
        );
        assert_eq!(
            terminal(&step("a", 9.0, true, 2), true),
            "\x1b[38;5;203;1;4ma\x1b[0m"
        );
    }
}
