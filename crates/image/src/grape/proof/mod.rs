//! The small-scale proof of GraPE: scenes of blocks that are known exactly. A generator that is not trained to the end draws them from
//! prompts, a rule plans edits of what a network sees, and an editor carries them out.

mod claims;
mod classifier;
mod denoiser;
mod world;

use base::command::{Context, Failure};
use base::media::Image;
use base::media::sheet::{Layout, sheet};
use base::proof::{Claim, Figure, Proof, ProofOptions, Report, Trial};
use base::rng::Rng;

use super::pipeline::{self, Components, Given, Options};
use super::scene::{PromptSpec, Scene};
use super::{Judge, Parser, dsg};
use claims::claims;
use denoiser::SIDE;
use world::{Player, Steps, World};

/// For the registry.
pub const PROOF: Proof = Proof::whole("GraPE: images corrected by planned edits", [3, 5], prove)
    .first_seed(10)
    .open_claims(&[(
        [
            "Real generators gain on ConceptMix, weaker ones more",
            "mean question score with 3 concepts: SD 1.5 0.606 to 0.752, SDXL 0.708 to 0.780",
        ],
        "project page",
        "needs the generators, PixEdit and a planner that sees: `orrery grape bench` is the command",
    )]);

const BASE: &str = "generator alone";
const GRAPE: &str = "GraPE";
const BEST: &str = "better of two";
const ONCE: &str = "one edit of all";
const VERIFIED: &str = "GraPE, verified";

/// Most concepts of a prompt.
const CONCEPTS: usize = 4;
/// Training steps and prompts of each number of concepts, of a short and of a full run.
const SIZES: [(Steps, usize); 2] = [([300, 1000, 200], 30), ([300, 6000, 600], 100)];

const ABOUT: &str = "Pictures of 30 × 30 pixels with one to four blocks (circle, square, triangle; four colours; two sizes) in nine cells. Prompts have \
one to four concepts beside the shapes they name: a colour, the count two, a relation; a question asks for each concept and each shape. With each seed \
everything is trained anew: a generator, a small U-Net that reads the prompt as a bag of words for its concepts and is stopped early; an editor, the same U-Net \
that also reads the picture to edit, on scenes before and after one random edit, or, every fourth time, two at once; and two networks that tell \
what is in a cell. One of them informs the planner, a rule that writes replies of the layout that models are asked for, and chooses and verifies; the other one, of \
another size, gives all scores. Replies go through the parser and the pipeline of `orrery grape run`. The editor is sampled in 10 steps with guidance on instruction and \
picture. All arms of a seed have the same prompts and the same first pictures; the planner may not ask for another one.";

fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let mut trial = Trial::new("blocks", "Scenes of blocks", ABOUT, options)
        .arm(BASE, "the first picture")
        .arm(GRAPE, "the planner's edits, one after the other")
        .arm(
            BEST,
            "of two pictures the one with more questions met, as the planner's network sees it",
        )
        .arm(ONCE, "the same plan's instructions, all in one edit")
        .arm(
            VERIFIED,
            "an edit is undone where the planner's network sees fewer questions met",
        );
    for concepts in 1..=CONCEPTS {
        trial = trial.share(
            &score_of(concepts),
            "questions answered yes, of prompts with so many concepts",
        );
    }
    trial = trial
        .share("all", "of all prompts")
        .share("full marks", "prompts with all questions answered yes")
        .lower("edits", "edits a prompt");
    let mut room: Option<Room> = None;
    let first = options.seeds[0];
    let mut shown: Option<(Claim, Figure)> = None;
    let experiment = trial.run(options, |arm, seed| {
        let room = Room::of(&mut room, seed, options)?;
        if seed == first && shown.is_none() {
            shown = Some((room.judged(), room.pictures()?));
        }
        room.measured(arm)
    })?;
    let (seen, pictures) = match shown {
        Some(shown) => shown,
        // All was measured in an earlier run.
        None => {
            let room = Room::of(&mut room, first, options)?;
            (room.judged(), room.pictures()?)
        }
    };
    report.claims.push(seen);
    report.claims.extend(claims(&experiment));
    report.experiments.push(experiment);
    report.figures.push(pictures);
    Ok(())
}

fn score_of(concepts: usize) -> String {
    match concepts {
        1 => "1 concept".into(),
        more => format!("{more} concepts"),
    }
}

