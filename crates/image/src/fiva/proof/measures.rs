//! What is measured of one adapter.

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;

use super::denoiser::Prompt;
use super::sprites::{CHOICES, Factors, Judge, SUBJECTS, Sprite};
use super::world::{TAGS, Wish, World};
use crate::fiva::train::Trained;

/// Wishes of each kind.
pub(super) const WISHES: usize = 48;

/// Shares of one adapter with one seed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Requested attribute and subject right, over colour, stroke and lighting.
    pub(super) both: f64,
    /// The same for each of them.
    pub(super) each: [f64; 3],
    /// Subject right.
    pub(super) subject: f64,
    /// How much more often than by chance an attribute of the reference appears that was not asked for.
    pub(super) leakage: f64,
    /// As `both`, with other words for the attributes than the usual.
    pub(super) synonyms: f64,
    /// Colour of one reference and stroke of another one, both right.
    pub(super) composition: f64,
    /// Attributes that went to the other reference as the words did.
    pub(super) swap: f64,
}

/// A single reference with `attribute` asked of it, on another subject of its range.
fn single(world: &World, attribute: usize, rng: &mut Rng) -> (Factors, usize) {
    let reference = Factors::random(rng);
    let mut others = world.partners(attribute, reference.subject, true);
    others.retain(|it| *it != reference.subject);
    let subject = others.get(rng.below(others.len())).copied();
    (reference, subject.unwrap_or(reference.subject))
}

/// Two references whose colours and strokes differ, and a subject.
fn double(rng: &mut Rng) -> [Factors; 2] {
    loop {
        let [a, b] = [Factors::random(rng), Factors::random(rng)];
        if a.attributes[0] != b.attributes[0] && a.attributes[1] != b.attributes[1] {
            return [a, b];
        }
    }
}

/// Measures an adapter. All arms of a seed meet the same wishes and noise.
pub(super) fn measure(
    world: &World,
    judge: &Judge,
    model: &Trained,
    tagged: bool,
    seed: u64,
) -> Result<Found, Failure> {
    let rng = Rng::new(seed).child("test");
    let device = Device::flex();
    let name = |sprites: &[Sprite]| judge.names(sprites, &device);
    let mut found = Found::default();
    let mut leaks = Vec::new();
    for (attribute, tags) in TAGS.iter().enumerate() {
        let mut draws = rng.child(tags[0]);
        let tests: Vec<(Factors, usize)> = (0..WISHES)
            .map(|_| single(world, attribute, &mut draws))
            .collect();
        for (words, synonym) in [(1, false), (tags.len() - 1, true)] {
            let wish = |(at, (reference, subject)): (usize, &(Factors, usize))| Wish {
                subject: *subject,
                references: vec![(*reference, tags[usize::from(synonym) * (1 + at % words)])],
            };
            let wishes: Vec<Wish> = tests.iter().enumerate().map(wish).collect();
            let noise = &mut draws.child("noise");
            let names = name(&world.draw(model, &wishes, tagged, noise)?);
            let pairs = || names.iter().zip(&tests);
            let share = |hit: &dyn Fn(&Factors, &(Factors, usize)) -> bool| {
                pairs().filter(|(it, test)| hit(it, test)).count() as f64 / WISHES as f64
            };
            let right = |it: &Factors, (reference, subject): &(Factors, usize)| {
                it.subject == *subject
                    && it.attributes[attribute] == reference.attributes[attribute]
            };
            let both = share(&right);
            if synonym {
                found.synonyms += both / 3.0;
                continue;
            }
            found.each[attribute] = both;
            found.both += both / 3.0;
            found.subject += share(&|it, (_, subject)| it.subject == *subject) / 3.0;
            for other in (0..3).filter(|other| *other != attribute) {
                let same = share(&|it, (reference, _)| {
                    it.attributes[other] == reference.attributes[other]
                });
                leaks.push(same - 1.0 / CHOICES[other] as f64);
            }
        }
    }
    found.leakage = leaks.iter().sum::<f64>() / leaks.len() as f64;
    let mut draws = rng.child("two");
    let tests: Vec<([Factors; 2], usize)> = (0..WISHES)
        .map(|_| (double(&mut draws), draws.below(SUBJECTS)))
        .collect();
    let drawn = |tags: [&'static str; 2]| -> Result<Vec<Factors>, Failure> {
        let wish = |([a, b], subject): &([Factors; 2], usize)| Wish {
            subject: *subject,
            references: vec![(*a, tags[0]), (*b, tags[1])],
        };
        let wishes: Vec<Wish> = tests.iter().map(wish).collect();
        let noise = &mut draws.child("noise");
        Ok(name(&world.draw(model, &wishes, tagged, noise)?))
    };
    let straight = drawn([TAGS[0][0], TAGS[1][0]])?;
    let crossed = drawn([TAGS[1][0], TAGS[0][0]])?;
    for (([a, b], _), (one, two)) in tests.iter().zip(straight.iter().zip(&crossed)) {
        let [colour, stroke] = [0, 1].map(|at| move |it: &Factors| it.attributes[at]);
        let moved = [
            colour(one) == colour(a) && colour(two) == colour(b),
            stroke(one) == stroke(b) && stroke(two) == stroke(a),
        ];
        let composed = colour(one) == colour(a) && stroke(one) == stroke(b);
        found.composition += f64::from(u8::from(composed)) / WISHES as f64;
        let moved = moved.map(|it| f64::from(u8::from(it)));
        found.swap += (moved[0] + moved[1]) / (2 * WISHES) as f64;
    }
    Ok(found)
}

/// What the base does without references, and with words in their place.
pub(super) fn alone(world: &World, judge: &Judge) -> String {
    let rng = &mut Rng::new(super::SHARED).child("alone");
    let factors: Vec<Factors> = (0..2 * WISHES).map(|_| Factors::random(rng)).collect();
    let drawn = |prompt: &dyn Fn(&Factors) -> Prompt, rng: &mut Rng| {
        let prompts: Vec<Prompt> = factors.iter().map(prompt).collect();
        let names = judge.names(&world.plain(&prompts, rng), &Device::flex());
        let share = |hit: &dyn Fn(&Factors, &Factors) -> bool| {
            let hits = names
                .iter()
                .zip(&factors)
                .filter(|(a, b)| hit(a, b))
                .count();
            100.0 * hits as f64 / factors.len() as f64
        };
        let [colour, stroke, lighting] =
            [0, 1, 2].map(|at| share(&|a, b| a.attributes[at] == b.attributes[at]));
        let subject = share(&|a, b| a.subject == b.subject);
        format!(
            "subject {subject:.1} %, colour {colour:.1} %, stroke {stroke:.1} %, lighting {lighting:.1} %"
        )
    };
    let bare = drawn(&|it| Prompt::subject(it.subject), &mut rng.child("bare"));
    let full = |it: &Factors| Prompt {
        subject: Some(it.subject),
        attributes: it.attributes.map(Some),
    };
    let full = drawn(&full, &mut rng.child("full"));
    format!(
        "The base alone, without guidance, of {} sprites; told the subject: {bare} right; told the attributes as well: {full}.",
        factors.len()
    )
}
