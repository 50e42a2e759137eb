//! Generate, plan, edit: what a user, a server or another system calls.

use std::time::Instant;

use base::endpoint::Reply;
use base::media::Image;
use engine::models::stable_diffusion::{Request, StableDiffusion};
use serde::{Deserialize, Serialize};

use super::SystemError;
use super::editor::Editor;
use super::judge::Judge;
use super::plan::{self, Parser, Plan, Step};
use super::planner::{Ask, Planner};

/// Instructions of more words are split by the planner.
const LONG: usize = 40;

/// Hears what is under way, of it steps done and in all, and says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(&'static str, usize, usize) -> bool;

/// Draws pictures from prompts.
pub trait Generator: Send {
    /// A picture of `prompt`. `watch` hears of steps done and in all, and says whether to go on.
    ///
    /// # Errors
    /// [`SystemError`]: it cannot be drawn, it was stopped.
    fn draw(
        &mut self,
        prompt: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError>;
}

/// Stable Diffusion, which draws everything but the prompt as its [`Request`] says.
pub struct Diffusion {
    /// The model.
    pub model: StableDiffusion,
    /// Size, steps, sampler and guidance.
    pub request: Request,
}

impl Generator for Diffusion {
    fn draw(
        &mut self,
        prompt: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError> {
        let request = Request {
            prompt: prompt.to_owned(),
            seeds: vec![seed],
            ..self.request.clone()
        };
        let drawn = self.model.draw(&request, &mut (), watch)?;
        let none = || SystemError::Failed("the model drew no picture".into());
        drawn.into_iter().next().ok_or_else(none)
    }
}

/// A picture that is there already, whatever the prompt.
pub struct Given(pub Image);

impl Generator for Given {
    fn draw(
        &mut self,
        _: &str,
        _: u64,
        _: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError> {
        Ok(self.0.clone())
    }
}

/// Who does the work.
pub struct Components<'a> {
    /// Draws.
    pub generator: &'a mut dyn Generator,
    /// Plans.
    pub planner: &'a dyn Planner,
    /// Edits.
    pub editor: &'a mut dyn Editor,
    /// With questions about the prompt: edits after which fewer are answered yes are undone. Not in the paper.
    pub verify: Option<(&'a dyn Judge, &'a [String])>,
}

/// How the work is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most edits.
    pub max_steps: usize,
    /// How often the planner may ask for another picture.
    pub regenerate: usize,
    /// Seed of the picture; every further one adds 1.
    pub seed: u64,
    /// Seed of all edits.
    pub edit_seed: u64,
    /// How replies are read.
    pub parser: Parser,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_steps: 8,
            regenerate: 2,
            seed: 0,
            edit_seed: 0,
            parser: Parser::Lenient,
        }
    }
}

/// A plan as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// What the picture shall show.
    pub prompt: String,
    /// `ok`, `regenerate` or `edit`.
    pub verdict: String,
    /// Edits in order.
    pub steps: Vec<Step>,
    /// What the planner wrote.
    pub raw_reply: String,
}

/// A picture that was drawn, and what the planner said of it.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// Its seed.
    pub seed: u64,
    /// Replies, one unless it could not be read.
    pub replies: Vec<String>,
    /// Tokens of the questions, where they are counted.
    pub prompt_tokens: u64,
    /// Tokens of the replies, where they are counted.
    pub output_tokens: u64,
    /// Seconds of drawing and of planning.
    pub seconds: [f64; 2],
}

/// One edit that was carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    /// The instruction.
    #[serde(flatten)]
    pub step: Step,
    /// Whether its result was kept.
    pub kept: bool,
    /// Answers that are yes, before and after, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yes: Option<[usize; 2]>,
    /// How long it took.
    pub seconds: f64,
}

/// All that happened, for `trace.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trace {
    /// What was asked for.
    pub prompt: String,
    /// Who planned.
    pub planner: String,
    /// Who edited.
    pub editor: String,
    /// Pictures drawn, and what was said of each.
    pub drafts: Vec<Draft>,
    /// Edits.
    pub edits: Vec<Done>,
    /// What did not go as it should.
    pub warnings: Vec<String>,
}

/// What [`run`] made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The picture before any edit, and after each one, kept or not.
    pub pictures: Vec<Image>,
    /// The result.
    pub picture: Image,
    /// The plan that was followed.
    pub plan: PlanFile,
    /// How it came about.
    pub trace: Trace,
}

/// The paper's method: draw, compare the picture with its prompt, edit what is wrong, one instruction after the other.
///
/// # Errors
/// [`SystemError`] of whoever failed.
pub fn run(
    prompt: &str,
    components: &mut Components<'_>,
    options: &Options,
    watch: Watch<'_>,
) -> Result<Made, SystemError> {
    let mut trace = Trace {
        prompt: prompt.to_owned(),
        planner: components.planner.name().to_owned(),
        editor: components.editor.name().to_owned(),
        ..Trace::default()
    };
    let (mut picture, plan) = draft(prompt, components, options, &mut trace, watch)?;
    let mut pictures = vec![picture.clone()];
    let instructions: Vec<String> = plan.steps.iter().map(|it| it.instruction.clone()).collect();
    if !instructions.is_empty() {
        components.editor.prepare(&instructions)?;
    }
    let mut yes = score(&picture, components)?;
    for step in &plan.steps {
        let begun = Instant::now();
        let mut steps = |done, of| watch("editing", done, of);
        let edited =
            components
                .editor
                .edit(&picture, &step.instruction, options.edit_seed, &mut steps)?;
        let after = score(&edited, components)?;
        let kept = after >= yes;
        trace.edits.push(Done {
            step: step.clone(),
            kept,
            yes: yes.zip(after).map(|(before, after)| [before, after]),
            seconds: seconds(begun),
        });
        pictures.push(edited.clone());
        if kept {
            (picture, yes) = (edited, after);
        }
    }
    Ok(Made {
        pictures,
        picture,
        plan,
        trace,
    })
}

