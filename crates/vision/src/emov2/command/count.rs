//! `orrery emov2 count`.

use std::time::Instant;

use base::command::{Context, Failure, Output, print_json, print_line};
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use clap::Args;
use serde_json::json;

use super::options::{Work, size};
use crate::emov2::{EmoConfig, PRESETS, macs, params};

/// Seconds that pictures a second are measured for.
const SECONDS: f64 = 2.0;

/// Options of `count`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery emov2 count
  orrery emov2 count emo2-5m --size 512 --window 8 --time

Multiply-adds as in the paper's tables: convolutions and linears, both products of every attention branch on the padded map,
2 for each value of a batch norm, 5 for each of a layer norm.")]
pub struct Count {
    /// Networks: emo2-1m, -2m, -5m, -20m, -50m, emo1-1m, -2m, -5m, -20m [default: all]
    #[arg(value_name = "NETWORK", value_parser = preset)]
    networks: Vec<String>,
    /// Side of the picture
    #[arg(long, value_name = "PIXELS", default_value = "224", value_parser = size)]
    size: usize,
    /// Side of attention windows; 0: the whole map
    #[arg(long, value_name = "SIDE", default_value_t = 7, value_parser = clap::value_parser!(i64).range(0..=256))]
    window: i64,
    /// Classes of the head; 0: no head
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    classes: u32,
    /// Also measure pictures a second, one at a time
    #[arg(long)]
    time: bool,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    output: Output,
}

fn preset(name: &str) -> Result<String, String> {
    match PRESETS.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("give one of {}", PRESETS.join(", "))),
    }
}

impl Count {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = self.work.begin()?;
        let named: Vec<&str> = match self.networks.is_empty() {
            true => PRESETS.to_vec(),
            false => self.networks.iter().map(String::as_str).collect(),
        };
        let mut rows = Vec::new();
        if !self.output.json {
            let speed = if self.time { "  pictures/s" } else { "" };
            print_line(&format!(
                "network    parameters   multiply-adds (M): conv  attention    bn    ln  head     all{speed}"
            ))?;
        }
        for name in named {
            context.proceed()?;
            let config = EmoConfig::preset(name)
                .ok_or_else(|| Failure::input(format!("there is no network `{name}`")))?
                .with_window(self.window)
                .with_classes(self.classes as usize);
            let (count, work) = (params(&config), macs(&config, [self.size; 2]));
            let speed = self
                .time
                .then(|| pictures_per_second(&config, self.size, &device));
            if self.output.json {
                rows.push(json!({
                    "network": name, "parameters": count, "macs": work, "total": work.total(),
                    "pictures_per_second": speed,
                }));
                continue;
            }
            let millions = |value: u64| value as f64 / 1e6;
            print_line(&format!(
                "{name:<9} {count:>11}   {:>23.2} {:>10.2} {:>5.2} {:>5.2} {:>5.2} {:>7.2}{}",
                millions(work.conv),
                millions(work.attn),
                millions(work.bn),
                millions(work.ln),
                millions(work.lin),
                millions(work.total()),
                speed.map_or_else(String::new, |speed| format!("  {speed:>10.1}")),
            ))?;
        }
        match self.output.json {
            true => print_json(&json!({"size": self.size, "networks": rows})),
            false => Ok(()),
        }
    }
}

/// Forward passes of one random picture, after one to warm up.
fn pictures_per_second(config: &EmoConfig, side: usize, device: &burn::tensor::Device) -> f64 {
    let mut rng = Rng::new(0);
    let model = config.init(&mut rng, device);
    let values = TensorData::new(rng.normals(3 * side * side), [1, 3, side, side]);
    let x = Tensor::<4>::from_data(values, device);
    let pass = || model.forward(x.clone(), None).into_data();
    pass();
    let (begun, mut passes) = (Instant::now(), 0);
    while begun.elapsed().as_secs_f64() < SECONDS {
        pass();
        passes += 1;
    }
    f64::from(passes) / begun.elapsed().as_secs_f64()
}
