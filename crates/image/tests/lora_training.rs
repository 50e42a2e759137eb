//! LoRAs trained on a model, and the hypernetwork and ZipLoRA on the same model.
#![cfg(all(feature = "lora-rar", feature = "sd"))]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use base::media::{Image, write_image};
use base::rng::Rng;
use burn::tensor::Tensor;
use engine::models::stable_diffusion::{Request, StableDiffusion};
use engine::models::unet2d::UnetLora;
use engine::train::{Progress, Run, is_begun};
use image_systems::lora_rar::distill::{Losses, losses};
use image_systems::lora_rar::pipeline::{Job, SEES, open_merger};
use image_systems::lora_rar::recipe::{self, HypernetRecipe};
use image_systems::lora_rar::unet::{inputs, layers, pair, updates, widths};
use image_systems::lora_rar::ziplora::ZipLora;
use image_systems::lora_rar::{Format, LoraFile, Method, Settings, captions};
use image_systems::sd::lora::{self, LoraDone, LoraRecipe};
use image_systems::tuning::{FrozenBase, Instances, lora_file, pictures};

/// Two pictures of stripes in `colour`.
fn stripes(folder: &Path, colour: [u8; 3]) {
    std::fs::create_dir_all(folder).unwrap();
    for at in 0..2 {
        let mut picture = Image::filled(80, 64, [255; 3]);
        for (x, y) in (0..80).flat_map(|x| (8..56).map(move |y| (x, y))) {
            if (x + 4 * at) / 8 % 2 == 0 {
                picture.set(x, y, colour);
            }
        }
        write_image(folder.join(format!("{at}.png")), &picture, &[]).unwrap();
    }
}

fn recipe_of(data: &Path, prompt: &str, steps: u64) -> LoraRecipe {
    LoraRecipe {
        model: "embedded".into(),
        vae: None,
        tokenizer: None,
        prediction: None,
        loras: Vec::new(),
        data: data.to_owned(),
        prompt: Some(prompt.into()),
        side: None,
        rank: 2,
        alpha: 4.0,
        steps,
        batch: 2,
        learning_rate: 3e-3,
        ema: 0.0,
        bf16: false,
        seed: 5,
    }
}

/// The base, where this build has one.
fn embedded(recipe: &LoraRecipe) -> Option<StableDiffusion> {
    let device = engine::device("cpu").unwrap();
    match recipe.open(&device) {
        Ok(model) => Some(model),
        Err(error) => {
            assert!(
                error
                    .to_string()
                    .contains("built without its embedded model")
            );
            None
        }
    }
}

fn bounds<'a>(folder: &'a Path, stop: &'a AtomicBool, progress: &'a mut Progress) -> Run<'a> {
    Run {
        folder,
        resume: is_begun(folder),
        stop,
        progress,
    }
}

fn trained(recipe: &LoraRecipe, model: &StableDiffusion, folder: &Path, stopped: bool) -> LoraDone {
    std::fs::create_dir_all(folder).unwrap();
    let (stop, mut progress) = (AtomicBool::new(stopped), Progress::silent());
    let bounds = bounds(folder, &stop, &mut progress);
    lora::run(recipe, model, bounds, &mut |_, _| Ok(())).unwrap()
}

fn number(loss: Tensor<1>) -> f32 {
    loss.into_scalar::<f32>()
}

#[test]
fn a_lora_learns_pictures_goes_on_and_is_read_by_all() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    stripes(&data, [200, 30, 90]);
    let recipe = recipe_of(&data, "sks stripes", 30);
    let Some(model) = embedded(&recipe) else {
        return;
    };
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    let done = trained(&recipe, &model, &whole, false);
    let [without, with] = done.errors;
    assert!(!done.interrupted && done.step == 30);
    assert!(with < 0.95 * without, "{without} {with}");

    // Stopped before its first step and after ten it gives the same bytes.
    assert!(trained(&recipe, &model, &parts, true).interrupted);
    assert!(!parts.join(lora::FILE).exists());
    let ten = LoraRecipe {
        steps: 10,
        ..recipe.clone()
    };
    assert_eq!(trained(&ten, &model, &parts, false).step, 10);
    assert_eq!(trained(&recipe, &model, &parts, false).step, 30);
    let bytes = |folder: &PathBuf| std::fs::read(folder.join(lora::FILE)).unwrap();
    assert!(bytes(&whole) == bytes(&parts));
    recipe.write(&parts).unwrap();
    assert_eq!(LoraRecipe::read(&parts).unwrap(), recipe);

    // LoRA.rar reads it.
    let path = whole.join(lora::FILE);
    let file = LoraFile::open(&path).unwrap();
    let base = FrozenBase::new(&model, 64).unwrap();
    assert_eq!(file.format, Format::Peft);
    assert_eq!(file.layers().count(), base.projections.len());
    assert!(layers(&base).all(|layer| file.has(&layer)));
    assert_eq!(file.metadata()["prompt"], "sks stripes");
    // `sd generate` does: the model that is opened with it predicts what training saw.
    let opened = LoraRecipe {
        loras: vec![(path, 1.0)],
        ..recipe.clone()
    };
    let opened = embedded(&opened).unwrap();
    assert!(opened.notes().is_empty());
    let found = pictures(&data, Some("sks stripes")).unwrap();
    let instances = Instances::read(&model, 64, &found, &mut |_, _| Ok(())).unwrap();
    let input = instances.noisy(&base, &[0, 1], &base.even_noise(2, &mut Rng::new(3)));
    let of_file = updates(&file, &base).unwrap();
    let alone: Vec<_> = of_file
        .iter()
        .map(image_systems::lora_rar::distill::Update::Single)
        .collect();
    let hooked = image_systems::lora_rar::distill::Adapted::predict(&base, &input, &alone);
    let merged = FrozenBase::new(&opened, 64).unwrap();
    let off = hooked.clone() - merged.answer(&input, &mut ()).flatten(1, 3);
    let plain = hooked - base.answer(&input, &mut ()).flatten(1, 3);
    assert!(number(off.square().mean()) < 1e-8);
    assert!(number(plain.square().mean()) > 1e-4);
    let mut request = Request {
        prompt: "sks stripes".into(),
        ..opened.request()
    };
    request.sampling.steps = 2;
    let draw = |model: &StableDiffusion| model.draw(&request, &mut (), &mut |_, _| true).unwrap();
    assert!(draw(&opened) != draw(&model));
}

