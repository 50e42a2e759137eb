//! STIV against recorded numbers: every case of every kind that is there.

use std::path::Path;

use base::fixtures::{self, Case, cases, furthest, report};
use base::rng::Rng;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use engine::diffusion::{
    Renorm, combine_joint, combine_separate, flow, renorm, score_from_velocity, sde_step,
};
use engine::weights;
use engine::weights::{CaseTensor, ReadTensor};
use video::stiv::inflate::{inflate_head, inflate_input};
use video::stiv::{
    Condition, ForwardOptions, Given, Guidance, SampleConfig, Stiv, StivConfig, Texts, checkpoint,
    replace_given, sample, train,
};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn check<const D: usize>(case: &Case, what: &str, found: Tensor<D>, tolerance: f64) {
    let expected = case
        .weights()
        .tensor::<D>(what, &found.device())
        .expect(what);
    assert_eq!(
        found.dims(),
        expected.dims(),
        "{}: shape of {what}",
        case.name
    );
    let distance = furthest(&values(found), &values(expected));
    assert!(
        f64::from(distance) <= tolerance,
        "{}: {what} is off by {distance:e}, tolerance {tolerance:e}",
        case.name
    );
}

fn config(case: &Case) -> StivConfig {
    let size = |key: &str| case.usize(&format!("config.{key}"));
    StivConfig {
        channels: size("C"),
        width: size("d"),
        heads: size("h"),
        depth: size("depth"),
        context: size("ctx"),
        temporal_patch: size("pt"),
        spatial_patch: size("ps"),
        mlp_ratio: case.f32("config.mlp"),
        frequencies: size("freq"),
        extra_blocks: size("extra"),
    }
}

fn model(case: &Case, device: &Device) -> Stiv {
    let fresh = config(case).init(&mut Rng::new(0), device);
    let keys = checkpoint::key_map().within("w");
    weights::load(fresh, case.weights(), &keys).expect("the case's weights fit the model")
}

fn micro(case: &Case) -> Vec<[f32; 6]> {
    case.values("micro")
        .chunks_exact(6)
        .map(|row| row.try_into().expect("six micro-conditions"))
        .collect()
}

fn condition(case: &Case, text: &str, pooled: &str, device: &Device) -> Condition {
    let text: Tensor<3> = case.tensor(text, device);
    let [batch, keys, _] = text.dims();
    let mask: Vec<bool> = case.ints("ctx_mask").iter().map(|&m| m != 0).collect();
    Condition {
        text,
        text_mask: Some(Tensor::<2, Bool>::from_data(
            TensorData::new(mask, [batch, keys]),
            device,
        )),
        pooled: case.tensor(pooled, device),
        micro: micro(case),
    }
}

/// `[batch, 1, frames, 1, 1]`, 1 at the first frame of the samples whose image condition the case did not drop:
/// those whose recorded input holds the clean first frame.
fn first_frame(case: &Case, x: &Tensor<5>) -> Tensor<5> {
    let [batch, _, frames, _, _] = x.dims();
    let device = x.device();
    let recorded: Tensor<5> = case.tensor("x_replaced", &device);
    let image: Tensor<5> = case.tensor("image_latent", &device);
    let first = train::GivenPattern::First.mask(frames);
    let mask: Vec<f32> = (0..batch)
        .flat_map(|sample| {
            let found = recorded.clone().narrow(0, sample, 1).narrow(2, 0, 1);
            let clean = image.clone().narrow(0, sample, 1);
            let given = furthest(&values(found), &values(clean)) == 0.0;
            let known = |&first: &bool| f32::from(u8::from(first && given));
            first.iter().map(known).collect::<Vec<_>>()
        })
        .collect();
    assert!(
        mask.contains(&1.0),
        "{}: no sample has its image",
        case.name
    );
    Tensor::from_data(TensorData::new(mask, [batch, 1, frames, 1, 1]), &device)
}

