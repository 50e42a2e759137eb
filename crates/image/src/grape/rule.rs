//! A planner by rule, for scenes of blocks that are known: it compares what is there with what is wished and writes a reply of the
//! layout that models are asked for.

use std::fmt;

use base::rng::Rng;

use super::plan::REGENERATE;
use super::scene::{Block, Colour, Demand, MOST, PromptSpec, Scene, Shape, Side};

/// One edit of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A block comes in, on a side of another one where that is said.
    Add(Colour, Shape, Option<(Side, Shape)>),
    /// A block goes.
    Remove(Colour, Shape),
    /// A block gets another colour.
    Recolour(Colour, Shape, Colour),
    /// A block goes to a side of another one.
    Move(Colour, Shape, Side, Shape),
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(colour, shape, place) => {
                write!(f, "Add a {} {}", colour.word(), shape.word())?;
                match place {
                    Some((side, other)) => write!(f, " {} the {}", side.words(), other.word()),
                    None => Ok(()),
                }
            }
            Self::Remove(colour, shape) => {
                write!(f, "Remove one {} {}", colour.word(), shape.word())
            }
            Self::Recolour(from, shape, to) => {
                let (from, shape, to) = (from.word(), shape.word(), to.word());
                write!(f, "Change the colour of the {from} {shape} to {to}")
            }
            Self::Move(colour, shape, side, other) => {
                let (colour, shape) = (colour.word(), shape.word());
                write!(
                    f,
                    "Move the {colour} {shape} {} the {}",
                    side.words(),
                    other.word()
                )
            }
        }
    }
}

impl Edit {
    /// The edit that an instruction asks for, in the words of this planner; none in other words.
    pub fn parse(instruction: &str) -> Option<Self> {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        let colours: Vec<Colour> = words
            .iter()
            .filter_map(|word| Colour::ALL.into_iter().find(|it| it.word() == *word))
            .collect();
        let shapes: Vec<Shape> = words
            .iter()
            .filter_map(|word| Shape::ALL.into_iter().find(|it| it.word() == *word))
            .collect();
        let side = Side::ALL
            .into_iter()
            .find(|it| instruction.contains(it.words()));
        let (colour, shape) = (*colours.first()?, *shapes.first()?);
        let place = side.and_then(|side| Some((side, *shapes.get(1)?)));
        Some(match *words.first()? {
            "Add" => Self::Add(colour, shape, place),
            "Remove" => Self::Remove(colour, shape),
            "Change" => Self::Recolour(colour, shape, *colours.get(1)?),
            "Move" => place.map(|(side, other)| Self::Move(colour, shape, side, other))?,
            _ => return None,
        })
    }

    /// The scene after the edit; what it leaves open is drawn. None where it cannot be done.
    pub fn apply(self, scene: &Scene, rng: &mut Rng) -> Option<Scene> {
        let mut after = scene.clone();
        let find = |colour: Colour, shape: Shape, rng: &mut Rng| {
            let fits = |it: &Block| it.shape == shape && it.colour == colour;
            let all: Vec<usize> = (0..scene.0.len())
                .filter(|&at| fits(&scene.0[at]))
                .collect();
            all.get(rng.below(all.len())).copied()
        };
        let cell = |place: Option<(Side, Shape)>, without: Option<usize>, rng: &mut Rng| {
            let others = scene.0.iter().enumerate();
            let others: Vec<&Block> = others
                .filter(|(at, it)| {
                    Some(*at) != without && place.is_none_or(|(_, of)| it.shape == of)
                })
                .map(|(_, it)| it)
                .collect();
            let mut free = scene.free();
            if let Some((side, _)) = place {
                free.retain(|cell| others.iter().any(|it| side.holds(*cell, it.cell)));
            }
            free.get(rng.below(free.len())).copied()
        };
        match self {
            Self::Add(colour, shape, place) => {
                let cell = cell(place, None, rng).filter(|_| scene.0.len() < MOST)?;
                let large = rng.chance(0.5);
                after.0.push(Block {
                    shape,
                    colour,
                    large,
                    cell,
                });
            }
            Self::Remove(colour, shape) => {
                after.0.remove(find(colour, shape, rng)?);
            }
            Self::Recolour(from, shape, to) => after.0[find(from, shape, rng)?].colour = to,
            Self::Move(colour, shape, side, other) => {
                let at = find(colour, shape, rng)?;
                after.0[at].cell = cell(Some((side, other)), Some(at), rng)?;
            }
        }
        Some(after)
    }

