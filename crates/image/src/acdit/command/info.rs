//! `orrery acdit info` and `flops`.

use base::command::{Context, Failure, Output, print_json, print_line, whole};
use clap::Args;
use engine::weights::params;
use serde_json::json;

use super::model::ModelOptions;
use crate::acdit::{AcditConfig, Size, flops};

/// Options of `info`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit info
  orrery acdit info --model ACDiT-XL-img.pt --json")]
pub struct Info {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    output: Output,
}

impl Info {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let pipeline = self.model.open()?;
        let config = &pipeline.config;
        let parameters: usize = params(&pipeline.model)
            .iter()
            .map(|param| param.shape.iter().product::<usize>())
            .sum();
        let side = pipeline.about.space.picture_side(config);
        if self.output.json {
            return print_json(&json!({
                "parameters": parameters, "config": config, "about": pipeline.about,
                "picture_side": side, "frames": config.temporal_len, "classifies": pipeline.head.is_some(),
            }));
        }
        let what = match config.temporal_len {
            1 => format!("pictures of {side}×{side}"),
            frames => format!("clips of {frames} frames of {side}×{side}"),
        };
        let values = serde_json::to_value(pipeline.about.space.values).unwrap_or_default();
        print_line(&format!(
            "{what}, {} of {} tokens each ({} in {} channels, patches of {}×{})",
            if config.ar_len == 1 {
                "one block".to_owned()
            } else {
                format!("{} blocks", config.ar_len)
            },
            config.block_size,
            values.as_str().unwrap_or_default(),
            pipeline.about.space.channels,
            pipeline.about.space.patch,
            pipeline.about.space.patch,
        ))?;
        print_line(&format!(
            "{parameters} parameters: depth {}, width {}, {} heads",
            config.depth, config.hidden_size, config.num_heads
        ))?;
        let names: Vec<String> = (0..config.num_classes.min(20))
            .map(|label| pipeline.about.name(label))
            .collect();
        let rest = match config.num_classes > names.len() {
            true => ", …",
            false => "",
        };
        print_line(&format!(
            "{} classes: {}{rest}",
            config.num_classes,
            names.join(", ")
        ))?;
        print_line(match pipeline.head {
            Some(_) => "it has a head and classifies",
            None => "it has no head: `classify` goes by denoising",
        })
    }
}

/// Options of `flops`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit flops
  orrery acdit flops --size h --seq 4096 --block 1024 --steps 25")]
pub struct Flops {
    /// A published size
    #[arg(long, value_enum, default_value_t = Size::Xl)]
    size: Size,
    /// Tokens of a sample
    #[arg(long, default_value_t = 1024, value_parser = |text: &str| whole(text, 1 << 22))]
    seq: usize,
    /// Tokens of a block, which divide --seq [default: a row for each of the usual ones]
    #[arg(long, value_parser = |text: &str| whole(text, 1 << 22))]
    block: Option<usize>,
    /// Solver steps of a block
    #[arg(long, default_value_t = 25, value_parser = |text: &str| whole(text, 1000))]
    steps: usize,
    #[command(flatten)]
    output: Output,
}

impl Flops {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let config = AcditConfig::image(self.size);
        let blocks: Vec<usize> = match self.block {
            Some(block) if self.seq.is_multiple_of(block) => vec![block],
            Some(block) => {
                return Err(Failure::input(format!(
                    "blocks of {block} tokens do not divide a sequence of {}: change `--block` or `--seq`",
                    self.seq
                )));
            }
            None => (0..)
                .map(|halved| self.seq >> halved)
                .take_while(|block| *block >= 16)
                .filter(|block| self.seq.is_multiple_of(*block))
                .take(8)
                .collect(),
        };
        let blocks = if blocks.is_empty() {
            vec![self.seq]
        } else {
            blocks
        };
        let whole = flops::whole(&config, self.seq, self.steps).flops() * config.depth as u128;
        let rows: Vec<_> = blocks
            .into_iter()
            .map(|block| {
                let counted = flops::cached(&config, self.seq, block, self.steps).flops();
                (
                    block,
                    counted * config.depth as u128,
                    flops::formula_saving(&config, self.seq, block),
                )
            })
            .collect();
        let cache = flops::cache_bytes(&config, self.seq);
        if self.output.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|(block, flops, saving)| {
                    json!({"block": block, "flops": *flops as f64, "saved": 1.0 - *flops as f64 / whole as f64, "saved_by_formula": saving})
                })
                .collect();
            return print_json(&json!({
                "seq": self.seq, "steps": self.steps, "layers": config.depth, "width": config.hidden_size,
                "flops_whole": whole as f64, "cache_bytes": cache as f64, "rows": rows,
            }));
        }
        print_line(&format!(
            "{} layers of width {}, {} tokens, {} steps; all at once {:.2} TFLOP",
            config.depth,
            config.hidden_size,
            self.seq,
            self.steps,
            whole as f64 / 1e12
        ))?;
        print_line("block    TFLOP   saved   formula of the paper")?;
        for (block, counted, saving) in rows {
            print_line(&format!(
                "{block:>5} {:>8.2} {:>6.1} % {:>6.1} %",
                counted as f64 / 1e12,
                100.0 * (1.0 - counted as f64 / whole as f64),
                100.0 * saving
            ))?;
        }
        print_line(&format!(
            "cache of the whole sample: {:.1} MB",
            cache as f64 / 1e6
        ))
    }
}
