//! `orrery hyperfl export`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_json, report};
use base::tensor_file::{Precision, TensorFile};
use clap::Args;
use serde_json::json;

use crate::hyperfl::open_client;

/// Options of `export`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl export --from federation --client 3 --out client-3.safetensors

The file holds `conv1.weight` and so on to `fc2.bias`: an ordinary network, without the hypernetwork and the embedding.")]
pub struct Export {
    /// Folder of `orrery hyperfl simulate --out`
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Number of the client
    #[arg(long, value_name = "N")]
    client: usize,
    /// Where the model goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Export {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let (work, shared, private) = open_client(&self.from, self.client)?;
        let params = work.network_params(&shared, &private);
        let net = &work.model.net;
        let mut file = TensorFile::new();
        net.layout.write(&mut file, "", &params, Precision::F32)?;
        file.write(&self.out)?;
        match self.output.json {
            true => {
                print_json(&json!({"out": base::files::shown(&self.out), "values": params.len()}))
            }
            false => report(
                false,
                &format!("wrote `{}`: {} values", self.out.display(), params.len()),
            ),
        }
    }
}
