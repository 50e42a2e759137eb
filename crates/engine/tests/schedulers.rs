//! Schedulers against numbers of diffusers and k-diffusion.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{Case, cases, furthest, report};
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::diffusion::scheduler::{
    BetaSchedule, Ddim, Euler, Prediction, Scheduler, SchedulerConfig, Spacing, sample,
};
use engine::weights::CaseTensor;
use serde_json::json;

fn each(slug: &str, kind: &str, check: impl Fn(&Case)) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases = cases(slug, kind, &committed);
    cases.iter().for_each(check);
    report(slug, kind, cases.len());
}

fn same<const D: usize>(case: &Case, what: &str, found: Tensor<D>, expected: Tensor<D>) {
    let [found, expected] = [found, expected].map(|tensor| {
        let data = tensor.into_data().convert::<f32>();
        data.try_into_vec::<f32>().unwrap()
    });
    let scale = expected
        .iter()
        .fold(1.0f32, |most, value| most.max(value.abs()));
    let off = furthest(&found, &expected) / scale;
    assert!(off < 5e-4, "{}: {what} is off by {off}", case.name);
}

fn listed(case: &Case, what: &str, found: &[f64]) {
    let found: Vec<f32> = found.iter().map(|value| *value as f32).collect();
    let expected = case.values(what);
    let scale = expected
        .iter()
        .fold(1.0f32, |most, value| most.max(value.abs()));
    let off = furthest(&found, &expected) / scale;
    assert!(off < 1e-4, "{}: {what} is off by {off}", case.name);
}

fn unused<const D: usize>() -> Tensor<D> {
    unreachable!("not ancestral")
}

/// Stable Diffusion's betas, which the cases name in words.
fn stable_diffusion() -> SchedulerConfig {
    SchedulerConfig {
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: BetaSchedule::ScaledLinear,
        ..SchedulerConfig::default()
    }
}

#[test]
fn ddim_of_cogvideox_with_zero_terminal_snr() {
    each("ditflow", "schedulers", |case| {
        let device = Device::default();
        let mut config: SchedulerConfig =
            serde_json::from_value(case.json["config"].clone()).unwrap();
        // The configuration of CogVideoX-2b, as the case's source says.
        config.snr_shift_scale = 3.0;
        config.timestep_spacing = Spacing::Trailing;
        listed(case, "ddim2b.alphas_cumprod", &config.alphas_cumprod());
        let mut ddim = Ddim::new(config, case.usize("config.steps"));
        let times = Scheduler::<5>::timesteps(&ddim).to_vec();
        listed(case, "ddim2b.timesteps", &times);
        let mut x: Tensor<5> = case.tensor("ddim2b.x0", &device);
        let outputs: Tensor<6> = case.tensor("ddim2b.model_outputs", &device);
        let states: Tensor<6> = case.tensor("ddim2b.latents", &device);
        let clean: Tensor<5> = case.tensor("ddim2b.add_noise_in", &device);
        let noise: Tensor<5> = case.tensor("ddim2b.add_noise_eps", &device);
        let noised: Tensor<6> = case.tensor("ddim2b.add_noise_out", &device);
        let at =
            |all: &Tensor<6>, i: usize| -> Tensor<5> { all.clone().narrow(0, i, 1).squeeze_dim(0) };
        for i in 0..times.len() {
            x = ddim.step(at(&outputs, i), i, x, &mut unused);
            same(case, "latents", x.clone(), at(&states, i));
            let found = ddim.add_noise(clean.clone(), noise.clone(), i);
            same(case, "add_noise", found, at(&noised, i));
        }
    });
}

#[test]
fn euler_sigmas_and_scales() {
    each("movie", "schedulers", |case| {
        let device = Device::default();
        let steps = case.weights().shape("euler8.timesteps").unwrap()[0];
        let euler = Euler::new(stable_diffusion(), false, steps);
        listed(case, "euler8.timesteps", Scheduler::<4>::timesteps(&euler));
        listed(case, "euler8.sigmas", euler.sigmas());
        let clean: Tensor<4> = case.tensor("euler8.noise_in", &device);
        let noise: Tensor<4> = case.tensor("euler8.noise_eps", &device);
        let noised: Tensor<5> = case.tensor("euler8.noised", &device);
        let scales = case.values("euler8.c_in");
        for (i, scale) in scales.iter().enumerate() {
            let found = euler.add_noise(clean.clone(), noise.clone(), i);
            same(
                case,
                "noised",
                found.clone(),
                noised.clone().narrow(0, i, 1).squeeze_dim(0),
            );
            same(
                case,
                "c_in",
                euler.scale_model_input(found.clone(), i),
                found * *scale,
            );
        }
    });
}

#[test]
fn ancestral_euler_steps() {
    each("grape", "ip2p_euler_ancestral", |case| {
        let device = Device::default();
        // What the network said is recorded as denoised samples.
        let config = SchedulerConfig {
            prediction_type: Prediction::Sample,
            ..stable_diffusion()
        };
        let steps = case.usize("steps");
        let mut euler = Euler::new(config, true, steps);
        listed(case, "sigmas", euler.sigmas());
        let [states, denoised, noises]: [Tensor<4>; 3] =
            ["states_before_step", "denoised", "step_noises"]
                .map(|name| case.tensor(name, &device));
        let at = |all: &Tensor<4>, i: usize| all.clone().narrow(0, i, 1);
        for i in 0..steps - 1 {
            let mut noise = || at(&noises, i);
            let found = euler.step(at(&denoised, i), i, at(&states, i), &mut noise);
            same(case, "state", found, at(&states, i + 1));
        }
        let last = steps - 1;
        let mut none = || at(&states, last).zeros_like();
        let found = euler.step(at(&denoised, last), last, at(&states, last), &mut none);
        same(case, "final", found, case.tensor("final", &device));
    });
}

/// A network whose noise does not depend on where it is asked is inverted exactly.
#[test]
fn the_inverse_of_ddim_leads_back() {
    let device = Device::default();
    let case = Case {
        name: "made up".into(),
        json: json!({}),
        weights: None,
    };
    for spacing in [Spacing::Leading, Spacing::Trailing] {
        let config = SchedulerConfig {
            timestep_spacing: spacing,
            ..stable_diffusion()
        };
        let noise = Tensor::<2>::from_data([[0.3, -1.2, 0.7]], &device);
        let start = Tensor::<2>::from_data([[1.0, -0.5, 2.0]], &device);
        let network = |_: Tensor<2>, _: f64| Ok::<_, ()>(noise.clone());
        let mut ddim = Ddim::new(config.clone(), 10);
        let end = sample(&mut ddim, start.clone(), network, &mut unused).unwrap();
        let mut inverse = Ddim::inverse(config, 10);
        let back = sample(&mut inverse, end, network, &mut unused).unwrap();
        same(&case, "start", back, start);
    }
}
