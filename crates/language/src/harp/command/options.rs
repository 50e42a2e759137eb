//! Options that several verbs have.

use base::command::{Failure, number_in};
use clap::Args;
use engine::decode::SamplerConfig;
use engine::models::decoder::InputBits;

use crate::harp::{GenerateConfig, HarpConfig, HarpPipeline, MaskLife, Metric, Noise};

/// Which model.
#[derive(Args, Debug)]
pub(super) struct Model {
    /// `smollm2`, OWNER/NAME on the hub, a directory or a .gguf file; see `orrery pull`
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    model: String,
    /// To how many bits activations are rounded before they meet quantised weights: 8, or 16 for logits as exact as with weights
    /// in f32, in 1.5 to 2 times the time
    #[arg(long, value_name = "8|16", default_value = "8", value_parser = input_bits)]
    activation_bits: InputBits,
}

fn input_bits(text: &str) -> Result<InputBits, String> {
    match text {
        "8" => Ok(InputBits::Eight),
        "16" => Ok(InputBits::Sixteen),
        _ => Err("give 8 or 16".into()),
    }
}

impl Model {
    pub(super) fn open(&self) -> Result<HarpPipeline, Failure> {
        let pipeline = HarpPipeline::open(&self.model)?;
        Ok(HarpPipeline {
            decoder: pipeline.decoder.with_input_bits(self.activation_bits),
            ..pipeline
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.model
    }
}

/// When and how the model looks twice.
#[derive(Args, Debug)]
pub(super) struct Harp {
    /// Look twice above this entropy, in bits
    #[arg(long, value_name = "BITS", default_value_t = 1.0, value_parser = bits, allow_negative_numbers = true)]
    theta: f32,
    /// Share of embedding coordinates that are zero in the second look
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share, allow_negative_numbers = true)]
    delta: f32,
    /// Weight of the first look's logits
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.5, value_parser = share, allow_negative_numbers = true)]
    beta: f32,
    /// Second looks at each hesitation
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    steps: u16,
    /// Measure of hesitation: `entropy`; `top2`, where the second-best token has more than θ times the best one's
    /// probability; `always`; `never`, the ordinary model
    #[arg(long, value_name = "METRIC", default_value = "entropy", value_parser = metric)]
    metric: Metric,
    /// `dropout`, or `uniform:ALPHA` (NEFTune)
    #[arg(long, value_name = "NOISE", default_value = "dropout", value_parser = noise)]
    noise: Noise,
    /// Reframe only the last N positions: cheaper, not in the paper
    #[arg(long, value_name = "N")]
    reframe_window: Option<usize>,
    /// `fresh`: a mask for each second look, as in the paper; `persistent`: one that grows with the text, cheaper
    #[arg(long, value_name = "MASK", default_value = "fresh", value_parser = mask)]
    mask: MaskLife,
}

/// The choice of tokens.
#[derive(Args, Debug)]
pub(super) struct Sampling {
    /// `greedy`, `multinomial`, `topk:K` or `nucleus:P`
    #[arg(long, value_name = "SAMPLER", default_value = "greedy", value_parser = sampler)]
    sampler: Sampler,
    /// Temperature of samplers other than `greedy`
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    temperature: f32,
    /// Generated tokens at most
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    max_new: u32,
    /// Seed of masks and sampler
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Sampler {
    Greedy,
    Multinomial,
    TopK(usize),
    Nucleus(f32),
}

impl Harp {
    pub(super) fn config(&self, seed: u64) -> Result<HarpConfig, Failure> {
        let config = HarpConfig {
            theta: self.theta,
            delta: self.delta,
            beta: self.beta,
            steps: usize::from(self.steps),
            metric: self.metric,
            noise: self.noise,
            window: self.reframe_window,
            mask: self.mask,
            seed,
        };
        config.check()?;
        Ok(config)
    }
}

impl Sampling {
    /// All settings of a generation that the tokens of `pipeline` end.
    pub(super) fn config(
        &self,
        harp: &Harp,
        pipeline: &HarpPipeline,
        stop: &[String],
    ) -> Result<GenerateConfig, Failure> {
        let sampler = SamplerConfig {
            temperature: match self.sampler {
                Sampler::Greedy => 0.0,
                _ => self.temperature,
            },
            top_k: match self.sampler {
                Sampler::TopK(k) => k,
                _ => 0,
            },
            top_p: match self.sampler {
                Sampler::Nucleus(p) => p,
                _ => 1.0,
            },
            ..SamplerConfig::default()
        };
        Ok(GenerateConfig {
            harp: harp.config(self.seed)?,
            sampler,
            max_tokens: self.max_new as usize,
            stop: stop.to_vec(),
            end: pipeline.end(),
        })
    }
}

pub(super) fn bits(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1000.0)
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

fn temperature(text: &str) -> Result<f32, String> {
    match number_in(text, 0.0, 100.0) {
        Ok(t) if t > 0.0 => Ok(t),
        _ => Err("give a number above 0, up to 100; `--sampler greedy` is temperature 0".into()),
    }
}

fn metric(text: &str) -> Result<Metric, String> {
    Ok(match text {
        "entropy" => Metric::Entropy,
        "top2" => Metric::Top2Ratio,
        "always" => Metric::Always,
        "never" => Metric::Never,
        _ => return Err("give `entropy`, `top2`, `always` or `never`".into()),
    })
}

fn noise(text: &str) -> Result<Noise, String> {
    match (text, text.strip_prefix("uniform:")) {
        ("dropout", _) => Ok(Noise::Dropout),
        (_, Some(alpha)) => Ok(Noise::Uniform(number_in(alpha, 0.0, 10_000.0)?)),
        _ => Err("give `dropout` or `uniform:ALPHA`, such as `uniform:5`".into()),
    }
}

fn mask(text: &str) -> Result<MaskLife, String> {
    match text {
        "fresh" => Ok(MaskLife::Fresh),
        "persistent" => Ok(MaskLife::Persistent),
        _ => Err("give `fresh` or `persistent`".into()),
    }
}

fn sampler(text: &str) -> Result<Sampler, String> {
    let all = "give `greedy`, `multinomial`, `topk:K` with K from 1 on, or `nucleus:P` with P above 0, up to 1";
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    match (name, value) {
        ("greedy", "") => Ok(Sampler::Greedy),
        ("multinomial", "") => Ok(Sampler::Multinomial),
        ("topk", k) => match k.parse() {
            Ok(k) if k > 0 => Ok(Sampler::TopK(k)),
            _ => Err(all.into()),
        },
        ("nucleus", p) => match number_in(p, 0.0, 1.0) {
            Ok(p) if p > 0.0 => Ok(Sampler::Nucleus(p)),
            _ => Err(all.into()),
        },
        _ => Err(all.into()),
    }
}