/// The world of a seed with its prompts.
struct Room {
    seed: u64,
    world: World,
    wishes: Vec<PromptSpec>,
    drafts: [Vec<Image>; 2],
    context: Context,
}

/// What an arm made of a prompt.
struct Edited {
    picture: Image,
    edits: usize,
}

impl Room {
    fn of<'a>(
        place: &'a mut Option<Self>,
        seed: u64,
        options: &ProofOptions,
    ) -> Result<&'a Self, Failure> {
        let kept = place.take().filter(|it| it.seed == seed);
        let room = match kept {
            Some(room) => room,
            None => Self::new(seed, options)?,
        };
        Ok(place.insert(room))
    }

    fn new(seed: u64, options: &ProofOptions) -> Result<Self, Failure> {
        let (steps, each) = SIZES[usize::from(options.full)];
        let world = World::new(seed, steps, options.context)?;
        let rng = Rng::new(seed).child("test");
        let spec = |at: usize| {
            PromptSpec::random(1 + at % CONCEPTS, &mut rng.child("prompts").item(at as u64))
        };
        let wishes: Vec<PromptSpec> = (0..each * CONCEPTS).map(spec).collect();
        let drafts = [
            world.draw(&wishes, &rng.child("first"))?,
            world.draw(&wishes, &rng.child("second"))?,
        ];
        Ok(Self {
            seed,
            world,
            wishes,
            drafts,
            context: options.context,
        })
    }

    /// What an arm makes of prompt number `at`.
    fn made(&self, arm: &str, at: usize) -> Result<Edited, Failure> {
        let spec = &self.wishes[at];
        let player = || Player {
            world: &self.world,
            spec,
        };
        let [first, second] = [0, 1].map(|draft| self.drafts[draft][at].clone());
        let questions: Vec<String> = spec.0.iter().map(|it| it.question()).collect();
        let how = Options {
            edit_seed: self.seed,
            ..Options::default()
        };
        let (planner, judge, mut editor) = (player(), player(), player());
        let mut watch = |_: &'static str, _: usize, _: usize| !self.context.stopped();
        match arm {
            GRAPE | VERIFIED => {
                let mut components = Components {
                    generator: &mut Given(first),
                    planner: &planner,
                    editor: &mut editor,
                    verify: (arm == VERIFIED)
                        .then_some((&judge as &dyn Judge, questions.as_slice())),
                };
                let made = pipeline::run(&spec.to_string(), &mut components, &how, &mut watch)?;
                Ok(Edited {
                    edits: made.trace.edits.len(),
                    picture: made.picture,
                })
            }
            ONCE => {
                let (plan, _) = pipeline::plan(&planner, &first, &spec.to_string(), &how)?;
                let all: Vec<String> = plan.steps.into_iter().map(|it| it.instruction).collect();
                if all.is_empty() {
                    return Ok(Edited {
                        picture: first,
                        edits: 0,
                    });
                }
                let joined = World::joined(&all);
                let picture = super::Editor::edit(
                    &mut editor,
                    &first,
                    &joined,
                    self.seed,
                    &mut |done, of| watch("editing", done, of),
                )?;
                Ok(Edited { picture, edits: 1 })
            }
            BEST => {
                let yes = |picture: &Image| -> Result<usize, Failure> {
                    let answers = judge.answers(picture, &questions)?;
                    Ok(answers.into_iter().filter(|yes| *yes).count())
                };
                let picture = if yes(&second)? > yes(&first)? {
                    second
                } else {
                    first
                };
                Ok(Edited { picture, edits: 0 })
            }
            _ => Ok(Edited {
                picture: first,
                edits: 0,
            }),
        }
    }

    fn measured(&self, arm: &str) -> Result<Vec<f64>, Failure> {
        let made = (0..self.wishes.len()).map(|at| {
            self.context.proceed_or_resume()?;
            self.made(arm, at)
        });
        let made = made.collect::<Result<Vec<Edited>, Failure>>()?;
        let edits: usize = made.iter().map(|it| it.edits).sum();
        let pictures: Vec<Image> = made.into_iter().map(|it| it.picture).collect();
        let seen = self.world.judge_classifier.scenes(&pictures);
        let answers: Vec<Vec<bool>> = self
            .wishes
            .iter()
            .zip(&seen)
            .map(|(spec, scene)| spec.0.iter().map(|it| it.met(scene)).collect())
            .collect();
        let of = |concepts: usize| -> Vec<Vec<bool>> {
            answers
                .iter()
                .skip(concepts - 1)
                .step_by(CONCEPTS)
                .cloned()
                .collect()
        };
        let mut values: Vec<f64> = (1..=CONCEPTS)
            .map(|concepts| dsg::mean_question_score(&of(concepts)))
            .collect();
        values.push(dsg::mean_question_score(&answers));
        values.push(dsg::full_mark_rate(&answers));
        values.push(edits as f64 / self.wishes.len() as f64);
        Ok(values)
    }

    /// Whether both networks can be believed.
    fn judged(&self) -> Claim {
        let rng = &mut Rng::new(self.seed).child("seen");
        let scenes: Vec<Scene> = (0..500).map(|_| Scene::random(rng)).collect();
        let pictures: Vec<Image> = scenes.iter().map(|it| it.render(SIDE as u32)).collect();
        let sorted = |scene: &Scene| {
            let mut blocks = scene.0.clone();
            blocks.sort_by_key(|it| it.cell);
            blocks
        };
        let right = [&self.world.classifier, &self.world.judge_classifier].map(|classifier| {
            let found = classifier.scenes(&pictures);
            let same = found
                .iter()
                .zip(&scenes)
                .filter(|(a, b)| sorted(a) == sorted(b));
            same.count() as f64 / scenes.len() as f64
        });
        let shown = right.map(|it| format!("{:.1} %", 100.0 * it)).join(" and ");
        Claim::settled(
            [
                "Both networks see scenes as they are",
                "all blocks of more than 98 % of 500 new renders right, first seed",
            ],
            "spec of this proof, fixed before the runs",
            right.iter().all(|it| *it > 0.98),
            shown,
        )
    }

    /// Prompts with four concepts: the first picture, after each edit, and what the other arms made.
    fn pictures(&self) -> Result<Figure, Failure> {
        const ROWS: usize = 5;
        const STEPS: usize = 4;
        let mut cells = Vec::new();
        let mut captions = Vec::new();
        let mut prompts = Vec::new();
        let enlarged = |it: &Image| it.upscale_nearest(4);
        let numbers = (CONCEPTS - 1..self.wishes.len()).step_by(CONCEPTS);
        for at in numbers {
            if prompts.len() == ROWS {
                break;
            }
            let spec = &self.wishes[at];
            let mut editor = Player {
                world: &self.world,
                spec,
            };
            let planner = Player {
                world: &self.world,
                spec,
            };
            let mut components = Components {
                generator: &mut Given(self.drafts[0][at].clone()),
                planner: &planner,
                editor: &mut editor,
                verify: None,
            };
            let how = Options {
                edit_seed: self.seed,
                parser: Parser::Lenient,
                ..Options::default()
            };
            let made = pipeline::run(&spec.to_string(), &mut components, &how, &mut |_, _, _| {
                true
            })?;
            let steps = made.plan.steps.len();
            if !(2..=STEPS).contains(&steps) {
                continue;
            }
            prompts.push(format!("{}: {}", prompts.len() + 1, spec));
            captions.push(format!("{} first", prompts.len()));
            cells.push(enlarged(&made.pictures[0]));
            for step in 1..=STEPS {
                match made.pictures.get(step) {
                    Some(picture) => {
                        captions.push(format!("edit {step}"));
                        cells.push(enlarged(picture));
                    }
                    None => {
                        captions.push(String::new());
                        cells.push(Image::filled(4 * SIDE as u32, 4 * SIDE as u32, [255; 3]));
                    }
                }
            }
            for arm in [ONCE, BEST] {
                captions.push(arm.to_owned());
                cells.push(enlarged(&self.made(arm, at)?.picture));
            }
        }
        let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
        let layout = Layout {
            columns: Some(STEPS + 3),
            ..Layout::default()
        };
        let caption = format!(
            "First seed, the first prompts with four concepts and two to four edits: the first picture, after each edit, all edits at once, the better of two \
             first pictures. {}.",
            prompts.join("; ")
        );
        Ok(Figure::still(
            "edits.png",
            &caption,
            &sheet(&cells, &captions, &layout)?,
        )?)
    }
}
