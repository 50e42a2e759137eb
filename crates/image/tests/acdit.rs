//! ACDiT against numbers of the authors' code.
#![cfg(feature = "acdit")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::fixtures::{Case, cases, furthest, report};
use base::media::Image;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::diffusion::scheduler::{DpmSolver, Scheduler, SchedulerConfig};
use engine::models::autoencoder_kl::{self, AutoencoderKlConfig};
use engine::nn::sinusoid;
use engine::ops;
use engine::train::Schedule;
use engine::weights::{self, CaseTensor, Precision, Weights};
use image_systems::acdit::pipeline::{About, AcditPipeline};
use image_systems::acdit::space::{Space, Values};
use image_systems::acdit::{
    Acdit, AcditConfig, BlockSampler, Cache, SampleConfig, checkpoint, layout, model, rope, train,
};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn each(kind: &str, check: impl Fn(&Case)) {
    let cases = cases("acdit", kind, &committed());
    cases.iter().for_each(check);
    report("acdit", kind, cases.len());
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

fn same(case: &Case, what: &str, found: &[f32], tolerance: f64) {
    let expected = case.values(what);
    let scale = expected
        .iter()
        .fold(1.0f32, |most, value| most.max(value.abs()));
    let off = furthest(found, &expected) / scale;
    assert!(
        f64::from(off) <= tolerance,
        "{}: {what} is off by {off}",
        case.name
    );
}

fn config(case: &Case) -> AcditConfig {
    let mut json = case.json["config"].clone();
    let fields = json.as_object_mut().unwrap();
    fields.remove("steps");
    fields.remove("cfg");
    serde_json::from_value(json).unwrap()
}

fn load(case: &Case, config: &AcditConfig, device: &Device) -> Acdit {
    assert_eq!(config.problem(), None);
    let keys = checkpoint::key_map().within("w");
    let model = config.init(&mut base::rng::Rng::new(0), device);
    weights::load(model, case.weights(), &keys).unwrap()
}

fn labels(case: &Case) -> Vec<usize> {
    case.ints("y")
        .into_iter()
        .map(|label| label as usize)
        .collect()
}

#[test]
fn block_layout() {
    each("block_layout", |case| {
        let device = Device::default();
        for (name, sizes) in case.json["config"].as_object().unwrap() {
            let [patch, block] =
                ["patch", "block"].map(|key| sizes[key].as_u64().unwrap() as usize);
            let [latent, blocks] = ["latent", "blocks"].map(|part| format!("{name}.{part}"));
            let expected: Tensor<4> = case.tensor(&blocks, &device);
            if sizes.get("frames").is_some() {
                let x: Tensor<5> = case.tensor(&latent, &device);
                let [_, _, _, height, width] = x.dims();
                let found = layout::video_to_blocks(x, patch, block);
                same(case, &blocks, &values(found), 0.0);
                let spatial = height * width / (patch * patch);
                let back = layout::blocks_to_video(expected, patch, spatial);
                same(case, &latent, &values(back), 0.0);
            } else {
                let found = layout::image_to_blocks(case.tensor(&latent, &device), patch, block);
                same(case, &blocks, &values(found), 0.0);
                same(
                    case,
                    &latent,
                    &values(layout::blocks_to_image(expected, patch)),
                    0.0,
                );
            }
        }
    });
}

#[test]
fn scam_masks() {
    each("scam_masks", |case| {
        for name in case
            .weights()
            .names()
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            let number = |after: &str| -> usize {
                let text = name.split(after).nth(1).unwrap();
                text.split('_').next().unwrap().parse().unwrap()
            };
            let (blocks, block) = (number("_T"), number("_B"));
            let mask = match name.starts_with("train") {
                true => model::scam(blocks),
                false => model::scam_step(number("_block")),
            };
            let spread = |row: &Vec<bool>| -> Vec<i64> {
                row.iter()
                    .flat_map(|seen| vec![i64::from(*seen); block])
                    .collect()
            };
            let found: Vec<i64> = mask
                .iter()
                .flat_map(|row| vec![spread(row); block].concat())
                .collect();
            assert_eq!(found, case.ints(&name), "{name}");
        }
    });
}

