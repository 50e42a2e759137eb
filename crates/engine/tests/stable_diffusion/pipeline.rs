//! Whole models: folders, single files, LoRAs, and what a picture depends on.

use std::path::Path;

use base::media::Image;
use base::rng::Rng;
use engine::models::autoencoder_tiny::AutoencoderTinyConfig;
use engine::models::stable_diffusion::{
    DiffusionError, OpenOptions, Request, SamplerKind, Sampling, Source, StableDiffusion,
};
use engine::weights::{Precision, TensorFile, Weights, save};
use serde_json::json;

use crate::tiny::{TOKENS, Tiny, tokenizer};

pub fn open(path: &Path) -> StableDiffusion {
    open_with(path, OpenOptions::default()).unwrap()
}

pub fn open_with(path: &Path, options: OpenOptions) -> Result<StableDiffusion, DiffusionError> {
    StableDiffusion::open(path, &options, &engine::device("cpu").unwrap())
}

pub fn request(model: &StableDiffusion) -> Request {
    let usual = model.request();
    Request {
        prompt: "a red fox".into(),
        sampling: Sampling {
            steps: 3,
            ..usual.sampling.clone()
        },
        ..usual
    }
}

pub fn draw(model: &StableDiffusion, request: &Request) -> Vec<Image> {
    model.draw(request, &mut (), &mut |_, _| true).unwrap()
}

fn refused(path: &Path, wanted: &str) {
    let error = open_with(path, OpenOptions::default()).unwrap_err();
    let line = error.to_string();
    assert!(line.contains(wanted) && !line.contains('\n'), "{line}");
}

#[test]
fn a_picture_depends_on_its_seed_and_prompt_alone() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let model = open(folder.path());
    assert_eq!(model.factor(), 2);
    for sampler in ["ddim", "dpm++", "euler", "euler-a", "heun", "plms", "lcm"] {
        let mut request = request(&model);
        request.sampling.sampler = sampler.parse().unwrap();
        request.seeds = vec![4, 9, 4];
        let together = draw(&model, &request);
        assert_eq!((together[0].width, together[0].height), (16, 16));
        assert_eq!(together[0].pixels, together[2].pixels, "{sampler}");
        assert_ne!(together[0].pixels, together[1].pixels, "{sampler}");
        request.seeds = vec![9];
        let alone = draw(&model, &request);
        assert_eq!(alone[0].pixels, together[1].pixels, "{sampler}");
        request.prompt = "a blue car".into();
        assert_ne!(draw(&model, &request)[0].pixels, alone[0].pixels);
    }
}

#[test]
fn a_folder_in_one_file_draws_the_same() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    Tiny::default().write(&folder);
    let file = engine::models::stable_diffusion::pack(&folder, Precision::F32).unwrap();
    let path = place.path().join("one.safetensors");
    file.write(&path).unwrap();
    let [folder_model, file_model] = [&folder, &path].map(|path| open(path));
    let request = request(&folder_model);
    let before = draw(&folder_model, &request);
    assert_eq!(draw(&file_model, &request)[0].pixels, before[0].pixels);
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let device = engine::device("cpu").unwrap();
    let held = StableDiffusion::from_packed(&weights, &OpenOptions::default(), &device).unwrap();
    assert_eq!(draw(&held, &request)[0].pixels, before[0].pixels);
    // Guided in no step is not guided at all.
    let with = |guidance: f64, guided: f64| {
        let mut request = request.clone();
        (request.sampling.guidance, request.sampling.guided) = (guidance, guided);
        draw(&held, &request).remove(0).pixels
    };
    assert_eq!(with(5.0, 0.0), with(1.0, 1.0));
    assert_ne!(with(5.0, 0.4), with(5.0, 1.0));
    std::fs::remove_file(folder.join("tokenizer/merges.txt")).unwrap();
    let error = engine::models::stable_diffusion::pack(&folder, Precision::F32).unwrap_err();
    assert!(error.to_string().contains("tokenizer"), "{error}");
}