#[test]
fn model_tiny() {
    let all = fixtures::all("stiv", "model_tiny");
    for case in &all {
        let device = Device::flex().autodiff();
        let model = model(case, &device);
        let condition = condition(case, "ctx", "pooled", &device);
        let forward = case.tolerance("forward", 2e-4);
        let t = case.values("t");

        let x1: Tensor<5> = case.tensor("x1", &device);
        let eps: Tensor<5> = case.tensor("eps", &device);
        let times =
            Tensor::<5>::from_data(TensorData::new(t.clone(), [t.len(), 1, 1, 1, 1]), &device);
        let x_t = flow::point(x1.clone(), eps.clone(), times);
        check(case, "x_t", x_t.clone(), forward);
        let given = first_frame(case, &x1);
        let image: Tensor<5> = case.tensor("image_latent", &device);
        let image = image.expand(x1.dims());
        let replaced = replace_given(x_t, image, given.clone());
        check(case, "x_replaced", replaced.clone(), forward);

        let c = model.singleton(&t, &condition, &device);
        check(case, "singleton", c, forward);
        let v = model.forward(replaced.clone(), &t, &condition, &ForwardOptions::default());
        check(case, "v", v.clone(), forward);

        let loss = train::masked_loss(v, flow::velocity(x1, eps), given);
        let expected = case.values("loss")[0];
        let found = values(loss.clone())[0];
        assert!(
            (found - expected).abs() < forward as f32,
            "loss {found} {expected}"
        );

        let mut gradients = loss.backward();
        let keys = checkpoint::key_map();
        let tolerance = case.tolerance("grad", 1e-3);
        for name in case.weights().names() {
            if let Some(name) = name.strip_prefix("grad.") {
                let ours = keys.to_ours(name).expect("a path");
                let found = weights::gradient(&model, &ours, &mut gradients)
                    .unwrap_or_else(|| panic!("no gradient at `{ours}`"));
                let distance = furthest(&found, &case.values(&format!("grad.{name}")));
                assert!(
                    f64::from(distance) <= tolerance,
                    "{name}: off by {distance:e}"
                );
            }
        }

        let keep = case
            .ints("keep")
            .iter()
            .map(|&place| place as usize)
            .collect();
        let masked = ForwardOptions {
            keep: Some(keep),
            ..ForwardOptions::default()
        };
        let v = model.forward(replaced.clone(), &t, &condition, &masked);
        check(case, "v_masked", v, forward);

        let half = ForwardOptions {
            position_scale: 0.5,
            ..ForwardOptions::default()
        };
        let v = model.forward(replaced, &t, &condition, &half);
        check(case, "v_rope_half", v, forward);
    }
}

#[test]
fn image_mode_and_inflation() {
    let all = fixtures::all("stiv", "image_mode_and_inflation");
    for case in &all {
        let device = Device::flex();
        let model = model(case, &device);
        let condition = condition(case, "ctx", "pooled", &device);
        let tolerance = case.tolerance("v", 2e-4);
        let x: Tensor<5> = case.tensor("x", &device);
        let v = model.forward(
            x.clone(),
            &case.values("t"),
            &condition,
            &ForwardOptions::default(),
        );
        check(case, "v", v, tolerance);

        let config = config(case);
        let wide: Tensor<2> = case.tensor("inflated.cubify.weight", &device);
        let time = wide.dims()[1] / config.patch_values();
        let weight = model.cubify.weight.val();
        check(
            case,
            "inflated.cubify.weight",
            inflate_input(weight, config.channels, time),
            1e-6,
        );
        let weight = model.head.weight.val();
        check(
            case,
            "inflated.head.weight",
            inflate_head(weight, config.channels, time),
            1e-6,
        );

        let inflated =
            video::stiv::inflate::inflate(model.clone(), &config, time, &mut Rng::new(5));
        let bias = inflated.head.bias.as_ref().expect("a bias").val();
        check(case, "inflated.head.bias", bias, 1e-6);
        // A still clip makes the token that the picture made.
        let cut = config.cubify();
        let picture = model.cubify.forward(cut.cut(x.clone()));
        let cut = config.with_temporal_patch(time).cubify();
        let still = inflated.cubify.forward(cut.cut(x.repeat_dim(2, time)));
        assert!(furthest(&values(picture), &values(still)) <= tolerance as f32);
    }
}

