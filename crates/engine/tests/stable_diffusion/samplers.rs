//! Samplers on a U-Net.

use base::fixtures::Case;
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::scheduler::{DpmSolver, Euler, Scheduler, SchedulerConfig, Spacing};
use engine::weights::CaseTensor;
use serde_json::{Value, json};

use crate::unets::guided;
use crate::{each, row, same, same_as, text, unet};

pub fn unused<const D: usize>() -> Tensor<D> {
    unreachable!("not ancestral")
}

/// The scheduler of a case, with diffusers' defaults for DDIM where it says nothing.
pub fn scheduler_config(case: &Case, place: &str) -> SchedulerConfig {
    let mut config: Value = json!({ "timestep_spacing": "leading" });
    for (key, value) in case.get(place).unwrap().as_object().unwrap() {
        let key = match key.as_str() {
            "schedule" => "beta_schedule",
            "prediction" => "prediction_type",
            other => other,
        };
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

#[test]
fn dpm_solver_with_guidance() {
    each("wind", "diffusion_inversion", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let contexts = ["uncond_context", "context"].map(|name| case.tensor(name, &device));
        let config = SchedulerConfig {
            timestep_spacing: Spacing::Linspace,
            ..scheduler_config(case, "scheduler")
        };
        let mut solver: DpmSolver<4> = DpmSolver::new(config, case.usize("steps"));
        let states: Tensor<4> = case.tensor("dpm_latents", &device);
        let mut x: Tensor<4> = case.tensor("noise", &device);
        for i in 0..case.usize("steps") {
            let t = solver.timesteps()[i];
            let out = guided(
                &network,
                contexts.clone(),
                x.clone(),
                t,
                case.f64("guidance_scale"),
            );
            x = solver.step(out, i, x, &mut unused);
            same_as(case, "dpm_latents", x.clone(), row(&states, i));
        }
    });
}

#[test]
fn euler_ancestral_with_two_guidances() {
    each("grape", "ip2p_euler_ancestral", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let [null, full]: [Tensor<3>; 2] =
            ["uncond_context", "context"].map(|name| case.tensor(name, &device));
        let contexts = Tensor::cat(vec![full, null.clone(), null], 0);
        let image: Tensor<4> = case.tensor("image_latent", &device);
        let pictures = Tensor::cat(vec![image.clone(), image.clone(), image.zeros_like()], 0);
        let noises: Tensor<4> = case.tensor("step_noises", &device);
        let config: SchedulerConfig = serde_json::from_value(json!({
            "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        }))
        .unwrap();
        let steps = case.usize("steps");
        let mut euler = Euler::new(config, true, steps);
        let states: Tensor<4> = case.tensor("states_before_step", &device);
        let start: Tensor<4> = case.tensor("initial_noise", &device);
        let mut x = start * case.values("sigmas")[0];
        let [by_text, by_image] = ["text_guidance", "image_guidance"].map(|name| case.f64(name));
        for i in 0..steps {
            same_as(case, "states_before_step", x.clone(), row(&states, i));
            let t = Scheduler::<4>::timesteps(&euler)[i];
            let input = euler.scale_model_input(x.clone(), i);
            let inputs = Tensor::cat(vec![input.clone(), input.clone(), input], 0);
            let inputs = Tensor::cat(vec![inputs, pictures.clone()], 1);
            let out = network.forward(inputs, &[t], &text(contexts.clone()), &mut ());
            let [full, image, none] = [0, 1, 2].map(|at| row(&out, at));
            let out = none.clone() + (full - image.clone()) * by_text + (image - none) * by_image;
            let mut noise = || match i + 1 < steps {
                true => row(&noises, i),
                false => row(&noises, 0).zeros_like(),
            };
            x = euler.step(out, i, x, &mut noise);
        }
        same(case, "final", x);
    });
}
