//! The figures of an evaluation, and its sheets.

use base::command::Failure;
use base::media::Image;
use base::media::sheet::{self, Layout};
use base::numerics::frechet;
use engine::models::emoji_judge::Judge;
use engine::models::stable_diffusion::Drawn;
use serde::Serialize;

use super::{Evaluation, Group, Line};
use crate::sd::train::data::Pair;

/// Pictures in a row of a sheet, about.
const IN_A_ROW: usize = 12;
/// Pixels for a caption and the gap between rows.
const ROOM: u32 = 40;

/// What the judge names right, as shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Pictures.
    pub pictures: usize,
    /// The subject.
    pub subject: f64,
    /// The style.
    pub style: f64,
    /// Both.
    pub both: f64,
}

/// One group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupReport {
    /// Whether its pairs were trained on.
    pub group: Group,
    /// Pairs.
    pub pairs: usize,
    /// Of the drawn pictures.
    pub drawn: Figures,
    /// Of the real ones: the most that can be expected.
    pub real: Figures,
    /// Fréchet distance of the drawn pictures to the real ones of the same pairs, in the judge's features; none of fewer than two.
    pub frechet: Option<f64>,
    /// Peak signal-to-noise ratio of the real pictures on white through the autoencoder and back, in decibels, the mean of all.
    pub autoencoder_psnr: f64,
    /// Mean absolute difference there, in the range 0 to 1.
    pub autoencoder_l1: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Trained pairs, then held-out ones.
    pub groups: Vec<GroupReport>,
}

/// How often both are right, given subject and style of each.
fn figures(right: &[[bool; 2]]) -> Figures {
    let share = |hit: &dyn Fn(&[bool; 2]) -> bool| {
        right.iter().filter(|it| hit(it)).count() as f64 / right.len().max(1) as f64
    };
    Figures {
        pictures: right.len(),
        subject: share(&|it| it[0]),
        style: share(&|it| it[1]),
        both: share(&|it| it[0] && it[1]),
    }
}

/// Measures all groups.
pub(super) fn measure(eval: &Evaluation<'_>, lines: &[Line]) -> Result<Report, Failure> {
    let groups = Group::ALL.map(|group| -> Result<GroupReport, Failure> {
        let of: Vec<&Line> = lines.iter().filter(|line| line.group == group).collect();
        let pairs = eval.plan.pairs.iter().filter(|it| it.0 == group);
        let pairs: Vec<Pair> = pairs.map(|it| it.1).collect();
        let mut made = Vec::with_capacity(of.len());
        for line in &of {
            made.push(Judge::values(&eval.read(&line.file)?));
        }
        let mut real: Vec<Drawn> = Vec::with_capacity(pairs.len());
        for &pair in &pairs {
            real.push(eval.grid.image(pair)?);
        }
        let values: Vec<Vec<f32>> = real.iter().map(|it| Judge::values(&it.0)).collect();
        let seen = eval.judge.judge(&values);
        let seen: Vec<[bool; 2]> = pairs
            .iter()
            .zip(&seen)
            .map(|(pair, seen)| {
                let code = eval.judge.codes().get(seen.subject);
                let subject = code == Some(&eval.grid.subjects[pair.subject].code);
                [subject, seen.style as usize == pair.style]
            })
            .collect();
        let [psnr, l1] = fidelity(eval, &real)?;
        let right: Vec<[bool; 2]> = of.iter().map(|line| line.right()).collect();
        Ok(GroupReport {
            group,
            pairs: pairs.len(),
            drawn: figures(&right),
            real: figures(&seen),
            frechet: frechet(&eval.judge.features(&made), &eval.judge.features(&values)).ok(),
            autoencoder_psnr: psnr,
            autoencoder_l1: l1,
        })
    });
    let groups = groups.into_iter().collect::<Result<_, Failure>>()?;
    Ok(Report { groups })
}

/// The means of PSNR and absolute difference of pictures that go through the autoencoder and back.
fn fidelity(eval: &Evaluation<'_>, real: &[Drawn]) -> Result<[f64; 2], Failure> {
    let mut sums = [0.0; 2];
    for drawn in real {
        let latents = eval.model.encode_with_alpha(std::slice::from_ref(drawn))?;
        for back in eval.model.decode(latents)? {
            let off = |power: i32| {
                let bytes = back.pixels.iter().zip(&drawn.0.pixels);
                let each = bytes.map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs() / 255.0);
                each.map(|off| off.powi(power)).sum::<f64>() / back.pixels.len().max(1) as f64
            };
            sums[0] += -10.0 * libm::log10(off(2).max(1e-8));
            sums[1] += off(1);
        }
    }
    Ok(sums.map(|sum| sum / real.len().max(1) as f64))
}

/// Real pictures, each followed by what was drawn of it and what the judge takes that for, as many as fit; none without pictures.
pub(super) fn sheet(
    eval: &Evaluation<'_>,
    lines: &[&Line],
    seeds: usize,
) -> Result<Option<Image>, Failure> {
    let Some(first) = lines.first() else {
        return Ok(None);
    };
    let side = eval.read(&first.file)?.height;
    // Small pictures are shown twice as large.
    let scale = if side <= 128 { 2 } else { 1 };
    let in_a_row = (IN_A_ROW / (seeds + 1)).max(1);
    let rows = (sheet::MAX_SHEET_SIDE / (side * scale + ROOM)).max(1) as usize;
    let (mut pictures, mut captions) = (Vec::new(), Vec::new());
    for pair in lines.chunks(seeds).take(rows * in_a_row) {
        let Some(first) = pair.first() else {
            continue;
        };
        pictures.push(eval.read(&first.real)?);
        captions.push(first.prompt.clone());
        for line in pair {
            pictures.push(eval.read(&line.file)?);
            captions.push(match line.right() {
                [true, true] => "seen".to_owned(),
                _ => format!(
                    "seen: {} {}",
                    eval.name(&line.seen_subject),
                    line.seen_style
                ),
            });
        }
    }
    let layout = Layout {
        columns: Some(in_a_row * (seeds + 1)),
        scale,
        ..Layout::default()
    };
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    Ok(Some(sheet::sheet(&pictures, &captions, &layout)?))
}
