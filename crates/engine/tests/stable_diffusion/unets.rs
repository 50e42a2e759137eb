//! U-Nets by themselves, and in guided sampling.

use base::fixtures::Case;
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::scheduler::{Ddim, Scheduler};
use engine::models::unet2d::{Unet2d, UnetConditions};
use engine::weights::CaseTensor;

use crate::samplers::{scheduler_config, unused};
use crate::{added, at, each, row, same_as, text, times, unet};

#[test]
fn unet_of_sdxl() {
    each("lora-rar", "sdxl_unet_lora", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let conditions = UnetConditions {
            added: Some(added(case)),
            ..text(case.tensor("encoder_hidden_states", &device))
        };
        let x: Tensor<4> = case.tensor("x", &device);
        let found = network.forward(x, &times(case, "timesteps"), &conditions, &mut ());
        crate::same(case, "out_base", found);
    });
}

/// `null + s · (text − null)`, both in one batch.
pub fn guided(
    network: &Unet2d,
    [null, full]: [Tensor<3>; 2],
    x: Tensor<4>,
    t: f64,
    scale: f64,
) -> Tensor<4> {
    let both = Tensor::cat(vec![x.clone(), x], 0);
    let out = network.forward(both, &[t], &text(Tensor::cat(vec![null, full], 0)), &mut ());
    let [null, full] = [row(&out, 0), row(&out, 1)];
    null.clone() + (full - null) * scale
}

#[test]
fn semantic_features_in_the_place_of_text() {
    each("illume", "sd_decoder", |case| {
        let device = Device::default();
        let network = unet(case, "w");
        let contexts = ["uncond", "features"].map(|name| case.tensor(name, &device));
        let config = scheduler_config(case, "config.scheduler");
        let steps = case.usize("config.steps");
        let mut ddim = Ddim::new(config, steps);
        assert_eq!(Scheduler::<4>::timesteps(&ddim), times(case, "timesteps"));
        let mut x: Tensor<4> = case.tensor("noise", &device);
        for i in 0..steps {
            let t = Scheduler::<4>::timesteps(&ddim)[i];
            let eps = guided(
                &network,
                contexts.clone(),
                x.clone(),
                t,
                case.f64("config.guidance"),
            );
            crate::same(case, &format!("eps.{i}"), eps.clone());
            x = ddim.step(eps, i, x, &mut unused);
            crate::same(case, &format!("lat.{i}"), x.clone());
        }
    });
}

/// Every frame attends to one anchor frame, alone or beside itself.
fn anchored(case: &Case) {
    let device = Device::default();
    let network = unet(case, "w");
    let conditions = text(case.tensor("text", &device));
    let x: Tensor<4> = case.tensor("sample", &device);
    let t = times(case, "timestep");
    let plain = network.forward(x.clone(), &t, &conditions, &mut ());
    crate::same(case, "out_per_frame", plain);
    let anchor = case.usize("anchor_frame");
    for (own, name) in [(false, "out_anchor_only"), (true, "out_own_plus_anchor")] {
        let mut hooks = crate::hooks::Anchor { frame: anchor, own };
        let found = network.forward(x.clone(), &t, &conditions, &mut hooks);
        crate::same(case, name, found);
    }
}

#[test]
fn editing_with_an_anchor_frame() {
    each("movie", "pix2pix_unet", anchored);
    each("movie", "mobile_pix2pix_unet", anchored);
}

#[test]
fn frames_of_odd_sizes_and_alone_or_in_a_batch() {
    each("movie", "pix2pix_unet", |case| {
        let device = Device::default();
        let network = unet(case, "w");
        let x: Tensor<4> = case.tensor("sample", &device);
        let [frames, _, height, width] = x.dims();
        let x = x.narrow(2, 0, height - 3).narrow(3, 0, width - 1);
        let context: Tensor<3> = case.tensor("text", &device);
        let t = times(case, "timestep");
        let all = network.forward(x.clone(), &t, &text(context.clone()), &mut ());
        assert_eq!(all.dims()[2..], [height - 3, width - 1]);
        for frame in 0..frames {
            let conditions = text(row(&context, frame));
            let alone = network.forward(row(&x, frame), &t, &conditions, &mut ());
            let [alone, together] =
                [alone, row(&all, frame)].map(|it| it.into_data().try_into_vec::<f32>().unwrap());
            let off = crate::furthest(&alone, &together);
            assert!(off < 1e-4, "{}: frame {frame} is off by {off}", case.name);
        }
    });
}