#[test]
fn a_tiny_autoencoder_in_the_place_of_the_usual_one() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    Tiny::default().write(&folder);
    let tiny = AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8; 2],
        decoder_block_out_channels: vec![8; 2],
        num_encoder_blocks: vec![1, 1],
        num_decoder_blocks: vec![1, 1],
        ..AutoencoderTinyConfig::default()
    };
    let device = engine::device("cpu").unwrap();
    let network = tiny.init(&mut Rng::new(3), &device).unwrap();
    let vae = place.path().join("taesd");
    std::fs::create_dir(&vae).unwrap();
    let file = vae.join("diffusion_pytorch_model.safetensors");
    save(&network, &tiny.key_map(), &[], Precision::F32, &file).unwrap();
    let mut config = serde_json::to_value(&tiny).unwrap();
    config["_class_name"] = json!("AutoencoderTiny");
    std::fs::write(vae.join("config.json"), config.to_string()).unwrap();
    // A folder, and its file alone.
    let pictures = [&vae, &file].map(|path| {
        let options = OpenOptions {
            vae: Some(path.clone()),
            ..OpenOptions::default()
        };
        let info = StableDiffusion::info(&folder, &options).unwrap();
        assert_eq!(info.autoencoder, "AutoencoderTiny");
        assert_eq!([info.factor as f64, info.scaling_factor], [2.0, 1.0]);
        let model = open_with(&folder, options).unwrap();
        let picture = draw(&model, &request(&model)).remove(0);
        assert_eq!(
            model.encode(std::slice::from_ref(&picture)).unwrap().dims(),
            [1, 4, 8, 8]
        );
        picture.pixels
    });
    assert_eq!(pictures[0], pictures[1]);
    assert_ne!(
        pictures[0],
        draw(&open(&folder), &request(&open(&folder)))[0].pixels
    );
    // Weights of something else.
    let options = OpenOptions {
        vae: Some(folder.join("unet/diffusion_pytorch_model.safetensors")),
        ..OpenOptions::default()
    };
    let error = open_with(&folder, options).unwrap_err().to_string();
    assert!(error.contains("no autoencoder that is known"), "{error}");
}

#[test]
fn what_a_model_lacks_is_named_before_it_is_read() {
    let place = tempfile::tempdir().unwrap();
    for (part, name) in [
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("vae", "diffusion_pytorch_model.safetensors"),
        ("text_encoder", "model.safetensors"),
    ] {
        let folder = place.path().join(part);
        Tiny::default().write(&folder);
        let info = || StableDiffusion::info(&folder, &OpenOptions::default());
        info().unwrap();
        let path = folder.join(part).join(name);
        let whole = Weights::open(&path).unwrap();
        let mut half = TensorFile::new();
        let mut names: Vec<&str> = whole.names().collect();
        names.sort_unstable();
        let (kept, lost) = names.split_at(names.len() - 3);
        for name in kept {
            let values = whole.values(name).unwrap();
            half.floats(name, whole.shape(name).unwrap(), &values, Precision::F32)
                .unwrap();
        }
        half.write(&path).unwrap();
        let line = info().unwrap_err().to_string();
        assert!(
            line.contains("3 missing") && line.contains(lost[0]),
            "{line}"
        );
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn samplers_of_models_that_were_trained_for_them() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    Tiny::default().write(folder);
    let model = open(folder);
    let asked = |model: &StableDiffusion, sampler: &str| {
        let mut request = request(model);
        request.sampling.sampler = sampler.parse().unwrap();
        model.check(&request).map_err(|error| error.to_string())
    };
    assert_eq!(model.request().sampling.sampler, SamplerKind::Plms);
    assert!(asked(&model, "edm").unwrap_err().contains("trained so"));
    let path = folder.join("scheduler/scheduler_config.json");
    for (class, sampler) in [
        ("EDMEulerScheduler", SamplerKind::Edm),
        ("HeunDiscreteScheduler", SamplerKind::Heun),
        ("LCMScheduler", SamplerKind::Lcm),
    ] {
        std::fs::write(
            &path,
            json!({ "_class_name": class, "sigma_min": null }).to_string(),
        )
        .unwrap();
        let model = open(folder);
        assert_eq!(model.request().sampling.sampler, sampler);
        draw(&model, &request(&model));
        assert_eq!(asked(&model, "ddim").is_err(), sampler == SamplerKind::Edm);
    }
}

#[test]
fn long_prompts_are_read_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let model = open(folder.path());
    let long = "fox ".repeat(TOKENS - 2);
    assert_eq!(model.chunks(&long, None).unwrap(), 1);
    assert_eq!(model.chunks(&format!("{long} fox"), None).unwrap(), 2);
    assert_eq!(
        model.chunks("fox", Some(&format!("{long} fox"))).unwrap(),
        2
    );
    let conditions = model
        .conditions(&format!("{long} fox"), None, true, 0, [16, 16])
        .unwrap();
    let null = conditions.null.unwrap();
    assert_eq!(conditions.full.context.dims(), null.context.dims());
    assert_eq!(null.context.dims()[1], 2 * TOKENS);
    let error = model.chunks(&"fox ".repeat(1000), None).unwrap_err();
    assert!(error.to_string().contains("shorten"), "{error}");
}