#[test]
fn rope_nd() {
    each("rope_nd", |case| {
        let device = Device::default();
        for (name, sizes) in case.json["config"].as_object().unwrap() {
            let list = |key: &str| -> Vec<usize> {
                let items = sizes[key].as_array().unwrap();
                items
                    .iter()
                    .map(|item| item.as_u64().unwrap() as usize)
                    .collect()
            };
            let bases: Vec<f64> = list("max_lens").into_iter().map(rope::base).collect();
            let expected: Vec<f64> = list("bases").into_iter().map(|base| base as f64).collect();
            assert_eq!(bases, expected, "{name}");
            let axes = sizes["nd"].as_u64().unwrap() as usize;
            let ids = case.ints(&format!("{name}.position_ids"));
            let tokens = ids.len() / axes;
            let positions: Vec<Vec<usize>> = ids
                .chunks(tokens)
                .map(|axis| axis.iter().map(|id| *id as usize).collect())
                .collect();
            let mode = image_systems::acdit::RopeMode::Released;
            let [cos, sin] = rope::tables(&positions, &list("split_dims"), &bases, mode);
            let tolerance = case.tolerance("default", 1e-5);
            same(case, &format!("{name}.cos"), &cos, tolerance);
            same(case, &format!("{name}.sin"), &sin, tolerance);
            let head = sizes["head_dim"].as_u64().unwrap() as usize;
            let [cos, sin] = [cos, sin]
                .map(|table| Tensor::from_data(TensorData::new(table, [tokens, head]), &device));
            let rope = ops::Rope {
                cos,
                sin,
                sections: 1,
            };
            for part in ["q", "k"] {
                let x: Tensor<4> = case.tensor(&format!("{name}.{part}"), &device);
                let found = ops::rotate(x.swap_dims(1, 2), &rope).swap_dims(1, 2);
                same(
                    case,
                    &format!("{name}.{part}_out"),
                    &values(found),
                    tolerance,
                );
            }
        }
    });
}

#[test]
fn schedules() {
    each("schedules", |case| {
        let device = Device::default();
        let tolerance = case.tolerance("default", 1e-3);
        let config: SchedulerConfig =
            serde_json::from_value(case.json["config"]["scheduler"].clone()).unwrap();
        let bars: Vec<f32> = config
            .alphas_cumprod()
            .iter()
            .map(|bar| *bar as f32)
            .collect();
        same(case, "alphas_cumprod", &bars, 1e-5);
        let names: Vec<String> = case.weights().names().map(str::to_owned).collect();
        for steps in names
            .iter()
            .filter_map(|name| name.strip_prefix("timesteps_"))
        {
            let count = steps.parse().unwrap();
            let mut solver = DpmSolver::<3>::new(config.clone(), count);
            let times: Vec<i64> = Scheduler::timesteps(&solver)
                .iter()
                .map(|t| *t as i64)
                .collect();
            assert_eq!(times, case.ints(&format!("timesteps_{steps}")));
            let sigmas: Vec<f32> = solver.sigmas().iter().map(|sigma| *sigma as f32).collect();
            same(case, &format!("sigmas_{steps}"), &sigmas, tolerance);
            let mut x: Tensor<3> = case.tensor(&format!("x_start_{steps}"), &device);
            let mut trajectory = Vec::new();
            for (i, t) in times.iter().enumerate() {
                // The model that the case tells of.
                let output = x.clone() * 0.7 + (x.clone() * 3.0).sin() * (0.1 * *t as f32 / 1000.0);
                x = solver.step(output, i, x, &mut || unreachable!("not ancestral"));
                trajectory.extend(values(x.clone()));
            }
            same(case, &format!("trajectory_{steps}"), &trajectory, tolerance);
        }
        let width = case.weights().shape("timestep_embedding_256").unwrap()[1];
        let embedded = sinusoid(&[0.0, 1.0, 37.0, 999.0], width, &device);
        same(case, "timestep_embedding_256", &values(embedded), tolerance);
        let at = |key: &str| case.usize(&format!("config.wsd.{key}")) as u64;
        let (total, every) = (at("total"), at("every"));
        let schedule = Schedule::Wsd {
            decay_start: at("decay_start") as f64 / total as f64,
        };
        let factors: Vec<f32> = (0..total)
            .step_by(every as usize)
            .map(|step| match step < at("warmup") {
                // The authors' warm-up starts at 0, ours at the first fraction.
                true => step as f32 / at("warmup") as f32,
                false => schedule.factor(step, at("warmup"), total) as f32,
            })
            .collect();
        same(case, "wsd_lr_factor", &factors, tolerance);
    });
}

