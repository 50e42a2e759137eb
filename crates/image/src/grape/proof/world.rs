//! The block world of one seed: a generator that is not trained to the end, an editor, two networks that see, and the parts that they
//! play in [`run`](crate::grape::run).

use base::command::{Context, Failure};
use base::endpoint::Reply;
use base::media::Image;
use base::rng::Rng;

use super::classifier::Classifier;
use super::denoiser::{Denoiser, Lesson, SIDE, Words};
use crate::grape::planner::Ask;
use crate::grape::rule::{self, Edit};
use crate::grape::scene::{Colour, Demand, PromptSpec, Scene, Shape, Side};
use crate::grape::{Editor, Judge, Planner, SystemError};

/// Training steps of generator, editor and both networks that see.
pub(super) type Steps = [u64; 3];
/// Guidance of the generator; `s_T` and `s_I` of the editor.
const GUIDANCE: (f32, [f32; 2]) = (2.0, [2.0, 1.5]);
/// Widths of the network that informs the planner and of the one that scores.
const WIDTHS: [usize; 2] = [16, 20];
/// Prompts that are drawn at a time.
const PART: usize = 60;
/// Words of an instruction.
const ROLES: usize = 6;
/// Between instructions that are carried out at once.
const AND: &str = ". ";

/// See the module.
pub(super) struct World {
    generator: Denoiser,
    editor: Denoiser,
    /// The planner's.
    pub(super) classifier: Classifier,
    /// The score's.
    pub(super) judge_classifier: Classifier,
}

impl World {
    pub(super) fn new(seed: u64, steps: Steps, context: Context) -> Result<Self, Failure> {
        let rng = Rng::new(seed).child("world");
        let [generator, editor, classifiers] = steps;
        let classifier = |at: usize| {
            let rng = rng.child(["planner's eye", "judge's eye"][at]);
            Classifier::train(WIDTHS[at], classifiers, context, &rng)
        };
        let (classifier, judge_classifier) = (classifier(0)?, classifier(1)?);
        let drawn = |rng: &mut Rng| {
            let spec = PromptSpec::random(1 + rng.below(4), rng);
            Lesson {
                target: spec.scene(rng).render(SIDE as u32),
                source: None,
                words: of_spec(&spec),
            }
        };
        let draws = rng.child("generator");
        let generator = Denoiser::train(DEMANDS, false, generator, (context, &draws), drawn)?;
        let edited = |rng: &mut Rng| {
            let source = Scene::random(rng);
            let (edit, mut target) = Edit::random(&source, rng);
            let mut edits = vec![edit];
            // Every fourth time two edits at once.
            if rng.chance(0.25) {
                let (edit, after) = Edit::random(&target, rng);
                edits.push(edit);
                target = after;
            }
            Lesson {
                target: target.render(SIDE as u32),
                source: Some(source.render(SIDE as u32)),
                words: of_edits(&edits),
            }
        };
        let draws = rng.child("editor");
        let editor = Denoiser::train(ROWS * PLACES, true, editor, (context, &draws), edited)?;
        Ok(Self {
            generator,
            editor,
            classifier,
            judge_classifier,
        })
    }

    /// A picture of each spec.
    pub(super) fn draw(&self, wishes: &[PromptSpec], rng: &Rng) -> Result<Vec<Image>, Failure> {
        let mut pictures = Vec::with_capacity(wishes.len());
        for (at, part) in wishes.chunks(PART).enumerate() {
            let longest = part.iter().map(|it| it.0.len()).max().unwrap_or_default();
            let words: Vec<Words> = part
                .iter()
                .map(|spec| {
                    let mut words = of_spec(spec);
                    words.resize(longest, 0);
                    words
                })
                .collect();
            let rng = &mut rng.item(at as u64);
            pictures.extend(self.generator.draw(&words, GUIDANCE.0, rng)?);
        }
        Ok(pictures)
    }

    /// All instructions of a plan as one.
    pub(super) fn joined(instructions: &[String]) -> String {
        instructions.join(AND)
    }
}