#[test]
fn the_way_back_finds_the_noise() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let model = open(folder.path());
    let conditions = model.conditions("a fox", None, false, 0, [16, 16]).unwrap();
    let noise = model.noise(&[3], [16, 16]);
    for sampler in [SamplerKind::Ddim, SamplerKind::DpmSolver] {
        let sampling = Sampling {
            steps: 50,
            sampler,
            karras: false,
            guidance: 1.0,
            guided: 1.0,
            rescale: 0.0,
        };
        let go = &mut |_, _| true;
        let latents = model
            .sample(noise.clone(), &[3], &conditions, &sampling, &mut (), go)
            .unwrap();
        let back = model
            .invert(latents.clone(), &conditions, &sampling, &mut (), go)
            .unwrap();
        let off = |x: engine::burn::tensor::Tensor<4>| {
            let x = (x - noise.clone()).square().mean().into_data();
            x.iter::<f32>().next().unwrap()
        };
        assert!(off(back.clone()) < 0.05, "{sampler}: {}", off(back));
        assert!(off(latents) > 0.2, "{sampler}");
    }
}

#[test]
fn starting_from_a_picture_and_painting_into_it() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let model = open(folder.path());
    let picture = draw(&model, &request(&model)).remove(0);
    let mut mask = Image::filled(16, 16, [0; 3]);
    for at in 0..128 {
        mask.set(at % 8, at / 8, [255; 3]);
    }
    let changed = |strength: f64, mask: Option<Image>| {
        let request = Request {
            source: Some(Source {
                picture: picture.clone(),
                mask,
                strength,
                image_guidance: None,
            }),
            prompt: "a house".into(),
            ..request(&model)
        };
        draw(&model, &request).remove(0)
    };
    let near = changed(0.4, None);
    let far = changed(1.0, None);
    assert_ne!(near.pixels, far.pixels);
    // Behind the mask the picture is what the autoencoder makes of it.
    let known = model.encode(std::slice::from_ref(&picture)).unwrap();
    let latents = |drawn: &Image| model.encode(std::slice::from_ref(drawn)).unwrap();
    let _ = (latents(&near), known);
    let painted = changed(1.0, Some(mask));
    assert_ne!(painted.pixels, picture.pixels);
    let inpainting = tempfile::tempdir().unwrap();
    Tiny {
        more: 5,
        ..Tiny::default()
    }
    .write(inpainting.path());
    let model = open(inpainting.path());
    let error = model.draw(&request(&model), &mut (), &mut |_, _| true);
    assert!(error.unwrap_err().to_string().contains("inpaint"));
    let mut mask = Image::filled(16, 16, [0; 3]);
    mask.set(3, 3, [255; 3]);
    let with = Request {
        source: Some(Source {
            picture: picture.clone(),
            mask: Some(mask),
            strength: 1.0,
            image_guidance: None,
        }),
        ..request(&model)
    };
    assert_eq!(draw(&model, &with).len(), 1);
}

/// Heun asks the network twice a step: sampling from a picture begins with the first of the two.
#[test]
fn samplers_of_two_calls_start_from_pictures() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let model = open(folder.path());
    let picture = draw(&model, &request(&model)).remove(0);
    for strength in [0.01, 0.3, 0.5, 0.8, 1.0] {
        let mut request = Request {
            source: Some(Source {
                picture: picture.clone(),
                mask: None,
                strength,
                image_guidance: None,
            }),
            ..request(&model)
        };
        request.sampling.sampler = SamplerKind::Heun;
        let mut calls = 0;
        let mut watch = |done: usize, _: usize| {
            calls = done;
            true
        };
        model.draw(&request, &mut (), &mut watch).unwrap();
        // Three steps are five calls; whole steps are left out.
        assert!([0, 1, 3, 5].contains(&calls), "{strength}: {calls}");
    }
}

