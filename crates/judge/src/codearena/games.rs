//! The two games of an item, exactly as the official code plays them.

use base::endpoint::{ChatError, Message};
use serde::{Deserialize, Serialize};

use super::backend::{Call, Judge};
use super::config::JudgeConfig;
use super::verdict::Verdict;

/// The follow-up to the judge when its judgement holds no label.
const CONTINUE: &str = "continue your judgment and finish by outputting a final verdict label";

/// Games an item: the baseline first, then the model first.
pub const GAMES: usize = 2;

/// A game that was played.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Game {
    /// The first user message.
    pub user_prompt: String,
    /// All the judge wrote, each attempt after a line break.
    pub judgment: String,
    /// The label; none where the judge gave none, or several.
    pub score: Option<String>,
    /// Attempts that were made.
    #[serde(default)]
    pub attempts: u32,
    /// Why attempts failed, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl Game {
    /// Whether the judge wrote anything at all. A game without is no result, also where an older journal holds it.
    pub fn answered(&self) -> bool {
        !self.judgment.trim().is_empty()
    }
}

/// A question with the two answers to compare.
#[derive(Clone, Copy, Debug)]
pub struct Matchup<'a> {
    /// The item's id.
    pub id: &'a str,
    /// The question.
    pub question: &'a str,
    /// The baseline's answer.
    pub baseline: &'a str,
    /// The model's answer.
    pub model: &'a str,
}

impl<'a> Matchup<'a> {
    /// The answers shown as A and B in a game: the baseline is A in even games, the model in odd ones.
    pub fn answers(&self, game: usize) -> [&'a str; 2] {
        match game % 2 {
            0 => [self.baseline, self.model],
            _ => [self.model, self.baseline],
        }
    }
}

/// Plays one game. A call that fails consumes an attempt; a judgement without a label is asked to go on, one with several
/// different labels is not.
///
/// # Errors
/// The last [`ChatError`] when no attempt was answered, or the first after which no other will be: the game was not played.
pub fn play(
    the_match: &Matchup<'_>,
    game: usize,
    config: &JudgeConfig,
    judge: &dyn Judge,
) -> Result<Game, ChatError> {
    let answers = the_match.answers(game);
    let mut messages = vec![Message::system(&config.system_prompt)];
    for template in &config.templates {
        let text = template.fill(the_match.question, answers[0], answers[1]);
        messages.push(Message::user(text));
    }
    let mut played = Game {
        user_prompt: messages
            .get(1)
            .map(|message| message.content.clone())
            .unwrap_or_default(),
        ..Game::default()
    };
    for attempt in 0..config.attempts {
        played.attempts += 1;
        let call = Call {
            id: the_match.id,
            game,
            attempt: attempt as usize,
            question: the_match.question,
            answers,
            messages: &messages,
            temperature: config.temperature,
            max_tokens: config.max_tokens,
        };
        let said = match judge.judge(&call) {
            Ok(said) => said,
            Err(ChatError::Stopped) => return Err(ChatError::Stopped),
            Err(error) => {
                let last = played.attempts == config.attempts;
                if played.judgment.is_empty() && (last || error.is_lasting()) {
                    return Err(error);
                }
                played
                    .errors
                    .push(base::command::one_line(&error.to_string()));
                continue;
            }
        };
        played.judgment.push('\n');
        played.judgment.push_str(&said);
        match Verdict::read(&config.pattern, &played.judgment) {
            Verdict::Missing => {
                messages.push(Message::assistant(said));
                messages.push(Message::user(CONTINUE));
            }
            verdict => {
                played.score = verdict.label().map(str::to_owned);
                break;
            }
        }
    }
    Ok(played)
}