#[test]
fn train_step() {
    each("train_step_image", |case| {
        let config = config(case);
        let device = Device::default().autodiff();
        let model = load(case, &config, &device);
        let positions = rope::Positions::new(&config, config.ar_len, &device).unwrap();
        let [clean, noise]: [Tensor<4>; 2] =
            ["clean", "noise"].map(|name| case.tensor(name, &device));
        let timesteps: Vec<usize> = case.ints("t").into_iter().map(|t| t as usize).collect();
        let bars = SchedulerConfig::default().alphas_cumprod();
        let noisy = train::noised(clean.clone(), noise.clone(), &timesteps, &bars);
        let tolerance = case.tolerance("forward", 1e-4);
        same(case, "noised", &values(noisy.clone()), tolerance);
        let t: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
        let labels = labels(case);
        let predicted = model.forward_train(clean.clone(), noisy.clone(), &t, &labels, &positions);
        same(case, "eps_pred", &values(predicted), tolerance);
        let loss = train::loss(
            &model,
            [clean, noisy, noise],
            &timesteps,
            &labels,
            &positions,
        );
        same(case, "loss", &values(loss.clone()), tolerance);
        let mut gradients = loss.backward();
        let keys = checkpoint::key_map();
        let names: Vec<String> = case.weights().names().map(str::to_owned).collect();
        for name in names.iter().filter_map(|name| name.strip_prefix("grad.")) {
            let ours = keys.to_ours(name).unwrap();
            let found = weights::gradient(&model, &ours, &mut gradients).unwrap();
            same(
                case,
                &format!("grad.{name}"),
                &found,
                case.tolerance("grad", 1e-3),
            );
        }
    });
}

#[test]
fn cached_sampling() {
    for kind in ["sample_image", "sample_video"] {
        each(kind, |case| {
            let config = config(case);
            let device = Device::default();
            let model = load(case, &config, &device);
            let labels = labels(case);
            let blocks = |name: &str| -> Vec<Tensor<3>> {
                let all: Tensor<4> = case.tensor(name, &device);
                (0..config.ar_len)
                    .map(|at| all.clone().narrow(1, at, 1).squeeze_dim(1))
                    .collect()
            };
            let positions = rope::Positions::new(&config, config.ar_len, &device).unwrap();
            let (clean, noisy, t) = (blocks("clean"), blocks("noisy"), case.ints("t"));
            let mut cache = Cache::default();
            let mut found = Vec::new();
            for at in 0..config.ar_len {
                let here =
                    |block: usize| positions.narrow(block * config.block_size, config.block_size);
                if at > 0 {
                    model.append(clean[at - 1].clone(), &here(at - 1), &mut cache);
                }
                let t: Vec<f32> = t.iter().map(|t| *t as f32).collect();
                let one = model.denoise(noisy[at].clone(), &t, &labels, &here(at), &cache);
                found.push(one.unsqueeze_dim::<4>(1));
            }
            let found = values(Tensor::cat(found, 1));
            same(case, "eps_cached", &found, case.tolerance("eps", 1e-4));
            for (guidance, expected) in [(case.f32("config.cfg"), "sampled"), (1.0, "sampled_cfg1")]
            {
                let sampling = SampleConfig {
                    steps: case.usize("config.steps"),
                    guidance,
                    ..SampleConfig::default()
                };
                let mut sampler =
                    BlockSampler::new(&model, &config, &labels, config.ar_len, sampling, &device)
                        .unwrap();
                let mut drawn = Vec::new();
                for noise in blocks("noise") {
                    drawn.push(sampler.next_block(noise).unwrap().unsqueeze_dim::<4>(1));
                }
                let drawn = values(Tensor::cat(drawn, 1));
                same(case, expected, &drawn, case.tolerance("sampled", 2e-3));
            }
        });
    }
}

