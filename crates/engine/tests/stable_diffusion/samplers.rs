//! Samplers on a U-Net.

use base::fixtures::Case;
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::scheduler::{DpmSolver, Scheduler, SchedulerConfig, Spacing};
use engine::weights::CaseTensor;
use serde_json::{Value, json};

use crate::unets::guided;
use crate::{each, row, same_as, unet};

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