/// A picture with its plan; the planner may have asked for other pictures before.
fn draft(
    prompt: &str,
    components: &mut Components<'_>,
    options: &Options,
    trace: &mut Trace,
    watch: Watch<'_>,
) -> Result<(Image, PlanFile), SystemError> {
    let mut at = 0;
    loop {
        let begun = Instant::now();
        let seed = options.seed.wrapping_add(at as u64);
        let mut steps = |done, of| watch("drawing", done, of);
        let picture = components.generator.draw(prompt, seed, &mut steps)?;
        let drawn = seconds(begun);
        let begun = Instant::now();
        let mut planning = Planning::new(components.planner, &picture, prompt, options.parser);
        let mut verdict = planning.ask(true)?;
        let last = at >= options.regenerate;
        if verdict == Plan::Regenerate && last {
            verdict = planning.ask(false)?;
        }
        let plan = planning.file(&verdict, options.max_steps)?;
        trace.warnings.append(&mut planning.warnings);
        trace.drafts.push(Draft {
            seed,
            prompt_tokens: planning.tokens(|it| it.prompt_tokens),
            output_tokens: planning.tokens(|it| it.output_tokens),
            replies: planning.replies.into_iter().map(|it| it.text).collect(),
            seconds: [drawn, seconds(begun)],
        });
        if verdict != Plan::Regenerate || last {
            return Ok((picture, plan));
        }
        at += 1;
    }
}

/// The plan for a picture that is there.
///
/// # Errors
/// [`SystemError`] of the planner.
pub fn plan(
    planner: &dyn Planner,
    picture: &Image,
    prompt: &str,
    options: &Options,
) -> Result<(PlanFile, Vec<String>), SystemError> {
    let mut planning = Planning::new(planner, picture, prompt, options.parser);
    let verdict = planning.ask(options.regenerate > 0)?;
    let file = planning.file(&verdict, options.max_steps)?;
    Ok((file, planning.warnings))
}

/// Questions to a planner about one picture.
struct Planning<'a> {
    planner: &'a dyn Planner,
    picture: &'a Image,
    prompt: &'a str,
    parser: Parser,
    replies: Vec<Reply>,
    warnings: Vec<String>,
}

impl<'a> Planning<'a> {
    fn new(planner: &'a dyn Planner, picture: &'a Image, prompt: &'a str, parser: Parser) -> Self {
        Self {
            planner,
            picture,
            prompt,
            parser,
            replies: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Asks, and once more where the reply cannot be read. Without `regenerate` a plan is wanted whatever the picture.
    fn ask(&mut self, regenerate: bool) -> Result<Plan, SystemError> {
        for again in [false, true] {
            let ask = Ask { regenerate, again };
            let reply = self.planner.reply(self.picture, self.prompt, ask)?;
            let plan = self.parser.parse(&reply.text);
            self.replies.push(reply);
            match plan {
                Some(Plan::Regenerate) if !regenerate => {
                    let line = "the planner asks for another picture once more: nothing is edited";
                    self.warnings.push(line.into());
                    return Ok(Plan::Empty);
                }
                Some(plan) => return Ok(plan),
                None => {}
            }
        }
        let line = "the planner's replies have neither feedback nor a verdict: nothing is edited";
        self.warnings.push(line.into());
        Ok(Plan::Empty)
    }

    /// The plan as a file: long instructions are split, undone ones left out.
    fn file(&mut self, verdict: &Plan, most: usize) -> Result<PlanFile, SystemError> {
        let mut instructions = Vec::new();
        if let Plan::Edit(all) = verdict {
            for one in all {
                match one.split_whitespace().count() > LONG {
                    true => instructions.extend(self.planner.split(one)?),
                    false => instructions.push(one.clone()),
                }
            }
        }
        let mut steps = plan::steps(&instructions);
        if steps.len() > most {
            let line = format!(
                "the plan has {} steps: the first {most} are taken",
                steps.len()
            );
            self.warnings.push(line);
            steps.truncate(most);
        }
        Ok(PlanFile {
            prompt: self.prompt.to_owned(),
            verdict: match verdict {
                Plan::Empty => "ok",
                Plan::Regenerate => "regenerate",
                Plan::Edit(_) => "edit",
            }
            .into(),
            steps,
            raw_reply: self
                .replies
                .last()
                .map(|it| it.text.clone())
                .unwrap_or_default(),
        })
    }

    fn tokens(&self, of: fn(&Reply) -> Option<u64>) -> u64 {
        self.replies.iter().filter_map(of).sum()
    }
}

/// How many questions are answered yes, where there is a judge.
fn score(picture: &Image, components: &Components<'_>) -> Result<Option<usize>, SystemError> {
    let Some((judge, questions)) = components.verify else {
        return Ok(None);
    };
    let answers = judge.answers(picture, questions)?;
    Ok(Some(answers.iter().filter(|yes| **yes).count()))
}

fn seconds(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
