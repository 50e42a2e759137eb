//! `orrery moxin tokenizer`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use base::command::{Context, Failure, Output, Stopped};
use base::files::{make_folder, write_bytes};
use clap::Args;
use engine::models::causal_lm::train_bpe;
use serde_json::json;

use crate::moxin::SystemError;
use crate::moxin::data::lines;
use crate::moxin::data::pieces::pieces;
use crate::moxin::data::tally::Tally;

/// Text that a vocabulary is learned from at most, in bytes.
const LEARNED: usize = 1 << 30;

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin tokenizer data/clean --size 4096 --out vocabulary/"
)]
pub struct Vocabulary {
    /// Files of JSON lines, or folders of them
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Tokens; any text can be written with them
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(259..=1_048_576))]
    size: u32,
    /// Folder for the tokenizer
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Learn from the first so many MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1024))]
    megabytes: u32,
    #[command(flatten)]
    output: Output,
}

impl Vocabulary {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let limit = LEARNED.min((self.megabytes as usize) << 20);
        let (mut texts, mut bytes) = (Vec::new(), 0);
        let full = AtomicBool::new(false);
        for piece in pieces(&self.inputs, u64::MAX)? {
            let read = lines::each(
                &piece,
                context.stop,
                &mut Tally::default(),
                &mut |_, document| {
                    if bytes >= limit {
                        full.store(true, Ordering::Relaxed);
                        return Err(Stopped::resumable().into());
                    }
                    bytes += document.text.len();
                    texts.push(document.text.into_owned());
                    Ok(())
                },
            );
            match read {
                Err(SystemError::Stopped(_)) if full.load(Ordering::Relaxed) => {
                    break;
                }
                other => other?,
            }
        }
        if texts.is_empty() {
            return Err(Failure::input(
                "the input holds no document: give JSON lines with a `text`",
            ));
        }
        let special = ["<unk>", "<s>", "</s>"];
        let all = texts.iter().map(String::as_str);
        let json = train_bpe(all, self.size as usize, &special, Some("<s>"))?;
        make_folder(&self.out)?;
        write_bytes(self.out.join("tokenizer.json"), json.as_bytes())?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "model_max_length": 1_000_000, "clean_up_tokenization_spaces": false,
        });
        let text = serde_json::to_string_pretty(&config).unwrap_or_default();
        write_bytes(
            self.out.join("tokenizer_config.json"),
            format!("{text}\n").as_bytes(),
        )?;
        let tokenizer = engine::text::Tokenizer::open(&self.out)?;
        let sample: Vec<&String> = texts.iter().take(200).collect();
        let (mut characters, mut tokens) = (0, 0);
        for text in sample {
            characters += text.len();
            tokens += tokenizer.encode(text)?.len();
        }
        let each = characters as f64 / tokens.max(1) as f64;
        self.output.print(
            &json!({"tokens": tokenizer.len(), "bytes_per_token": each, "out": base::files::shown(&self.out)}),
            &format!(
                "{} tokens from {:.1} MB; {each:.2} bytes a token; wrote `{}`",
                tokenizer.len(),
                bytes as f64 / 1e6,
                self.out.display()
            ),
        )
    }
}
