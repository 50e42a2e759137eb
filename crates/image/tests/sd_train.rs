//! A small model from nothing: autoencoder, text encoder, U-Net, and the pictures that it draws.
#![cfg(feature = "sd")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use base::command::Context;
use engine::models::emoji_judge::Judge;
use engine::models::stable_diffusion::{OpenOptions, Request, StableDiffusion, pack};
use engine::train::{Progress, Run, steps_done};
use engine::weights::{Precision, Weights};
use image_systems::sd::eval::{Evaluation, Group, LINES, Line, Plan, Report};
use image_systems::sd::train::data::{Grid, Split};
use image_systems::sd::train::{
    Done, Folder, Optimizer, Part, Recipe, TimeDraw, new_text, new_unet, new_vae, run,
};

/// Sheets as the pack has them: in every cell a disc whose colour tells the cell, in every style a little different.
fn sheets(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (style, name) in ["noto", "twemoji", "fluent3d"].into_iter().enumerate() {
        let sheet = image::RgbaImage::from_fn(2560, 1792, |x, y| {
            let (cell, [x, y]) = (
                x / 64 + y / 64 * 40,
                [x % 64, y % 64].map(|v| v as i32 - 32),
            );
            let radius = 14 + 6 * style as i32;
            match x * x + y * y < radius * radius {
                true => image::Rgba([cell * 7, cell * 13, cell * 29, 255].map(|v| v as u8)),
                false => image::Rgba([0; 4]),
            }
        });
        sheet.save(folder.join(format!("{name}.png"))).unwrap();
    }
}

fn recipe(part: Part, data: &Path, base: Option<&Path>, steps: u64) -> Recipe {
    Recipe {
        part,
        data: data.to_owned(),
        base: base.map(Path::to_owned),
        steps,
        batch: 4,
        learning_rate: 1e-3,
        optimizer: Optimizer::Muon,
        ema: 0.9,
        bf16: false,
        seed: 1,
    }
}

fn carry_out(recipe: &Recipe, grid: &Grid, folder: &Path, stopped: bool) -> Done {
    let device = engine::device("cpu").unwrap().autodiff();
    std::fs::create_dir_all(folder).unwrap();
    let bounds = Run {
        folder,
        resume: steps_done(folder).is_some(),
        stop: &AtomicBool::new(stopped),
        progress: &mut Progress::silent(),
    };
    run(recipe, grid, bounds, &device, &mut |_, _| {}).unwrap()
}

