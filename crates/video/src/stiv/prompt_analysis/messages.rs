//! Messages about an analysed prompt.

use base::command::Failure;

use super::PromptAnalysis;

impl PromptAnalysis {
    /// What a person should be warned of, a line each.
    pub fn warnings(&self, prompt: &str) -> Vec<String> {
        let read = |(typed, read): &(String, String)| {
            format!("`{}` read as `{}`", short(typed), short(read))
        };
        let mut lines: Vec<String> = self.corrected.iter().map(read).collect();
        if let Some((typed, near)) = &self.mistaken {
            lines.push(format!(
                "`{}` is a word of another language: did you mean `{}`?",
                short(typed),
                short(near)
            ));
        }
        for (word, nearest) in self.unknown.iter().take(3) {
            lines.push(format!(
                "`{}` means nothing to this model{}",
                short(word),
                meant(nearest)
            ));
        }
        if self.unknown.len() > 3 {
            let more = self.unknown.len() - 3;
            lines.push(format!("{more} more words mean nothing to it"));
        }
        if self.candidates.iter().any(|name| !name.is_empty()) {
            let (prompt, all) = (short(prompt), self.candidates.join(", "));
            lines.push(match self.mixed {
                true => format!(
                    "reading `{prompt}` as a mix of: {all}; name one of them for a clearer picture"
                ),
                false => format!(
                    "`{prompt}` may mean: {all}; `{}` is drawn, name another one to have it",
                    self.subject
                ),
            });
        }
        if !self.left_out.is_empty() {
            let words: Vec<String> = self
                .left_out
                .iter()
                .take(3)
                .map(|word| short(word))
                .collect();
            lines.push(format!(
                "one thing is drawn, `{}`; left out: {}",
                self.subject,
                words.join(", ")
            ));
        }
        lines
    }

    /// Why nothing can be drawn.
    pub fn refusal(&self) -> Failure {
        let mut near = self.unknown.iter().flat_map(|(_, nearest)| nearest.iter());
        let try_these = match near.next() {
            Some(first) => {
                let rest = near.take(2).map(|word| format!(", `{word}`"));
                format!("did you mean `{first}`{}?", rest.collect::<String>())
            }
            None => "try `red apple`, `fox` or `rocket`".into(),
        };
        let cause = match self.unknown.first() {
            Some((word, _)) => {
                format!(
                    "no word of the prompt is a subject of this model (`{}`)",
                    short(word)
                )
            }
            None => "the prompt does not say what to draw".into(),
        };
        Failure::input(format!("{cause}: {try_these}"))
    }
}

fn meant(nearest: &[String]) -> String {
    match nearest {
        [] => ": it is left out".into(),
        words => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            format!(": did you mean {}?", words.join(", "))
        }
    }
}

/// At most 40 characters of a text, on one line.
fn short(text: &str) -> String {
    let mut kept: String = text.chars().take(40).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    base::command::one_line(&kept)
}
