//! Wishes for held-out subjects, and what came of them.

use base::command::Failure;
use base::media::Image;
use base::rng::Rng;
use engine::models::emoji_judge::Judge;

use super::stage::{Stage, draw, request};
use crate::fiva::pipeline::Reference;
use crate::fiva::render::{RENDERED, render};
use crate::fiva::tower::ALL;
use crate::fiva::{Adapter, Extractor, Guide, Padding, Uncond, generate};

/// Wishes for each attribute.
pub(super) const WISHES: usize = 12;

/// One attribute of a reference, which shows all three, on another subject.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// A group of [`RENDERED`].
    pub(super) group: usize,
    /// The reference's entries.
    pub(super) entries: [usize; 3],
    /// The reference: a held-out subject's drawing.
    pub(super) reference: usize,
    /// The held-out subject that is to be drawn.
    pub(super) subject: usize,
    /// Seed of the picture.
    pub(super) seed: u64,
}

/// The wishes of a seed.
pub(super) fn wishes(stage: &Stage, rng: &Rng) -> Vec<Wish> {
    let subjects = stage.held_out.len();
    let of = |at: usize| {
        let mut rng = rng.item(at as u64);
        let reference = rng.below(subjects);
        Wish {
            group: at % RENDERED.len(),
            entries: RENDERED.map(|(_, entries)| rng.below(entries.len())),
            reference,
            subject: (reference + 1 + rng.below(subjects.max(2) - 1)) % subjects,
            seed: rng.bits() >> 32,
        }
    };
    (0..RENDERED.len() * WISHES).map(of).collect()
}

impl Wish {
    /// The reference.
    pub(super) fn shown(&self, stage: &Stage) -> Image {
        let drawing = &stage.held_out[self.reference].drawing;
        render(drawing, self.entries.map(Some))
    }

    /// The picture, by the model alone or with an adapter that is given the attribute's word or the one for any.
    pub(super) fn draw(
        &self,
        stage: &Stage,
        adapter: Option<(&(Extractor, Adapter), bool)>,
    ) -> Result<Image, Failure> {
        let name = &stage.held_out[self.subject].name;
        let Some(((extractor, adapter), tagged)) = adapter else {
            return draw(&stage.model, name, self.seed);
        };
        let word = if tagged { RENDERED[self.group].0 } else { ALL };
        let references = [Reference {
            picture: self.shown(stage),
            tag: word.to_owned(),
            strength: 1.0,
        }];
        let (padding, uncond) = (Padding::Full, Uncond::ZeroFeatures);
        let guide = Guide::new(
            extractor,
            &adapter.image_proj,
            &references,
            padding,
            uncond,
            false,
        )?;
        let request = request(&stage.model, name, self.seed);
        let drawn = generate(&stage.model, adapter, &guide, &request, 1.0, &mut |_, _| {
            true
        })?;
        drawn
            .into_iter()
            .next()
            .ok_or_else(|| Failure::failed("nothing was drawn"))
    }
}

/// What the judges see in one picture.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    right_subject: bool,
    /// Of each group, whether the reference's entry is seen.
    same: [bool; 3],
}

/// Judges the pictures of wishes.
pub(super) fn judged(stage: &Stage, wishes: &[Wish], pictures: &[Image]) -> Vec<Seen> {
    let values: Vec<Vec<f32>> = pictures.iter().map(Judge::values).collect();
    let subjects = stage.judge.judge(&values);
    let all = wishes.iter().zip(pictures).zip(subjects);
    all.map(|((wish, picture), verdict)| {
        let code = stage.judge.codes().get(verdict.subject);
        let look = stage.reader.look(picture);
        Seen {
            right_subject: code == Some(&stage.held_out[wish.subject].code),
            same: std::array::from_fn(|group| look[group] == wish.entries[group]),
        }
    })
    .collect()
}

/// Shares over the wishes of a seed.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) both: f64,
    pub(super) attribute: f64,
    pub(super) subject: f64,
    /// How much more often than in pictures of the base alone something is the reference's that was not asked for.
    pub(super) leakage: f64,
    /// The attribute is right, group by group.
    pub(super) each: [f64; 3],
}

/// Counts; `alone` is what the base alone draws for the same wishes.
pub(super) fn measure(wishes: &[Wish], seen: &[Seen], alone: &[Seen]) -> Found {
    let share = |hits: &mut dyn Iterator<Item = bool>| {
        let (hits, of) = hits.fold((0.0, 0.0), |(hits, of), it| {
            (hits + f64::from(u8::from(it)), of + 1.0)
        });
        hits / f64::max(of, 1.0)
    };
    let pairs = || wishes.iter().zip(seen);
    let leaked = |seen: &[Seen]| {
        let others = |(wish, it): (&Wish, &Seen)| {
            let (group, same) = (wish.group, it.same);
            (0..same.len())
                .filter(move |at| *at != group)
                .map(move |at| same[at])
        };
        share(&mut wishes.iter().zip(seen).flat_map(others))
    };
    Found {
        both: share(&mut pairs().map(|(wish, it)| it.right_subject && it.same[wish.group])),
        attribute: share(&mut pairs().map(|(wish, it)| it.same[wish.group])),
        subject: share(&mut pairs().map(|(_, it)| it.right_subject)),
        leakage: leaked(seen) - leaked(alone),
        each: std::array::from_fn(|group| {
            let of = pairs().filter(|(wish, _)| wish.group == group);
            share(&mut of.map(|(_, it)| it.same[group]))
        }),
    }
}