#[test]
fn three_stages_make_a_model_that_draws() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("pack");
    sheets(&data);
    let grid = Grid::read(&data).unwrap();
    let [vae, text, unet] = ["vae", "text", "unet"].map(|name| place.path().join(name));

    let part = new_vae(&[8, 8, 16], 1, 3, 1e-4).unwrap();
    assert!(new_vae(&[9], 1, 3, 1e-4).is_err());
    let of_vae = recipe(part, &data, None, 3);
    // Stopped before its first step it goes on from there.
    let done = carry_out(&of_vae, &grid, &vae, true);
    assert!(done.interrupted && done.step == 0);
    let done = carry_out(&of_vae, &grid, &vae, false);
    assert!(!done.interrupted && done.step == 3 && done.loss.is_finite());
    assert_eq!(done.measured[0].0, "development_psnr");
    let base = Folder(vae.join("model"));
    assert_eq!(base.vae_config().unwrap().latent_channels, 3);

    let part = new_text(&grid, 700, 32, 1).unwrap();
    let of_text = recipe(part, &data, Some(&base.0), 3);
    carry_out(&of_text, &grid, &text, false);
    let base = Folder(text.join("model"));
    let (config, tokenizer, _) = base.words().unwrap();
    assert_eq!([config.vocab_size, tokenizer.len()], [700; 2]);

    let part = new_unet(&base, &[16, 32], 1, 1, TimeDraw::Noisy).unwrap();
    assert!(new_unet(&base, &[16; 7], 1, 1, TimeDraw::Noisy).is_err());
    let of_unet = recipe(part, &data, Some(&base.0), 3);
    of_unet.write(&text).unwrap();
    assert_eq!(Recipe::read(&text).unwrap(), of_unet);
    let done = carry_out(&of_unet, &grid, &unet, false);
    let [trained, held] = [0, 1].map(|at| done.measured[at].1);
    assert!((0.3..3.0).contains(&trained) && (0.3..3.0).contains(&held));

    // The folder is a model like any other, and so is the file that it fits into.
    let folder = unet.join("model");
    let device = engine::device("cpu").unwrap();
    let model = StableDiffusion::open(&folder, &OpenOptions::default(), &device).unwrap();
    assert!(model.transparent());
    let usual = model.request();
    assert_eq!(
        [usual.width, usual.height, usual.sampling.steps],
        [64, 64, 20]
    );
    let mut request = Request {
        prompt: "elephant twemoji".into(),
        ..usual
    };
    request.sampling.steps = 3;
    let draw = |model: &StableDiffusion| {
        let mut go = |_, _| true;
        model
            .draw_with_alpha(&request, &mut (), &mut go)
            .unwrap()
            .remove(0)
    };
    let (picture, alpha) = draw(&model);
    assert_eq!([picture.width, picture.height], [64; 2]);
    assert_eq!(alpha.unwrap().len(), 64 * 64);
    // A picture without transparency can be read back.
    let latents = model.encode(std::slice::from_ref(&picture)).unwrap();
    assert_eq!(latents.dims(), [1, 3, 16, 16]);
    let file = pack(&folder, Precision::F32).unwrap();
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let packed = StableDiffusion::from_packed(&weights, &OpenOptions::default(), &device).unwrap();
    assert_eq!(draw(&packed).0, picture);
    evaluate(&model, &grid, &place.path().join("eval"));
    // Training goes on from what is there.
    let config = Box::new(Folder(folder.clone()).unet_config().unwrap());
    let part = Part::Unet {
        config,
        times: TimeDraw::Uniform,
    };
    let more = recipe(part, &data, Some(&folder), 1);
    carry_out(&more, &grid, &place.path().join("more"), false);
    let held_out = [Split::Development, Split::Test].map(|split| grid.of(split).len());
    assert!(held_out[0] < held_out[1]);
}

/// Draws pairs, goes on where it was stopped, and measures.
fn evaluate(model: &StableDiffusion, grid: &Grid, out: &Path) {
    let mut sampling = model.request().sampling;
    sampling.steps = 2;
    let plan = Plan::new(grid, Split::Development, Some(2), (2, 0), sampling);
    assert_eq!(plan.pairs.len(), 4);
    let judge = Judge::embedded(model.device()).unwrap();
    let evaluation = Evaluation {
        model,
        grid,
        judge: &judge,
        plan: &plan,
        out,
    };
    let run = |stopped: bool, at: &mut dyn FnMut(usize, usize)| {
        let stop = Box::leak(Box::new(AtomicBool::new(stopped)));
        evaluation.run(Context { stop }, at)
    };
    assert_eq!(run(true, &mut |_, _| {}).unwrap_err().code(), 130);
    let report = run(false, &mut |_, _| {}).unwrap();
    for group in &report.groups {
        assert_eq!([group.pairs, group.drawn.pictures], [2, 4]);
        assert!(group.frechet.unwrap() > 0.0 && group.autoencoder_l1 > 0.0);
        assert!(group.autoencoder_psnr > 0.0);
    }
    for name in ["trained.png", "held-out.png"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    // What is there is not drawn again: this needs no step.
    let told = |report: &Report| serde_json::to_string(report).unwrap();
    let again = run(true, &mut |_, _| {}).unwrap();
    assert_eq!(told(&again), told(&report));
    let lines = base::job::jsonl::read(&out.join(LINES)).unwrap().records;
    assert_eq!(lines.len(), 8);
    let line: Line = serde_json::from_value(lines[0].1.clone().into()).unwrap();
    assert_eq!(line.group, Group::Trained);
    std::fs::remove_file(out.join(&line.file)).unwrap();
    assert_eq!(run(true, &mut |_, _| {}).unwrap_err().code(), 130);
    assert_eq!(told(&run(false, &mut |_, _| {}).unwrap()), told(&report));
}

#[test]
fn a_pack_that_is_not_one_is_told() {
    let place = tempfile::tempdir().unwrap();
    let line = |folder: &Path| match Grid::read(folder) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(line(place.path()).contains("make.py"));
    let small = image::RgbaImage::new(64, 64);
    small.save(place.path().join("noto.png")).unwrap();
    assert!(line(place.path()).contains("64x64 pixels, not 2560x1792"));
}