#[test]
fn inversion_of_both_kinds() {
    each("wind", "diffusion_inversion", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let context: Tensor<3> = case.tensor("context", &device);
        let null: Tensor<3> = case.tensor("uncond_context", &device);
        let steps = case.usize("steps");
        let config = scheduler_config(case, "scheduler");
        let one = |context: &Tensor<3>, x: Tensor<4>, t: f64| {
            network.forward(x, &[t], &text(context.clone()), &mut ())
        };
        // diffusers' schedulers, without guidance.
        let recorded = engine::diffusion::scheduler::SchedulerConfig {
            set_alpha_to_one: false,
            ..config.clone()
        };
        let mut ddim = Ddim::new(recorded.clone(), steps);
        let mut x: Tensor<4> = case.tensor("noise", &device);
        let states: Tensor<4> = case.tensor("ddim_latents", &device);
        for i in 0..steps {
            let t = Scheduler::<4>::timesteps(&ddim)[i];
            let out = one(&context, x.clone(), t);
            x = ddim.step(out, i, x, &mut unused);
            same_as(case, "ddim_latents", x.clone(), row(&states, i));
        }
        let mut inverse = Ddim::inverse(recorded, steps);
        let states: Tensor<4> = case.tensor("ddim_inverse_latents", &device);
        for i in 0..steps {
            let t = Scheduler::<4>::timesteps(&inverse)[i];
            let out = one(&context, x.clone(), t);
            x = inverse.step(out, i, x, &mut unused);
            same_as(case, "ddim_inverse_latents", x.clone(), row(&states, i));
        }
        // The authors' routine over the sampler's timesteps.
        let over = Ddim::over(
            engine::diffusion::scheduler::SchedulerConfig {
                set_alpha_to_one: false,
                ..config
            },
            times(case, "dpm_timesteps"),
            steps,
        );
        let mut forward = over.clone();
        let mut x: Tensor<4> = case.tensor("noise", &device);
        let inputs: Tensor<4> = case.tensor("ddim_authors_inputs_per_step", &device);
        for i in 0..steps {
            same_as(case, "ddim_authors_inputs", x.clone(), row(&inputs, i));
            let t = Scheduler::<4>::timesteps(&forward)[i];
            let contexts = [null.clone(), context.clone()];
            let out = guided(&network, contexts, x.clone(), t, case.f64("guidance_scale"));
            x = forward.step(out, i, x, &mut unused);
        }
        crate::same(case, "ddim_authors_final", x);
        let mut inverse = over.inverted();
        assert_eq!(
            Scheduler::<4>::timesteps(&inverse),
            times(case, "inversion_timesteps")
        );
        let sampled: Tensor<4> = case.tensor("dpm_latents", &device);
        let mut x = row(&sampled, steps - 1);
        let inputs: Tensor<4> = case.tensor("inversion_inputs_per_step", &device);
        for i in 0..steps {
            same_as(case, "inversion_inputs", x.clone(), row(&inputs, i));
            let t = Scheduler::<4>::timesteps(&inverse)[i];
            let out = one(&null, x.clone(), t);
            x = inverse.step(out, i, x, &mut unused);
        }
        crate::same(case, "inverted_noise", x);
    });
}

#[test]
fn manga_panels() {
    each("diffsensei", "unet_manga_tiny", |case| {
        let device = Device::default();
        let network = unet(case, "w");
        let conditions = UnetConditions {
            added: Some(added(case)),
            ..text(case.tensor("encoder_hidden_states", &device))
        };
        let mut hooks = crate::hooks::Manga::new(case, &case.json["config"]);
        let x: Tensor<4> = case.tensor("x", &device);
        let found = network.forward(x, &times(case, "t"), &conditions, &mut hooks);
        crate::same(case, "conv_in_out", hooks.before.clone().unwrap());
        crate::same(case, "after_dialog", hooks.after.clone().unwrap());
        crate::same(case, "out", found);
    });
    each("diffsensei", "denoise_loop", |case| {
        // The network is that of the other case, which has its sizes; the state goes on from what was found before.
        let device = Device::default();
        let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let first = |case: &Case| case.weights().shape("w.conv_in.weight").unwrap().to_vec();
        let others = base::fixtures::cases("diffsensei", "unet_manga_tiny", &committed);
        let other = others.iter().find(|other| first(other) == first(case));
        let config = &other.unwrap().json["config"];
        let network = crate::unet_of(case, config.clone(), "w");
        let conditions = UnetConditions {
            added: Some(added(case)),
            ..text(case.tensor("encoder_hidden_states", &device))
        };
        let (sigmas, times) = (case.values("sigmas"), times(case, "timesteps"));
        let states: Tensor<5> = case.tensor("trajectory", &device);
        let start: Tensor<4> = case.tensor("noise", &device);
        let mut x = start * case.values("init_noise_sigma")[0];
        for (i, &t) in times.iter().enumerate() {
            let scaled = x.clone() / (sigmas[i] * sigmas[i] + 1.0).sqrt();
            let both = Tensor::cat(vec![scaled.clone(), scaled], 0);
            let mut hooks = crate::hooks::Manga::new(case, config);
            let out = network.forward(both, &[t], &conditions, &mut hooks);
            let [null, full] = [row(&out, 0), row(&out, 1)];
            let eps = null.clone() + (full - null) * case.f64("config.guidance_scale");
            x = x + eps * (sigmas[i + 1] - sigmas[i]);
            same_as(case, "trajectory", x.clone(), at(&states, i));
        }
    });
}
