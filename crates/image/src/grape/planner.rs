//! Who writes the plan: any model that sees, behind an OpenAI-compatible server.

use base::endpoint::{ChatModel, Message, Prompt, Reply, Request};
use base::media::{Image, data_address};

use super::SystemError;
use super::plan::{Parser, Plan};
use super::prompts;
use super::rule;
use super::scene::{Block, Colour, Demand, PromptSpec, Scene, Shape, Side};

/// Longest reply, in tokens (as published).
const LONGEST: u32 = 1024;
/// Longest side of a picture that is sent, in pixels.
const SENT: u32 = 1024;
/// Side of the examples' pictures.
const EXAMPLE: u32 = 512;
/// How many examples there are.
pub const EXAMPLES: usize = 8;

/// How a plan is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Whether another picture may be asked for in place of a plan.
    pub regenerate: bool,
    /// Whether the last reply could not be read.
    pub again: bool,
}

/// Compares a picture with its prompt.
pub trait Planner: Sync {
    /// Its name, as it goes into records.
    fn name(&self) -> &str;

    /// A reply that [`Parser`] reads.
    ///
    /// # Errors
    /// [`SystemError`]: there is no reply.
    fn reply(&self, picture: &Image, prompt: &str, ask: Ask) -> Result<Reply, SystemError>;

    /// The single steps of an instruction that is too long.
    ///
    /// # Errors
    /// As [`Planner::reply`].
    fn split(&self, instruction: &str) -> Result<Vec<String>, SystemError> {
        Ok(vec![instruction.to_owned()])
    }
}

/// A model that sees.
pub struct ModelPlanner<M> {
    model: M,
    /// Pictures, prompts and answers that show the layout.
    examples: Vec<Message>,
}

impl<M: ChatModel> ModelPlanner<M> {
    /// `model` with the first so many of [`EXAMPLES`] examples.
    ///
    /// # Errors
    /// None that is known.
    pub fn new(model: M, examples: usize) -> Result<Self, SystemError> {
        let mut messages = Vec::new();
        for (spec, scene) in self::examples().into_iter().take(examples) {
            let seen = data_address(&scene.render(EXAMPLE))?;
            let asked = prompts::query(&spec.to_string());
            messages.push(Message::user(asked).seeing(vec![seen]));
            messages.push(Message::assistant(rule::reply(&scene, &spec, true)));
        }
        Ok(Self {
            model,
            examples: messages,
        })
    }

    fn ask(&self, messages: Vec<Message>, again: bool) -> Result<Reply, SystemError> {
        Ok(self.model.reply(&Request {
            prompt: Prompt::Chat(messages),
            temperature: if again { 0.7 } else { 0.0 },
            max_tokens: LONGEST,
            seed: Some(u64::from(again)),
        })?)
    }
}

impl<M: ChatModel> Planner for ModelPlanner<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn reply(&self, picture: &Image, prompt: &str, ask: Ask) -> Result<Reply, SystemError> {
        let mut messages = vec![Message::system(prompts::system(ask.regenerate))];
        messages.extend(self.examples.iter().cloned());
        let seen = vec![data_address(&sent(picture))?];
        messages.push(Message::user(prompts::query(prompt)).seeing(seen));
        self.ask(messages, ask.again)
    }

    fn split(&self, instruction: &str) -> Result<Vec<String>, SystemError> {
        let reply = self.ask(vec![Message::user(prompts::split(instruction))], false)?;
        Ok(match Parser::Lenient.parse(&reply.text) {
            Some(Plan::Edit(steps)) => steps,
            _ => vec![instruction.to_owned()],
        })
    }
}

/// The picture as it is sent to a model: no side longer than [`SENT`].
pub(super) fn sent(picture: &Image) -> Image {
    let longest = picture.width.max(picture.height);
    if longest <= SENT {
        return picture.clone();
    }
    let side = |side: u32| (u64::from(side) * u64::from(SENT) / u64::from(longest)) as u32;
    picture.resize(side(picture.width), side(picture.height))
}

/// Prompts with pictures: a count, colours, a missing block with its place, a relation, two missing blocks, one without a mistake, several
/// counts, and one that has nothing of its prompt.
fn examples() -> [(PromptSpec, Scene); EXAMPLES] {
    use Colour::{Blue, Green, Red, Yellow};
    use Demand::{Count, Exists, Relation};
    use Shape::{Circle, Square, Triangle};
    let example = |demands: &[Demand], blocks: &[(Shape, Colour, usize)]| {
        let block = |&(shape, colour, cell): &(Shape, Colour, usize)| Block {
            shape,
            colour,
            large: cell % 2 == 0,
            cell,
        };
        (
            PromptSpec(demands.to_vec()),
            Scene(blocks.iter().map(block).collect()),
        )
    };
    let is = Demand::Colour;
    [
        example(
            &[Exists(Circle), Count(Circle, 3), is(Circle, Red)],
            &[(Circle, Red, 0), (Circle, Red, 4)],
        ),
        example(
            &[
                Exists(Square),
                Exists(Triangle),
                is(Square, Green),
                is(Triangle, Yellow),
            ],
            &[(Square, Blue, 3), (Triangle, Red, 5)],
        ),
        example(
            &[
                Exists(Triangle),
                Exists(Square),
                is(Triangle, Blue),
                Relation(Triangle, Side::Above, Square),
            ],
            &[(Square, Yellow, 7)],
        ),
        example(
            &[
                Exists(Circle),
                Exists(Square),
                Relation(Circle, Side::Left, Square),
            ],
            &[(Circle, Green, 5), (Square, Red, 4)],
        ),
        example(
            &[
                Exists(Circle),
                Exists(Square),
                Exists(Triangle),
                is(Square, Blue),
            ],
            &[(Circle, Yellow, 4)],
        ),
        example(
            &[
                Exists(Square),
                Count(Square, 2),
                is(Square, Yellow),
                Exists(Circle),
            ],
            &[(Square, Yellow, 0), (Square, Yellow, 2), (Circle, Red, 7)],
        ),
        example(
            &[
                Exists(Triangle),
                Count(Triangle, 1),
                Exists(Circle),
                Count(Circle, 2),
            ],
            &[
                (Triangle, Red, 0),
                (Triangle, Green, 4),
                (Triangle, Blue, 8),
            ],
        ),
        example(
            &[
                Exists(Circle),
                is(Circle, Blue),
                Exists(Triangle),
                is(Triangle, Green),
            ],
            &[(Square, Red, 1), (Square, Yellow, 3)],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_show_every_kind_of_reply() {
        let plans: Vec<Option<Plan>> = examples()
            .iter()
            .map(|(spec, scene)| Parser::Lenient.parse(&rule::reply(scene, spec, true)))
            .collect();
        assert_eq!(plans[5], Some(Plan::Empty));
        assert_eq!(plans[7], Some(Plan::Regenerate));
        let edits = plans.iter().filter(|it| matches!(it, Some(Plan::Edit(_))));
        assert_eq!(edits.count(), EXAMPLES - 2);
        assert_eq!(
            plans[2],
            Some(Plan::Edit(vec![
                "Add a blue triangle above the square".into()
            ]))
        );
    }
}