    /// An edit that can be done with `scene`, and the scene after it.
    pub fn random(scene: &Scene, rng: &mut Rng) -> (Self, Scene) {
        loop {
            let colour = Colour::ALL[rng.below(Colour::ALL.len())];
            let shape = Shape::ALL[rng.below(Shape::ALL.len())];
            let side = Side::ALL[rng.below(Side::ALL.len())];
            let block = scene.0.get(rng.below(scene.0.len())).copied();
            let other = scene.0.get(rng.below(scene.0.len())).map(|it| it.shape);
            let (Some(block), Some(other)) = (block, other) else {
                let edit = Self::Add(colour, shape, None);
                return (edit, edit.apply(scene, rng).unwrap_or_default());
            };
            let edit = match rng.below(4) {
                0 => Self::Add(colour, shape, rng.chance(0.5).then_some((side, other))),
                1 => Self::Remove(block.colour, block.shape),
                2 if colour != block.colour => Self::Recolour(block.colour, block.shape, colour),
                3 if other != block.shape => Self::Move(block.colour, block.shape, side, other),
                _ => continue,
            };
            if let Some(after) = edit.apply(scene, rng) {
                return (edit, after);
            }
        }
    }
}

/// Edits that bring `scene` to what is wished, in order. A relation stays as it is where neither block can be moved alone, as with one in
/// the top row that another one is to be above.
pub fn edits(scene: &Scene, spec: &PromptSpec) -> Vec<Edit> {
    let rng = &mut Rng::new(0);
    let mut scene = scene.clone();
    let mut edits = Vec::new();
    while edits.len() < 2 * MOST {
        // Room first: of blocks that nobody wished for, one goes where nothing more would fit.
        let wanted = |it: &&Block| spec.shapes().any(|shape| shape == it.shape);
        let extra = scene.0.iter().find(|it| !wanted(it)).copied();
        let unmet: Vec<Demand> = spec
            .0
            .iter()
            .filter(|it| !it.met(&scene))
            .copied()
            .collect();
        let candidates = unmet.iter().flat_map(|it| corrections(*it, &scene, spec));
        let next = candidates
            .chain(extra.map(|it| Edit::Remove(it.colour, it.shape)))
            .find_map(|edit| Some((edit, edit.apply(&scene, rng)?)));
        match next {
            Some((edit, after)) if !unmet.is_empty() => {
                edits.push(edit);
                scene = after;
            }
            _ => break,
        }
    }
    edits
}

/// Edits of which each is a step towards `demand`, the best first.
fn corrections(demand: Demand, scene: &Scene, spec: &PromptSpec) -> Vec<Edit> {
    let add = |shape: Shape| {
        let known = scene.of(shape).next().map(|it| it.colour);
        let colour = spec
            .colour(shape)
            .or(known)
            .unwrap_or(Colour::ALL[shape as usize]);
        let place = spec.0.iter().find_map(|it| match it {
            Demand::Relation(a, side, b) if *a == shape => {
                Some((*side, *b)).filter(|_| scene.of(*b).count() > 0)
            }
            _ => None,
        });
        vec![
            Edit::Add(colour, shape, place),
            Edit::Add(colour, shape, None),
        ]
    };
    match demand {
        Demand::Exists(shape) => add(shape),
        Demand::Count(shape, count) if scene.of(shape).count() < count => add(shape),
        Demand::Count(shape, _) => {
            let wrong = |it: &&Block| spec.colour(shape).is_some_and(|wanted| wanted != it.colour);
            let one = scene.of(shape).find(wrong).or(scene.of(shape).next());
            one.map(|it| Edit::Remove(it.colour, shape))
                .into_iter()
                .collect()
        }
        Demand::Colour(shape, colour) => {
            let wrong = scene.of(shape).filter(|it| it.colour != colour);
            wrong
                .map(|it| Edit::Recolour(it.colour, shape, colour))
                .collect()
        }
        Demand::Relation(a, side, b) => {
            let first = scene.of(a).map(|it| Edit::Move(it.colour, a, side, b));
            let back = match side {
                Side::Left => Some(Side::Right),
                Side::Right => Some(Side::Left),
                Side::Above => None,
            };
            let second = scene
                .of(b)
                .filter_map(|it| Some(Edit::Move(it.colour, b, back?, a)));
            first.chain(second).collect()
        }
    }
}