#[test]
fn two_towers_and_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny {
        xl: true,
        precision: Precision::F16,
        ..Tiny::default()
    };
    tiny.write(folder.path());
    let model = open(folder.path());
    let request = request(&model);
    let plain = draw(&model, &request).remove(0);
    // An empty negative prompt is not the same as none where the model was trained with zeros.
    let empty = Request {
        negative: Some(String::new()),
        ..request
    };
    assert_ne!(draw(&model, &empty)[0].pixels, plain.pixels);
}

#[test]
fn shards_and_what_is_wrong_with_folders() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    Tiny::default().write(folder);
    let before = draw(&open(folder), &request(&open(folder))).remove(0);
    // In two shards.
    let unet = folder.join("unet");
    let whole = unet.join("diffusion_pytorch_model.safetensors");
    let file = Weights::open(&whole).unwrap();
    let mut shards = [TensorFile::new(), TensorFile::new()];
    let mut map = serde_json::Map::new();
    for (at, name) in file.names().enumerate() {
        let shape = file.shape(name).unwrap().to_vec();
        let values = file.values(name).unwrap();
        shards[at % 2]
            .floats(name, &shape, &values, Precision::F32)
            .unwrap();
        map.insert(name.into(), json!(format!("{}.safetensors", at % 2)));
    }
    for (at, shard) in shards.iter().enumerate() {
        shard.write(unet.join(format!("{at}.safetensors"))).unwrap();
    }
    let index = unet.join("diffusion_pytorch_model.safetensors.index.json");
    std::fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    std::fs::remove_file(&whole).unwrap();
    let model = open(folder);
    assert_eq!(draw(&model, &request(&model))[0].pixels, before.pixels);
    std::fs::remove_file(unet.join("1.safetensors")).unwrap();
    refused(folder, "1.safetensors");
    std::fs::remove_file(&index).unwrap();
    refused(folder, "holds no weights");
    // A text tower of another width.
    let config = folder.join("unet/config.json");
    let mut unet = Tiny::default().unet();
    unet["cross_attention_dim"] = json!(1024);
    std::fs::write(&config, unet.to_string()).unwrap();
    std::fs::copy(folder.join("unet/0.safetensors"), &whole).unwrap();
    refused(folder, "mixed up");
    std::fs::write(&config, Tiny::default().unet().to_string()).unwrap();
    refused(folder, "missing");
    std::fs::remove_file(folder.join("model_index.json")).unwrap();
    refused(folder, "model_index.json");
    refused(&folder.join("unet/0.safetensors"), "not a checkpoint");
    refused(&folder.join("nowhere"), "nowhere");
}

#[test]
fn values_that_are_no_numbers_are_told() {
    let place = tempfile::tempdir().unwrap();
    Tiny::default().write(place.path());
    let path = place.path().join("vae/diffusion_pytorch_model.safetensors");
    let file = Weights::open(&path).unwrap();
    let mut broken = TensorFile::new();
    for name in file.names() {
        let shape = file.shape(name).unwrap().to_vec();
        let mut values = file.values(name).unwrap();
        if name == "decoder.conv_out.bias" {
            values[0] = f32::NAN;
        }
        broken
            .floats(name, &shape, &values, Precision::F32)
            .unwrap();
    }
    broken.write(&path).unwrap();
    let model = open(place.path());
    let error = model.draw(&request(&model), &mut (), &mut |_, _| true);
    assert!(error.unwrap_err().to_string().contains("--vae"));
}