#[test]
fn sample_ti2v() {
    let all = fixtures::all("stiv", "sample_ti2v");
    for case in &all {
        let device = Device::flex();
        let model = model(case, &device);
        let text = condition(case, "ctx", "pooled", &device);
        let null = condition(case, "null_ctx", "null_pooled", &device);
        let noise: Tensor<5> = case.tensor("noise", &device);
        let frames = noise.dims()[2];
        let image: Tensor<5> = case.tensor("image_latent", &device);
        let given = Given {
            latents: image.expand(noise.dims()),
            frames: train::GivenPattern::First.mask(frames),
        };
        let config = SampleConfig {
            steps: case.usize("config.steps"),
            guidance: Guidance::Joint {
                scale: case.f32("config.guidance"),
            },
            ..SampleConfig::default()
        };
        let trajectory: Tensor<6> = case.tensor("trajectory", &device);
        let tolerance = case.tolerance("trajectory", 5e-3) as f32;
        let mut furthest_off: f32 = 0.0;
        let sampled = sample(
            &model,
            noise,
            Some(&given),
            &Texts {
                full: text,
                style: None,
                null,
            },
            &config,
            &mut Rng::new(0),
            &mut |step, x| {
                // The recorded states are compared where frames are generated.
                let expected: Tensor<5> = trajectory.clone().narrow(0, step, 1).squeeze_dim(0);
                let found = x.clone().narrow(2, 1, frames - 1);
                let expected = expected.narrow(2, 1, frames - 1);
                let distance = furthest(&values(found), &values(expected));
                furthest_off = furthest_off.max(distance);
                true
            },
        )
        .expect("nothing stops it");
        assert!(
            furthest_off <= tolerance,
            "{}: off by {furthest_off:e}",
            case.name
        );
        assert_eq!(sampled.passes, 2 * config.steps);
        let first = sampled.latents.narrow(2, 0, 1);
        assert_eq!(furthest(&values(first), &case.values("image_latent")), 0.0);
    }
}

#[test]
fn guidance() {
    let all = fixtures::all("stiv", "guidance");
    for case in &all {
        let device = Device::flex();
        let tensor = |name: &str| -> Tensor<5> { case.tensor(name, &device) };
        let number = |key: &str| case.f32(&format!("config.{key}"));
        let tolerance = case.tolerance("jit", 1e-5);
        let joint = combine_joint(tensor("f_null"), tensor("f_joint"), number("s"));
        check(case, "jit", joint.clone(), tolerance);
        let scaled = renorm(joint, tensor("f_joint"), Renorm::Sample, 1.0);
        check(case, "jit_renorm", scaled, tolerance);
        let separate = combine_separate(
            tensor("f_null"),
            tensor("f_image"),
            tensor("f_joint"),
            number("s_image"),
            number("s_text"),
        );
        check(case, "sit", separate, tolerance);
        let (t, dt) = (number("t"), number("dt"));
        let score = score_from_velocity(tensor("f_joint"), tensor("x"), t);
        check(case, "score", score, tolerance);
        let step = sde_step(tensor("x"), tensor("f_joint"), tensor("z"), t, dt);
        check(case, "sde_step", step, tolerance);
    }
}

/// PixArt's weights start a picture model: every shared part is filled, nothing else is touched.
#[test]
fn pixart_initialises_a_picture_model() {
    let beside = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../engine/tests/fixtures"
    ));
    let all = cases("stiv", "pixart_tiny", beside);
    for case in &all {
        let size = |key: &str| case.usize(&format!("config.{key}"));
        let width = size("num_attention_heads") * size("attention_head_dim");
        let config = StivConfig {
            channels: size("in_channels"),
            width,
            heads: size("num_attention_heads"),
            depth: size("num_layers"),
            context: width,
            temporal_patch: 1,
            spatial_patch: size("patch_size"),
            mlp_ratio: 4.0,
            frequencies: 256,
            extra_blocks: 0,
        };
        let device = Device::flex();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pixart.safetensors");
        strip_prefix(case, &path);
        let pixart = weights::Weights::open(&path).expect("the case's weights");
        let fresh = config.init(&mut Rng::new(0), &device);
        let (model, report) =
            checkpoint::initialise_from_pixart(fresh.clone(), &pixart).expect("it fits");
        let q = case.values("w.transformer_blocks.0.attn1.to_q.weight");
        assert_eq!(values(model.blocks[0].spatial.q.weight.val()), q);
        let patches = case.values("w.pos_embed.proj.weight");
        assert_eq!(values(model.cubify.weight.val()), patches);
        assert_eq!(
            values(model.head.weight.val()),
            values(fresh.head.weight.val())
        );
        let temporal = |path: &String| path.contains("temporal");
        assert!(report.kept.iter().any(temporal) && !report.loaded.iter().any(temporal));
        let last = format!("blocks.{}.fc2.bias", model.blocks.len() - 1);
        assert!(report.loaded.contains(&last), "{}: {last}", case.name);
    }
    report("stiv", "pixart_tiny", all.len());
}

/// The case's weights as the file of a checkpoint: without their `w.`.
fn strip_prefix(case: &Case, path: &Path) {
    let mut file = weights::TensorFile::new();
    for name in case.weights().names() {
        if let Some(official) = name.strip_prefix("w.") {
            let shape = case.weights().shape(name).expect("a shape").to_vec();
            file.floats(
                official,
                &shape,
                &case.values(name),
                weights::Precision::F32,
            )
            .expect("floats");
        }
    }
    file.write(path).expect("a file");
}