/// A reply in the layout that models are asked for. Nothing of what is wished: [`REGENERATE`], where `regenerate` allows it.
pub fn reply(scene: &Scene, spec: &PromptSpec, regenerate: bool) -> String {
    let bullets = |lines: Vec<String>| {
        lines
            .iter()
            .map(|it| format!("- {it}\n"))
            .collect::<String>()
    };
    let wanted = bullets(spec.0.iter().map(|it| said(*it)).collect());
    let named = |it: &Block| format!("a {} {}", it.colour.word(), it.shape.word());
    let seen: Vec<String> = scene.0.iter().map(named).collect();
    let checks = spec.0.iter().map(|it| match it.met(scene) {
        true => format!("{} (Correct)", said(*it)),
        false => format!("{} (Mistake: not so in the picture)", said(*it)),
    });
    let head = format!(
        "**Analysis and Comparison**:\n\n**Textual Elements**:\n{wanted}\n**Image Elements**:\n- Seen: {}\n{}",
        if seen.is_empty() {
            "nothing".into()
        } else {
            seen.join(", ")
        },
        bullets(checks.collect())
    );
    if spec.0.iter().all(|it| it.met(scene)) {
        return format!("{head}\nNo further feedback is necessary.");
    }
    if regenerate && !spec.0.iter().any(|it| it.met(scene)) {
        return format!("{head}\n{REGENERATE}");
    }
    let unmet = spec.0.iter().filter(|it| !it.met(scene));
    let mistakes = bullets(
        unmet
            .map(|it| format!("Not as asked for: {}", said(*it)))
            .collect(),
    );
    let feedback = edits(scene, spec)
        .iter()
        .map(|it| format!("{it}."))
        .collect();
    format!(
        "{head}\n**Mistake Identification**:\n{mistakes}\n**Feedback**:\n{}",
        bullets(feedback)
    )
}

/// A demand as a statement.
fn said(demand: Demand) -> String {
    match demand {
        Demand::Exists(shape) => format!("There is a {}", shape.word()),
        Demand::Colour(shape, colour) => format!("The {} is {}", shape.word(), colour.word()),
        Demand::Count(shape, count) => format!("The number of {}s is {count}", shape.word()),
        Demand::Relation(a, side, b) => {
            format!("The {} is {} the {}", a.word(), side.words(), b.word())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Parser, Plan};
    use super::*;

    #[test]
    fn both_parsers_read_edits_that_bring_what_is_wished() {
        let mut rng = Rng::new(3);
        let mut reached = 0;
        for at in 0..400 {
            let spec = PromptSpec::random(1 + at % 4, &mut rng);
            let mut scene = Scene::random(&mut rng);
            let reply = reply(&scene, &spec, false);
            let wanted = edits(&scene, &spec);
            for parser in [Parser::Lenient, Parser::Official] {
                let read = match parser.parse(&reply) {
                    Some(Plan::Edit(steps)) => steps,
                    Some(Plan::Empty) => Vec::new(),
                    other => panic!("{other:?}: {reply}"),
                };
                let read: Vec<Edit> = read.iter().filter_map(|it| Edit::parse(it)).collect();
                assert_eq!(read, wanted, "{reply}");
            }
            for edit in wanted {
                scene = edit.apply(&scene, &mut rng).unwrap_or(scene);
            }
            reached += usize::from(spec.0.iter().all(|it| it.met(&scene)));
        }
        // Relations between blocks at the border stay, and what an edit leaves open may undo one.
        assert!(reached > 300, "{reached} of 400");
    }
}
