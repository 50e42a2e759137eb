//! Samplers against numbers of diffusers: Heun, PLMS, EDM, LCM, and noise schedules without signal at their end.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{Case, cases, furthest, report};
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::scheduler::{
    DpmSolver, EdmEuler, Euler, Heun, Lcm, Plms, Prediction, Scheduler, SchedulerConfig, Spacing,
};
use engine::weights::CaseTensor;

fn each(slug: &str, kind: &str, check: impl Fn(&Case)) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases = cases(slug, kind, &committed);
    cases.iter().for_each(check);
    report(slug, kind, cases.len());
}

/// Relative to the largest value, where that is above 1.
fn near(case: &Case, what: &str, found: &[f32], expected: &[f32], allowed: f32) {
    let scale = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    let off = furthest(found, expected) / scale;
    assert!(off < allowed, "{}: {what} is off by {off}", case.name);
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

fn row<const D: usize>(all: &Tensor<D>, at: usize) -> Tensor<D> {
    all.clone().narrow(0, at, 1)
}

#[test]
fn schedulers_of_all_classes_walk_as_in_diffusers() {
    each("sd", "walk", |case| {
        let device = Device::default();
        let config: SchedulerConfig = serde_json::from_value(case.json["config"].clone()).unwrap();
        let steps = case.usize("steps");
        let class = case.json["class"].as_str().unwrap();
        // What this class does where its file says nothing.
        let config = match class {
            "PNDMScheduler" if case.json["config"].get("timestep_spacing").is_none() => {
                SchedulerConfig {
                    timestep_spacing: Spacing::Leading,
                    ..config
                }
            }
            _ => config,
        };
        let mut scheduler: Box<dyn Scheduler<4>> = match class {
            "HeunDiscreteScheduler" => Box::new(Heun::<4>::new(config, steps)),
            "PNDMScheduler" => Box::new(Plms::<4>::new(config, steps)),
            "EDMEulerScheduler" => Box::new(EdmEuler::new(&config, steps)),
            "EulerDiscreteScheduler" => Box::new(Euler::new(config, false, steps)),
            "DPMSolverMultistepScheduler" => Box::new(DpmSolver::<4>::new(config, steps)),
            other => panic!("{}: no test for {other}", case.name),
        };
        let times = scheduler.timesteps().to_vec();
        near(
            case,
            "timesteps",
            &single(&times),
            &case.values("timesteps"),
            1e-5,
        );
        let sigma = [scheduler.init_noise_sigma() as f32];
        near(
            case,
            "init_noise_sigma",
            &sigma,
            &case.values("init_noise_sigma"),
            1e-5,
        );
        let mut x: Tensor<4> = case.tensor("start", &device);
        let [scaled, outputs, states]: [Tensor<4>; 3] =
            ["scaled", "outputs", "states"].map(|name| case.tensor(name, &device));
        assert_eq!(states.dims()[0], times.len(), "{}", case.name);
        for i in 0..times.len() {
            let input = scheduler.scale_model_input(x.clone(), i);
            near(
                case,
                "scaled",
                &values(input),
                &values(row(&scaled, i)),
                2e-4,
            );
            let mut unused = || unreachable!("it asks for no noise");
            x = scheduler.step(row(&outputs, i), i, x, &mut unused);
            near(
                case,
                "state",
                &values(x.clone()),
                &values(row(&states, i)),
                2e-4,
            );
        }
    });
}

#[test]
fn latent_consistency_steps() {
    each("movie", "schedulers", |case| {
        let device = Device::default();
        let config = SchedulerConfig {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: engine::diffusion::scheduler::BetaSchedule::ScaledLinear,
            ..serde_json::from_value(case.json["config"].clone()).unwrap()
        };
        let steps = case.usize("config.steps");
        let mut lcm = Lcm::new(config, steps);
        let times = Scheduler::<4>::timesteps(&lcm).to_vec();
        near(
            case,
            "timesteps",
            &single(&times),
            &case.values("timesteps"),
            1e-6,
        );
        let at = |name: &str, i: usize| -> Tensor<4> {
            let all: Tensor<5> = case.tensor(name, &device);
            row(&all, i).squeeze_dim(0)
        };
        let mut x: Tensor<4> = case.tensor("x0", &device);
        for i in 0..steps {
            let output = at("model_outputs", i);
            let found = lcm.denoised(output.clone(), i, x.clone());
            near(
                case,
                "denoised",
                &values(found),
                &values(at("denoised", i)),
                1e-3,
            );
            x = lcm.step(output, i, x, &mut || at("noises", i));
            near(
                case,
                "latents",
                &values(x.clone()),
                &values(at("latents", i)),
                1e-3,
            );
        }
    });
}

#[test]
fn euler_steps_of_stable_video_diffusion() {
    each("mobilevd", "euler_edm", |case| {
        let device = Device::default();
        let number = |name: &str| case.f64(&format!("config.{name}"));
        let config = SchedulerConfig {
            sigma_min: Some(number("sigma_min")),
            sigma_max: Some(number("sigma_max")),
            rho: number("rho"),
            sigma_data: 1.0,
            prediction_type: Prediction::VPrediction,
            ..SchedulerConfig::default()
        };
        let steps = case.usize("config.steps");
        let mut edm = EdmEuler::new(&config, steps);
        near(
            case,
            "sigmas",
            &single(edm.sigmas()),
            &case.values("sigmas"),
            1e-5,
        );
        let times = Scheduler::<5>::timesteps(&edm).to_vec();
        near(
            case,
            "timesteps",
            &single(&times),
            &case.values("timesteps"),
            1e-5,
        );
        let sigma = [Scheduler::<5>::init_noise_sigma(&edm) as f32];
        near(
            case,
            "init_noise_sigma",
            &sigma,
            &case.values("init_noise_sigma"),
            1e-6,
        );
        let at = |name: &str, i: usize| -> Tensor<5> {
            let all: Tensor<6> = case.tensor(name, &device);
            row(&all, i).squeeze_dim(0)
        };
        let mut x: Tensor<5> = case.tensor("x0", &device);
        for i in 0..steps {
            let input = edm.scale_model_input(x.clone(), i);
            near(
                case,
                "scaled",
                &values(input),
                &values(at("scaled_inputs", i)),
                1e-4,
            );
            let output = at("model_outputs", i);
            let clean = edm.denoised(output.clone(), i, x.clone());
            near(
                case,
                "pred_x0",
                &values(clean),
                &values(at("pred_x0", i)),
                1e-4,
            );
            let mut unused = || unreachable!("it asks for no noise");
            x = edm.step(output, i, x, &mut unused);
            near(
                case,
                "latents",
                &values(x.clone()),
                &values(at("latents", i)),
                1e-4,
            );
        }
    });
}

/// Where the network's noise does not depend on where it is asked, second order changes nothing, and PLMS is DDIM.
#[test]
fn constant_noise_leads_all_samplers_to_the_same_place() {
    let device = Device::default();
    let config = SchedulerConfig {
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: engine::diffusion::scheduler::BetaSchedule::ScaledLinear,
        timestep_spacing: Spacing::Leading,
        ..SchedulerConfig::default()
    };
    let noise = Tensor::<2>::from_data([[0.3, -1.2, 0.7]], &device);
    let walk = |mut scheduler: Box<dyn Scheduler<2>>, start: Tensor<2>| {
        let network = |_: Tensor<2>, _: f64| Ok::<_, ()>(noise.clone());
        let mut unused = || unreachable!("it asks for no noise");
        let end =
            engine::diffusion::scheduler::sample(scheduler.as_mut(), start, network, &mut unused);
        values(end.unwrap())
    };
    let clean = Tensor::<2>::from_data([[1.0, -0.5, 2.0]], &device);
    for steps in [1, 2, 7] {
        let heun = Heun::<2>::new(config.clone(), steps);
        let start = heun.add_noise(clean.clone(), noise.clone(), 0);
        let found = walk(Box::new(heun), start);
        assert!(furthest(&found, &[1.0, -0.5, 2.0]) < 1e-4, "{found:?}");
        let plms = Plms::<2>::new(config.clone(), steps);
        let start = plms.add_noise(clean.clone(), noise.clone(), 0);
        let found = walk(Box::new(plms), start);
        assert!(furthest(&found, &[1.0, -0.5, 2.0]) < 1e-4, "{found:?}");
    }
}
