//! The toy world of one seed: base, adapters, pairs.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};

use super::denoiser::{self, Denoiser, Noise, Rhythm, noisy};
use super::sprites::{STYLES, Sprite, Subject, plain, rendered};
use super::worlds::{Pair, Sizes, World};
use crate::lora_rar::FactorTensors;
use crate::lora_rar::distill::PairLayer;
use crate::lora_rar::ziplora::OFFICIAL;

/// Subjects, and how many of them are trained on.
const SUBJECTS: [usize; 2] = [15, 12];
/// Styles that are trained on.
const TRAINED_STYLES: usize = 7;
/// Training of the base and of each adapter.
const BASE: Rhythm = (2500, 64, 2e-3);
const ADAPTER: Rhythm = (400, 32, 5e-3);

/// Base and adapters of one seed.
pub(super) struct Toy {
    device: Device,
    pub(super) base: Denoiser,
    subjects: Vec<Subject>,
    pairs: Vec<Pair>,
}

impl Toy {
    /// The subject, something in the style, and the subject in the style, as they should look.
    pub(super) fn truth(&self, pair: &Pair, rng: &mut Rng) -> [Sprite; 3] {
        let subject = self.subjects[pair.subject].draw(rng);
        [
            subject.clone(),
            rendered(pair.style, &plain(rng)),
            rendered(pair.style, &subject),
        ]
    }
}

impl Toy {
    /// What `picture` draws, with `noise`.
    fn noisy(
        &self,
        noise: &Noise,
        rng: &mut Rng,
        picture: &dyn Fn(&mut Rng) -> Sprite,
    ) -> Tensor<2> {
        let sprites: Vec<Sprite> = (0..noise.rows()).map(|_| picture(rng)).collect();
        noisy(&sprites, noise, &self.device)
    }
}

impl World for Toy {
    type Network = Denoiser;
    type Input = Tensor<2>;
    const NAME: &'static str = "hypernet";
    const SIZES: Sizes = Sizes {
        rows: 16,
        tested: 256,
        hypernet: (800, 3e-3),
        ziplora: OFFICIAL,
        grid: (4, 16, 1),
    };

    fn new(seed: u64, context: Context) -> Result<Self, Failure> {
        let rng = Rng::new(seed).child("world");
        let device = Device::flex().autodiff();
        let base = denoiser::base(BASE, &rng.child("base"), &device, &plain);
        let mut draws = rng.child("subjects");
        let subjects: Vec<Subject> = (0..SUBJECTS[0]).map(|_| Subject::new(&mut draws)).collect();
        let adapter = |name: String, picture: &dyn Fn(&mut Rng) -> Sprite| {
            context.proceed()?;
            Ok(denoiser::adapter(
                &base,
                ADAPTER,
                &rng.child(&name),
                &device,
                picture,
            ))
        };
        let contents = subjects
            .iter()
            .enumerate()
            .map(|(at, subject)| adapter(format!("subject {at}"), &|rng| subject.draw(rng)));
        let contents = contents.collect::<Result<Vec<_>, Failure>>()?;
        let styles = (0..STYLES).map(|style| {
            adapter(format!("style {style}"), &|rng| {
                rendered(style, &plain(rng))
            })
        });
        let styles = styles.collect::<Result<Vec<_>, Failure>>()?;
        let pair = |subject: usize, style: usize| Pair {
            subject,
            style,
            layers: layers(&contents[subject], &styles[style]),
        };
        let pairs =
            (0..SUBJECTS[0]).flat_map(|subject| (0..STYLES).map(move |style| (subject, style)));
        let pairs = pairs.map(|(subject, style)| pair(subject, style)).collect();
        Ok(Self {
            device,
            base,
            subjects,
            pairs,
        })
    }

    fn network(&self) -> &Denoiser {
        &self.base
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn pairs(&self) -> [Vec<&Pair>; 2] {
        let unseen = |pair: &Pair| [pair.subject >= SUBJECTS[1], pair.style >= TRAINED_STYLES];
        [false, true].map(|wanted| {
            let all = self.pairs.iter();
            all.filter(|pair| unseen(pair) == [wanted; 2]).collect()
        })
    }

    fn alone(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> [Tensor<2>; 2] {
        let noise = Noise::draw(rows, rng);
        let subject = &self.subjects[pair.subject];
        let content = self.noisy(&noise, rng, &|rng| subject.draw(rng));
        let style = self.noisy(&noise, rng, &|rng| rendered(pair.style, &plain(rng)));
        [content, style]
    }

    fn joint(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> (Tensor<2>, Tensor<2>) {
        let noise = Noise::draw(rows, rng);
        let subject = &self.subjects[pair.subject];
        let both = self.noisy(&noise, rng, &|rng| rendered(pair.style, &subject.draw(rng)));
        (both, noise.tensor(&self.device))
    }
}

fn layers(content: &[FactorTensors], style: &[FactorTensors]) -> Vec<PairLayer> {
    let both = content.iter().zip(style);
    both.map(|(content, style)| PairLayer {
        content: content.clone(),
        style: style.clone(),
        asked: true,
    })
    .collect()
}
