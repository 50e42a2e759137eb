//! Editing by instruction.

use base::media::Image;
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::combine_separate;
use engine::diffusion::scheduler::{Euler, Scheduler, SchedulerConfig};
use engine::models::stable_diffusion::{Request, Source, predict_edit};
use engine::weights::CaseTensor;
use serde_json::json;

use crate::pipeline::{draw, open, request};
use crate::tiny::Tiny;
use crate::{each, row, same_as, text, times, unet};

#[test]
fn instruct_pix2pix_by_euler_ancestral() {
    each("grape", "ip2p_euler_ancestral", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let rows = ["context", "uncond_context"].map(|name| text(case.tensor(name, &device)));
        let scales = ["text_guidance", "image_guidance"].map(|name| case.f64(name));
        let picture: Tensor<4> = case.tensor("image_latent", &device);
        let noises: Tensor<4> = case.tensor("step_noises", &device);
        let config: SchedulerConfig = serde_json::from_value(json!({
            "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000, "timestep_spacing": "linspace",
        }))
        .unwrap();
        let steps = case.usize("steps");
        let mut euler = Euler::new(config, true, steps);
        assert_eq!(
            Scheduler::<4>::timesteps(&euler),
            times(case, "model_times")
        );
        let mut x: Tensor<4> = case.tensor("initial_noise", &device);
        x = x * Scheduler::<4>::init_noise_sigma(&euler);
        for i in 0..steps {
            let before: Tensor<4> = case.tensor("states_before_step", &device);
            same_as(case, "states_before_step", x.clone(), row(&before, i));
            let t = Scheduler::<4>::timesteps(&euler)[i];
            let input = Scheduler::<4>::scale_model_input(&euler, x.clone(), i);
            let [full, null] = &rows;
            let out = predict_edit(
                &network,
                input,
                picture.clone(),
                t,
                [full, null],
                scales,
                &mut (),
            );
            // The last step adds nothing.
            let mut noise = || row(&noises, i.min(steps - 2));
            x = euler.step(out, i, x, &mut noise);
        }
        crate::same(case, "final", x);
    });
}

#[test]
fn three_way_guidance() {
    each("movie", "three_way_guidance", |case| {
        let device = Device::default();
        let parts = ["eps_uncond", "eps_image", "eps_image_text"];
        let [none, image, both]: [Tensor<4>; 3] = parts.map(|name| case.tensor(name, &device));
        let guided: Tensor<5> = case.tensor("guided", &device);
        let scales = case
            .values("s_image")
            .into_iter()
            .zip(case.values("s_text"));
        for (at, (by_image, by_text)) in scales.enumerate() {
            let found =
                combine_separate(none.clone(), image.clone(), both.clone(), by_image, by_text);
            let wanted = guided.clone().narrow(0, at, 1).squeeze_dim(0);
            same_as(case, "guided", found, wanted);
        }
    });
}

#[test]
fn a_model_with_eight_channels_edits_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    Tiny {
        more: 4,
        ..Tiny::default()
    }
    .write(folder.path());
    let model = open(folder.path());
    assert!(model.edits());
    let error = model.check(&request(&model)).unwrap_err().to_string();
    assert!(error.contains("sd edit"), "{error}");
    let picture = |level: u8| Image::filled(16, 16, [level, 255 - level, 40]);
    let edited = |instruction: &str, level: u8, guidance: [f64; 2], seeds: &[u64]| {
        let mut request = Request {
            prompt: instruction.into(),
            seeds: seeds.to_vec(),
            source: Some(Source {
                picture: picture(level),
                mask: None,
                strength: 1.0,
                image_guidance: Some(guidance[1]),
            }),
            ..request(&model)
        };
        request.sampling.guidance = guidance[0];
        draw(&model, &request)
    };
    let usual = &edited("a house", 200, [7.5, 1.5], &[3])[0].pixels;
    for (what, other) in [
        ("instruction", edited("a red house", 200, [7.5, 1.5], &[3])),
        ("picture", edited("a house", 90, [7.5, 1.5], &[3])),
        ("text guidance", edited("a house", 200, [2.0, 1.5], &[3])),
        ("image guidance", edited("a house", 200, [7.5, 3.0], &[3])),
        ("no guidance", edited("a house", 200, [1.0, 1.0], &[3])),
        (
            "image guidance alone",
            edited("a house", 200, [1.0, 1.5], &[3]),
        ),
    ] {
        assert_ne!(&other[0].pixels, usual, "{what} changes nothing");
    }
    let among = edited("a house", 200, [7.5, 1.5], &[8, 3]);
    assert_eq!(&among[1].pixels, usual);
    // A model that draws is told apart.
    let plain = tempfile::tempdir().unwrap();
    Tiny::default().write(plain.path());
    let plain = open(plain.path());
    let request = Request {
        source: Some(Source {
            picture: picture(9),
            mask: None,
            strength: 1.0,
            image_guidance: Some(1.5),
        }),
        ..request(&plain)
    };
    let error = plain.check(&request).unwrap_err().to_string();
    assert!(error.contains("does not edit"), "{error}");
}

/// The model reads the mean of the autoencoder's posterior without its scale.
#[test]
fn the_picture_is_not_scaled() {
    let folder = tempfile::tempdir().unwrap();
    Tiny {
        more: 4,
        ..Tiny::default()
    }
    .write(folder.path());
    let model = open(folder.path());
    let picture = Image::filled(16, 16, [200, 55, 40]);
    let scaled = model.encode(std::slice::from_ref(&picture)).unwrap();
    let edited = model.edited(&picture, 1.5).unwrap();
    let off = (edited.latents * 0.18215 - scaled).abs().max();
    assert!(off.into_scalar::<f32>() < 1e-6);
}