/// Rows of the generator's table: none, 3 shapes, 12 colours of shapes, 3 counts, 27 relations.
const DEMANDS: usize = 1 + 3 + 12 + 3 + 27;

/// Demands as rows of the generator's table.
fn of_spec(spec: &PromptSpec) -> Words {
    let row = |demand: &Demand| match *demand {
        Demand::Exists(shape) => 1 + shape as usize,
        Demand::Colour(shape, colour) => 4 + 4 * shape as usize + colour as usize,
        Demand::Count(shape, _) => 16 + shape as usize,
        Demand::Relation(a, side, b) => 19 + 9 * a as usize + 3 * side as usize + b as usize,
    };
    spec.0.iter().map(row).collect()
}

/// Rows of one instruction's words, and instructions that have rows of their own; further ones share those of the last.
const ROWS: usize = 22;
const PLACES: usize = 4;

/// Instructions as rows of the editor's table, two at least: verb, colour, shape, new colour, side, other shape.
fn of_edits(edits: &[Edit]) -> Words {
    let mut rows = Words::new();
    for (at, edit) in edits.iter().enumerate() {
        let colour = |it: Colour| 1 + it as usize;
        let new = |it: Colour| 5 + it as usize;
        let shape = |it: Shape| 9 + it as usize;
        let side = |it: Side| 12 + it as usize;
        let other = |it: Shape| 15 + it as usize;
        let verb = |at: usize| 18 + at;
        let words = match *edit {
            Edit::Add(c, s, Some((where_to, o))) => {
                [verb(0), colour(c), shape(s), 0, side(where_to), other(o)]
            }
            Edit::Add(c, s, None) => [verb(0), colour(c), shape(s), 0, 0, 0],
            Edit::Remove(c, s) => [verb(1), colour(c), shape(s), 0, 0, 0],
            Edit::Recolour(c, s, to) => [verb(2), colour(c), shape(s), new(to), 0, 0],
            Edit::Move(c, s, where_to, o) => {
                [verb(3), colour(c), shape(s), 0, side(where_to), other(o)]
            }
        };
        let from = ROWS * at.min(PLACES - 1);
        rows.extend(words.map(|row| if row == 0 { 0 } else { from + row }));
    }
    let least = 2 * ROLES;
    rows.resize(rows.len().max(least), 0);
    rows
}

/// The world in the parts that the method needs, for one spec.
pub(super) struct Player<'a> {
    pub(super) world: &'a World,
    pub(super) spec: &'a PromptSpec,
}

impl Planner for Player<'_> {
    fn name(&self) -> &str {
        "rule"
    }

    fn reply(&self, picture: &Image, _: &str, _: Ask) -> Result<Reply, SystemError> {
        let seen = self.world.classifier.scenes(std::slice::from_ref(picture));
        Ok(Reply::text(rule::reply(&seen[0], self.spec, false)))
    }
}

impl Judge for Player<'_> {
    fn answers(&self, picture: &Image, _: &[String]) -> Result<Vec<bool>, SystemError> {
        let seen = self.world.classifier.scenes(std::slice::from_ref(picture));
        Ok(self.spec.0.iter().map(|it| it.met(&seen[0])).collect())
    }
}

impl Editor for Player<'_> {
    fn name(&self) -> &str {
        "blocks"
    }

    fn edit(
        &mut self,
        picture: &Image,
        instruction: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError> {
        let edits: Option<Vec<Edit>> = instruction.split(AND).map(Edit::parse).collect();
        let edits = edits.ok_or_else(|| {
            SystemError::input(format!(
                "the editor of blocks does not know `{instruction}`"
            ))
        })?;
        let rng = &mut Rng::new(seed).child("edit");
        let edited = self
            .world
            .editor
            .edit(picture, &of_edits(&edits), GUIDANCE.1, rng, watch);
        edited.map_err(|error| SystemError::Failed(error.to_string()))
    }
}