#[test]
fn image_autoencoder() {
    each("vae_kl_tiny", |case| {
        let device = Device::default();
        let config: AutoencoderKlConfig =
            serde_json::from_value(case.json["config"].clone()).unwrap();
        let model = config.init(&mut base::rng::Rng::new(0), &device);
        let keys = autoencoder_kl::key_map().within("w");
        let model = weights::load(model, case.weights(), &keys).unwrap();
        let tolerance = case.tolerance("default", 1e-4);
        let posterior = model.encode(case.tensor("x", &device));
        same(case, "mean", &values(posterior.mean), tolerance);
        same(case, "logvar", &values(posterior.logvar), tolerance);
        same(
            case,
            "decoded",
            &values(model.decode(case.tensor("z", &device))),
            tolerance,
        );
    });
}

/// Sizes of a small picture model, in tiles, and of a small clip model.
fn small() -> [(AcditConfig, Space); 2] {
    let space = |patch, channels| Space {
        values: Values::Pixels,
        channels,
        patch,
    };
    let picture = AcditConfig {
        latent_size: 12,
        block_size: 4,
        ar_len: 9,
        temporal_len: 1,
        spatial_len: 36,
        square_block: true,
        hidden_size: 32,
        depth: 2,
        num_heads: 2,
        num_classes: 3,
        ..AcditConfig::default()
    };
    let clip = AcditConfig {
        latent_size: 9,
        block_size: 8,
        ar_len: 3,
        temporal_len: 6,
        spatial_len: 4,
        square_block: false,
        ..picture.clone()
    };
    [(picture, space(2, 3)), (clip, space(3, 1))]
}

#[test]
fn values_lie_where_the_layout_says() {
    let device = Device::default();
    for (config, space) in small() {
        assert_eq!(config.problem().or(space.problem(&config)), None);
        let side = space.side(&config);
        let shape = [1, config.temporal_len, space.channels, side, side];
        let all = Tensor::<1, burn::tensor::Int>::arange(
            0..shape.iter().product::<usize>() as i64,
            &device,
        );
        let frames: Tensor<5> = all.float().reshape(shape);
        let blocks = match config.square_block {
            true => layout::image_to_blocks(frames.squeeze_dim(1), space.patch, config.block_size),
            false => layout::video_to_blocks(frames, space.patch, config.block_size),
        };
        let expected: Vec<usize> = values(blocks).into_iter().map(|at| at as usize).collect();
        assert_eq!(space.places(&config, config.tokens()), expected);
    }
}

#[test]
fn pictures_become_tokens_and_pictures_again() {
    let device = Device::default();
    for (config, space) in small() {
        let side = space.picture_side(&config) as u32;
        let pipeline = AcditPipeline {
            model: config.init(&mut base::rng::Rng::new(0), &device),
            about: About {
                space,
                classes: Vec::new(),
            },
            config,
            head: None,
            device: device.clone(),
        };
        let mut rng = base::rng::Rng::new(3);
        let frames: Vec<Image> = (0..pipeline.config.temporal_len)
            .map(|_| {
                let mut picture = Image::filled(side, side, [0; 3]);
                for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
                    let grey = rng.below(256) as u8;
                    let colour = match space.channels {
                        1 => [grey; 3],
                        _ => [grey, 255 - grey, grey / 2],
                    };
                    picture.set(x, y, colour);
                }
                picture
            })
            .collect();
        let tokens = pipeline.tokens(&frames, None).unwrap();
        let back = pipeline.pictures(tokens, None).unwrap();
        assert_eq!(back, [frames]);
    }
}

