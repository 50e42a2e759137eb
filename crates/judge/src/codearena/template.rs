//! Prompt templates in the manner of Python's `str.format`. Only the template is formatted: braces in a question or an
//! answer stay what they are.

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Question,
    AnswerA,
    AnswerB,
}

/// A template that was found to be sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<(String, Option<Field>)>,
}

impl Template {
    /// Reads a template with the fields `{question_1}`, `{answer_1}` (A) and `{answer_2}` (B); `{{` and `}}` are braces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    text.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err("a field of the template does not end".into()),
                        }
                    }
                    let field = match name.as_str() {
                        "question_1" | "question" => Field::Question,
                        "answer_1" | "a" => Field::AnswerA,
                        "answer_2" | "b" => Field::AnswerB,
                        _ => {
                            let name: String = name.chars().take(40).collect();
                            return Err(format!(
                                "the template asks for `{{{name}}}`: there are `question_1`, `answer_1` and `answer_2`"
                            ));
                        }
                    };
                    pieces.push((std::mem::take(&mut text), Some(field)));
                }
                '}' => return Err("the template has a single `}`: write `}}`".into()),
                _ => text.push(c),
            }
        }
        pieces.push((text, None));
        Ok(Self {
            source: source.to_owned(),
            pieces,
        })
    }

    /// The template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text with everything in its place.
    pub fn fill(&self, question: &str, answer_a: &str, answer_b: &str) -> String {
        let mut out = String::new();
        for (text, field) in &self.pieces {
            out.push_str(text);
            out.push_str(match field {
                Some(Field::Question) => question,
                Some(Field::AnswerA) => answer_a,
                Some(Field::AnswerB) => answer_b,
                None => "",
            });
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Template;

    #[test]
    fn only_the_template_is_formatted() {
        let template = Template::new("{{x}} {question_1}|{answer_1}|{answer_2}").unwrap();
        assert_eq!(
            template.fill("{answer_2}", "{", "}}"),
            "{x} {answer_2}|{|}}"
        );
        assert!(Template::new("{other}").unwrap_err().contains("`{other}`"));
        assert!(Template::new("a } b").is_err());
        assert!(
            Template::new("{question_1")
                .unwrap_err()
                .contains("does not end")
        );
    }
}