/// A LoRA with random factors.
fn random(base: &FrozenBase, seed: u64, path: &Path) {
    let mut rng = Rng::new(seed);
    let mut lora = UnetLora::new(base.unet(), 2, 2.0, &mut rng, &base.device);
    for change in &mut lora.changes {
        let shape = change.b.val().dims();
        let values: Vec<f32> = rng
            .normals(shape[0] * shape[1])
            .iter()
            .map(|v| 0.1 * v)
            .collect();
        let data = burn::tensor::TensorData::new(values, shape);
        change.b = burn::module::Param::from_data(data, &base.device);
    }
    lora_file(&lora, "sks").unwrap().write(path).unwrap();
}

#[test]
fn the_hypernetwork_and_ziplora_learn_on_a_u_net() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let Some(model) = embedded(&recipe_of(&at("data"), "", 1)) else {
        return;
    };
    let base = FrozenBase::new(&model, 64).unwrap();
    std::fs::create_dir_all(at("loras")).unwrap();
    for (seed, (kind, name)) in [("subjects", "dog"), ("styles", "ink"), ("styles", "clay")]
        .into_iter()
        .enumerate()
    {
        stripes(
            &at("data").join(kind).join(name),
            [60 * seed as u8, 80, 200],
        );
        random(
            &base,
            seed as u64,
            &at("loras").join(format!("{name}.safetensors")),
        );
    }
    let text = r#"{"subjects": {"dog": {"instance_prompt": "a sks dog"}}, "styles": {"ink": {}, "clay": {}}}"#;
    std::fs::write(at("captions.json"), text).unwrap();
    let recipe = HypernetRecipe {
        model: "embedded".into(),
        tokenizer: None,
        captions: at("captions.json"),
        loras: at("loras"),
        data: at("data"),
        side: None,
        steps: 4,
        batch: 1,
        learning_rate: 0.01,
        similarity: 1e-5,
        ema: 0.0,
        bf16: false,
        seed: 1,
    };
    let [subjects, styles] = recipe.members().unwrap();
    assert_eq!(subjects[0].prompt, "a sks dog");
    assert_eq!(
        styles
            .iter()
            .map(|it| it.prompt.as_str())
            .collect::<Vec<_>>(),
        ["sks"; 2]
    );
    let folder = at("run");
    std::fs::create_dir_all(&folder).unwrap();
    let (stop, mut progress) = (AtomicBool::new(false), Progress::silent());
    let run = bounds(&folder, &stop, &mut progress);
    let done = recipe::run(&recipe, &model, run, &mut |_, _| Ok(())).unwrap();
    assert!(done.step == 4 && done.loss.is_finite());
    assert_eq!((done.members, &done.widths), ([1, 2], &widths(&base)));

    // `merge` reads the network.
    let merger = open_merger(&folder.join(recipe::FILE)).unwrap();
    assert!(merger.effective, "{SEES:?}");
    let [content, style] = [&subjects[0].lora, &styles[0].lora];
    let job = Job {
        content,
        style,
        settings: Settings {
            method: Method::Rar,
            strengths: [1.0, 1.0],
            density: 0.5,
        },
        merger: Some(&merger),
        columns: None,
        seed: 0,
        format: Format::Peft,
        precision: content.precision(),
    };
    let (file, reports) = job.run(&mut |_, _| Ok(())).unwrap();
    assert_eq!(reports.len(), base.projections.len());
    let asked = reports
        .iter()
        .filter(|it| it.coefficients.is_some())
        .count();
    assert_eq!(asked, base.projections.len() / 2);
    file.write(at("merged.safetensors")).unwrap();

    // ZipLoRA comes nearer to both adapters than their sum.
    let pair = pair(
        &base,
        &updates(content, &base).unwrap(),
        &updates(style, &base).unwrap(),
    );
    let members = [&subjects[0], &styles[0]].map(|it| {
        let found = pictures(&it.pictures, Some(&it.prompt)).unwrap();
        Instances::read(&model, 64, &found, &mut |_, _| Ok(())).unwrap()
    });
    let sides = [&members[0], &members[1]];
    let zip = |steps| {
        let zip = ZipLora {
            steps,
            rate: 0.02,
            lambda: 1e-5,
        };
        let draws = Rng::new(2);
        zip.run(&base, &pair, |at| {
            Ok(inputs(&base, sides, 1, &mut draws.item(at)))
        })
        .unwrap()
    };
    let [content, style] = inputs(&base, sides, 4, &mut Rng::new(9));
    let distance = |steps| {
        let Losses { content, style, .. } =
            losses(&base, [&content, &style], &pair, &zip(steps), 0.0);
        number(content + style)
    };
    let [sum, optimised] = [distance(0), distance(12)];
    assert!(optimised < 0.9 * sum, "{sum} {optimised}");
    let given = zip(1).into_iter().map(|it| it.values().unwrap());
    let columns = layers(&base).zip(given).collect();
    let mut job = Job {
        merger: None,
        columns: Some(&columns),
        ..job
    };
    job.settings.method = Method::ZipLora;
    let (_, reports) = job.run(&mut |_, _| Ok(())).unwrap();
    assert!(reports.iter().all(|it| it.coefficients.is_some()));
}