#[test]
fn a_checkpoint_of_the_authors_form_is_read() {
    let device = Device::default();
    let path = committed().join("acdit/tiny.pt");
    let pipeline = AcditPipeline::open(&Weights::open(path).unwrap(), None, &device).unwrap();
    let config = &pipeline.config;
    assert_eq!(
        [
            config.hidden_size,
            config.depth,
            config.num_heads,
            config.num_classes
        ],
        [8, 2, 2, 3]
    );
    assert_eq!(
        [config.block_size, config.ar_len, config.spatial_len],
        [256, 4, 1024]
    );
    assert_eq!(pipeline.about.space.values, Values::Latents);
    // The averaged weights, not the last ones.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.safetensors");
    pipeline.save(&[], Precision::F32, &copy).unwrap();
    let copy = Weights::open(copy).unwrap();
    let expected: Vec<f32> = (0..32).map(|at| at as f32 / 8.0).collect();
    assert_eq!(copy.values("x_embedder.weight").unwrap(), expected);
    // What was written is read as what it was.
    let again = AcditPipeline::open(&copy, None, &device).unwrap();
    assert_eq!(
        (&again.config, &again.about),
        (&pipeline.config, &pipeline.about)
    );
}

#[test]
fn a_window_over_all_blocks_changes_nothing_and_a_short_one_forgets() {
    let device = Device::default();
    let [_, (config, _)] = small();
    let mut rng = base::rng::Rng::new(5);
    let model = config
        .init(&mut rng, &device)
        .map(&mut Shake(rng.child("shake")));
    let noise: Vec<Vec<f32>> = (0..5)
        .map(|_| rng.normals(config.block_size * config.latent_size))
        .collect();
    let draw = |window: Option<usize>, first: f32| -> Vec<Vec<f32>> {
        let sampling = SampleConfig {
            steps: 3,
            window,
            ..SampleConfig::default()
        };
        let mut sampler = BlockSampler::new(&model, &config, &[1], 5, sampling, &device).unwrap();
        noise
            .iter()
            .enumerate()
            .map(|(at, noise)| {
                let mut noise = noise.clone();
                noise[0] += if at == 0 { first } else { 0.0 };
                let noise = TensorData::new(noise, [1, config.block_size, config.latent_size]);
                values(
                    sampler
                        .next_block(Tensor::from_data(noise, &device))
                        .unwrap(),
                )
            })
            .collect()
    };
    let all = draw(None, 0.0);
    assert_eq!(draw(Some(5), 0.0), all);
    assert_eq!(draw(Some(9), 0.0), all);
    // A block that sees itself alone does not know how the first one went.
    assert_eq!(draw(Some(1), 0.0)[1..], draw(Some(1), 1.0)[1..]);
    assert_ne!(draw(None, 1.0)[1..], all[1..]);
    // Two blocks: the second hears of the first, and what it hears goes on.
    assert_ne!(draw(Some(2), 1.0)[1], draw(Some(2), 0.0)[1]);
    assert_eq!(draw(Some(2), 0.0)[1], all[1]);
}

/// Random values for every parameter: fresh gates are silent.
struct Shake(base::rng::Rng);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let shape: [usize; D] = value.dims();
            let draws = self.0.normals(shape.iter().product());
            let draws: Vec<f32> = draws.into_iter().map(|draw| 0.1 * draw).collect();
            value.clone() + Tensor::from_data(TensorData::new(draws, shape), &value.device())
        })
    }
}