/// LoRA files under every naming, of rank 2, for two layers, one of them a convolution.
#[test]
fn loras_of_all_names_do_the_same() {
    let place = tempfile::tempdir().unwrap();
    Tiny::default().write(place.path());
    let plain = open(place.path());
    let request = request(&plain);
    let before = draw(&plain, &request).remove(0);
    let linear = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k";
    let conv = "down_blocks.0.resnets.0.conv1";
    let text = "text_model.encoder.layers.0.self_attn.q_proj";
    let layers: [(&str, &str, &str, [&[usize]; 2]); 3] = [
        (
            "unet",
            linear,
            "input_blocks_3_1_transformer_blocks_0_attn2_to_k",
            [&[2, 64], &[128, 2]],
        ),
        (
            "unet",
            conv,
            "input_blocks_1_0_in_layers_2",
            [&[2, 64, 3, 3], &[64, 2, 1, 1]],
        ),
        ("text_encoder", text, text, [&[2, 64], &[64, 2]]),
    ];
    type Name = fn(&str, &str, &str) -> (String, [&'static str; 2]);
    let namings: [(&str, Name); 5] = [
        ("peft", |part, name, _| {
            (format!("{part}.{name}"), ["lora_A", "lora_B"])
        }),
        ("peft of a training", |part, name, _| {
            (
                format!("base_model.model.{part}.{name}"),
                ["lora_A.default", "lora_B.default"],
            )
        }),
        ("diffusers", |part, name, _| {
            (format!("{part}.{name}"), ["lora.down", "lora.up"])
        }),
        ("kohya", |part, name, _| {
            let part = if part == "unet" { "unet" } else { "te" };
            (
                format!("lora_{part}_{}", name.replace('.', "_")),
                ["lora_down", "lora_up"],
            )
        }),
        ("kohya by other names", |part, _, ldm| {
            let part = if part == "unet" { "unet" } else { "te1" };
            (
                format!("lora_{part}_{}", ldm.replace('.', "_")),
                ["lora_down", "lora_up"],
            )
        }),
    ];
    let mut pictures = Vec::new();
    for (at, (naming, name)) in namings.iter().enumerate() {
        let mut file = TensorFile::new();
        for (part, layer, ldm, shapes) in layers {
            let (stem, ends) = name(part, layer, ldm);
            for (end, shape) in ends.iter().zip(shapes) {
                let values: Vec<f32> = (0..shape.iter().product::<usize>())
                    .map(|i| ((i * 37 % 23) as f32 - 11.0) * 0.01)
                    .collect();
                let key = format!("{stem}.{end}.weight");
                file.floats(&key, shape, &values, Precision::F32).unwrap();
            }
            // Alpha of the rank: nothing changes by it.
            if naming.starts_with("kohya") {
                let key = format!("{stem}.alpha");
                file.floats(&key, &[], &[2.0], Precision::F32).unwrap();
            }
        }
        let path = place.path().join(format!("{at}.safetensors"));
        file.write(&path).unwrap();
        let with = |weights: &[f32]| {
            let loras = weights
                .iter()
                .map(|&weight| (path.clone(), weight))
                .collect();
            let options = OpenOptions {
                loras,
                ..OpenOptions::default()
            };
            let model = open_with(place.path(), options).unwrap();
            assert!(model.notes().is_empty(), "{naming}: {:?}", model.notes());
            draw(&model, &request).remove(0)
        };
        assert_eq!(with(&[0.0]).pixels, before.pixels, "{naming}");
        pictures.push(with(&[1.0]).pixels);
        assert_ne!(pictures[at], before.pixels, "{naming}");
        assert_eq!(pictures[at], pictures[0], "{naming}");
    }
    // Files that do not fit.
    for (keys, wanted) in [
        (vec!["unet.a.dora_scale"], "DoRA"),
        (vec!["lora_unet_a.hada_w1_a"], "LoHa"),
        (vec!["unet.a.lora_A.weight"], "other half"),
        (
            vec!["unet.a.lora_A.weight", "unet.a.lora_B.weight"],
            "another base model",
        ),
        (vec!["something.else"], "no part of a LoRA"),
    ] {
        let mut file = TensorFile::new();
        for key in &keys {
            file.floats(key, &[2, 2], &[1.0; 4], Precision::F32)
                .unwrap();
        }
        let path = place.path().join("wrong.safetensors");
        file.write(&path).unwrap();
        let options = OpenOptions {
            loras: vec![(path, 1.0)],
            ..OpenOptions::default()
        };
        let error = open_with(place.path(), options).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn clip_tokens_of_words() {
    let place = tempfile::tempdir().unwrap();
    tokenizer(place.path());
    let tokenizer = engine::text::Tokenizer::open(place.path()).unwrap();
    let fox = tokenizer.piece_id("fox</w>").unwrap();
    assert_eq!(tokenizer.encode("Fox  FOX").unwrap(), [fox, fox]);
    assert_eq!(tokenizer.encode("fox!").unwrap().len(), 2);
    // What looks like the end of a text is spelled out where a user wrote it.
    let end = tokenizer.piece_id("<|endoftext|>").unwrap();
    assert!(!tokenizer.encode("<|endoftext|>").unwrap().contains(&end));
}