#[test]
fn what_cannot_be_used_is_told_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let line = |folder: &Path, prompt: Option<&str>| {
        let line = pictures(folder, prompt).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    };
    assert!(line(&at("absent"), Some("a dog")).contains("cannot read the pictures in"));
    std::fs::create_dir_all(at("empty")).unwrap();
    assert!(line(&at("empty"), Some("a dog")).contains("there is none: put some there"));
    stripes(&at("data"), [1, 2, 3]);
    assert!(line(&at("data"), None).contains("give `--prompt`"));
    assert!(line(&at("data"), Some(" ")).contains("give `--prompt`"));
    let captions_file = at("data").join("metadata.jsonl");
    std::fs::write(&captions_file, r#"{"file_name": "9.png", "text": "a dog"}"#).unwrap();
    assert!(line(&at("data"), None).contains("no picture `9.png`"));
    std::fs::write(&captions_file, r#"{"file_name": "1.png"}"#).unwrap();
    assert!(line(&at("data"), None).contains("write `file_name` and `text`"));
    std::fs::write(&captions_file, r#"{"file_name": "1.png", "text": "a dog"}"#).unwrap();
    let found = pictures(&at("data"), None).unwrap();
    assert_eq!((found.len(), found[0].prompt.as_str()), (1, "a dog"));

    let zero = LoraRecipe {
        rank: 0,
        ..recipe_of(&at("data"), "a dog", 1)
    };
    zero.write(&at("data")).unwrap();
    let refused = LoraRecipe::read(&at("data")).unwrap_err();
    assert!(refused.to_string().contains("rank"));

    let read = |text: &str| {
        std::fs::write(at("captions.json"), text).unwrap();
        let read = captions::read(&at("captions.json"), &at("loras"), &at("data"));
        read.unwrap_err().to_string()
    };
    assert!(read("{").contains("instance_prompt"));
    assert!(read(r#"{"subjects": {}, "styles": {}}"#).contains("names no subject"));
    let named = r#"{"subjects": {"dog": {}}, "styles": {"ink": {}}}"#;
    assert!(read(named).contains("there is no LoRA of `dog`"));

    // A LoRA of another base.
    let Some(model) = embedded(&recipe_of(&at("data"), "a dog", 1)) else {
        return;
    };
    let base = FrozenBase::new(&model, 64).unwrap();
    let mut other = base::tensor_file::TensorFile::new();
    for (name, shape) in [("lora_A", [1, 320]), ("lora_B", [320, 1])] {
        let module = &base.projections[0].module;
        let name = format!("unet.{module}.{name}.weight");
        other
            .floats(&name, &shape, &[0.5; 320], engine::weights::Precision::F32)
            .unwrap();
    }
    other.write(at("other.safetensors")).unwrap();
    let file = LoraFile::open(at("other.safetensors")).unwrap();
    let line = updates(&file, &base).unwrap_err().to_string();
    assert!(
        line.contains("not for the model that is given") && !line.contains('\n'),
        "{line}"
    );
    assert!(FrozenBase::new(&model, 63).is_err());
}
