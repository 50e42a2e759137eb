//! Who answers questions about a picture.

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use base::media::{Image, data_address};

use super::SystemError;
use super::planner::sent;
use super::prompts;

/// How often an answer that cannot be read is asked for again.
const TRIES: u64 = 3;
/// Most questions about one prompt.
const MOST: usize = 64;

/// Says yes or no.
pub trait Judge: Sync {
    /// The answer to each question.
    ///
    /// # Errors
    /// [`SystemError`]: there is no answer.
    fn answers(&self, picture: &Image, questions: &[String]) -> Result<Vec<bool>, SystemError>;
}

/// A model that sees.
pub struct ModelJudge<M>(pub M);

impl<M: ChatModel> ModelJudge<M> {
    fn ask(&self, message: Message, max_tokens: u32, time: u64) -> Result<String, SystemError> {
        let reply = self.0.reply(&Request {
            prompt: Prompt::Chat(vec![message]),
            temperature: if time == 0 { 0.0 } else { 0.7 },
            max_tokens,
            seed: Some(time),
        })?;
        Ok(reply.text)
    }

    /// The questions that tell whether a picture follows `prompt`, in the model's words.
    ///
    /// # Errors
    /// [`SystemError`]: there is no reply, or no question in it.
    pub fn questions(&self, prompt: &str) -> Result<Vec<String>, SystemError> {
        let text = self.ask(Message::user(prompts::questions(prompt)), 1024, 0)?;
        let bullet = |c: char| "-*•.) ".contains(c) || c.is_ascii_digit();
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches(bullet));
        let questions: Vec<String> = lines
            .filter(|line| line.ends_with('?'))
            .take(MOST)
            .map(str::to_owned)
            .collect();
        match questions.is_empty() {
            true => Err(self.unable("wrote no question about the prompt").into()),
            false => Ok(questions),
        }
    }

    fn unable(&self, what: &str) -> ChatError {
        ChatError::Unable(format!(
            "the model `{}` {what}: ask one that follows instructions",
            self.0.name()
        ))
    }
}

impl<M: ChatModel> Judge for ModelJudge<M> {
    fn answers(&self, picture: &Image, questions: &[String]) -> Result<Vec<bool>, SystemError> {
        let seen = data_address(&sent(picture))?;
        let answer = |question: &String| {
            let message = Message::user(prompts::judge(question)).seeing(vec![seen.clone()]);
            for time in 0..TRIES {
                if let Some(yes) = yes_or_no(&self.ask(message.clone(), 16, time)?) {
                    return Ok(yes);
                }
            }
            let what = format!("answers neither yes nor no to `{question}` in {TRIES} tries");
            Err(self.unable(&what).into())
        };
        questions.iter().map(answer).collect()
    }
}

/// What the first word of an answer says.
fn yes_or_no(answer: &str) -> Option<bool> {
    let first = answer
        .split(|c: char| !c.is_alphabetic())
        .find(|it| !it.is_empty())?;
    match first.to_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_counts() {
        assert_eq!(yes_or_no("**Yes**, there is."), Some(true));
        assert_eq!(yes_or_no(" no"), Some(false));
        assert_eq!(yes_or_no("nothing to see"), None);
        assert_eq!(yes_or_no(""), None);
    }
}
