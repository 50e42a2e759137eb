//! `orrery lora-rar inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_line};
use clap::Args;
use serde_json::json;

use crate::lora_rar::{Layer, LoraFile, Network, base_name};

/// Options of `inspect`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery lora-rar inspect dog.safetensors
  orrery lora-rar inspect dog.safetensors --layers --json")]
pub struct Inspect {
    /// A LoRA: safetensors, or a torch file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// List every layer with finite values, with the norm of its update
    #[arg(long)]
    layers: bool,
    #[command(flatten)]
    output: Output,
}

impl Inspect {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let lora = LoraFile::open(&self.file)?;
        let mut networks: BTreeMap<Network, usize> = BTreeMap::new();
        let mut ranks: BTreeSet<usize> = BTreeSet::new();
        let (mut dense, mut asked) = (0, 0);
        for layer in lora.layers() {
            *networks.entry(layer.network).or_default() += 1;
            asked += usize::from(layer.is_merged_by_network());
            match lora.sizes(layer) {
                Some((_, Some(rank))) => drop(ranks.insert(rank)),
                _ => dense += 1,
            }
        }
        let not_finite = lora.not_finite()?;
        let bad: usize = not_finite.values().sum();
        let mut rows = Vec::new();
        if self.layers {
            for layer in lora.layers().filter(|it| !not_finite.contains_key(it)) {
                context.proceed()?;
                if let Some(factors) = lora.factors(layer)? {
                    rows.push((layer.to_string(), factors));
                }
            }
        }
        let base = base_name(lora.text_width());
        if self.output.json {
            let networks: BTreeMap<&str, usize> = networks
                .iter()
                .map(|(network, count)| (network.prefix(), *count))
                .collect();
            let rows: Vec<_> = rows
                .iter()
                .map(|(layer, it)| {
                    json!({"layer": layer, "size": [it.up.rows, it.down.columns], "rank": it.rank(), "alpha": it.alpha,
                        "scale": it.scale(), "norm": it.norm()})
                })
                .collect();
            let mut object = json!({
                "format": lora.format, "base": base, "networks": networks, "ranks": ranks, "dense_layers": dense,
                "layers_without_alpha": lora.without_alpha(), "asked_of_hypernetwork": asked,
                "not_finite": bad, "layers_not_finite": not_finite.keys().map(Layer::to_string).collect::<Vec<_>>(),
                "ignored": lora.ignored, "metadata": lora.metadata(),
            });
            if self.layers {
                object["layers"] = json!(rows);
            }
            return print_line(&object.to_string());
        }
        let count = lora.layers().count();
        print_line(&format!(
            "{}: for {base}, names as {} writes them",
            lora.origin(),
            lora.format
        ))?;
        let parts = networks
            .iter()
            .map(|(network, count)| format!("{count} in {}", network.prefix()));
        print_line(&format!(
            "layers    {count}: {}",
            parts.collect::<Vec<_>>().join(", ")
        ))?;
        let listed: Vec<String> = ranks.iter().map(usize::to_string).collect();
        let listed = match (listed.is_empty(), dense) {
            (true, _) => format!("none: {dense} dense updates"),
            (_, 0) => listed.join(", "),
            _ => format!("{}, and {dense} dense updates", listed.join(", ")),
        };
        print_line(&format!("ranks     {listed}"))?;
        print_line(&match lora.without_alpha() {
            0 => "alpha     in every layer".to_owned(),
            n if n == count => "alpha     in no layer: updates count as they are".to_owned(),
            n => format!("alpha     missing in {n} layers, where updates count as they are"),
        })?;
        print_line(&format!("LoRA.rar  asks its network about {asked} of them"))?;
        if let Some(first) = not_finite.keys().next() {
            print_line(&format!(
                "damaged   {bad} values are NaN or infinite, in {} layers, first in {first}: no method merges them, export it again",
                not_finite.len()
            ))?;
        }
        if let Some(first) = lora.ignored.first() {
            print_line(&format!(
                "ignored   {} tensors, such as `{first}`",
                lora.ignored.len()
            ))?;
        }
        for (layer, it) in &rows {
            let alpha = it
                .alpha
                .map_or_else(|| "–".to_owned(), |alpha| alpha.to_string());
            print_line(&format!(
                "{:>5} × {:<5} rank {:<4} alpha {alpha:<6} norm {:<10.4} {layer}",
                it.up.rows,
                it.down.columns,
                it.rank(),
                it.norm()
            ))?;
        }
        Ok(())
    }
}
