//! `orrery hyperfl new-client`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::Data;
use crate::hyperfl::{LearningError, Method, evaluate, fit_client, open_shared};

/// Options of `new-client`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl simulate --out federation
  orrery hyperfl new-client --from federation --client 9

The hypernetwork is frozen: the head is trained first, then the embedding.")]
pub struct NewClient {
    #[command(flatten)]
    data: Data,
    /// Folder of `orrery hyperfl simulate --out`
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Number of the new client: which pictures it has
    #[arg(long, value_name = "N")]
    client: usize,
    /// Epochs of the head
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    head_epochs: u16,
    /// Epochs of the embedding
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    embedding_epochs: u16,
    /// Seed of the embedding, the head and the batches
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl NewClient {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (work, shared, _) = open_shared(&self.from)?;
        if work.config.method != Method::Hyperfl {
            return Err(LearningError::invalid(format!(
                "`{}` was trained by `{}`: a new client needs a hypernetwork, from `--method hyperfl`",
                self.from.display(),
                work.config.method.name()
            ))
            .into());
        }
        let data = self.data.open()?;
        let model = &work.model;
        if data.shape != model.net.input || data.classes != model.net.classes {
            return Err(LearningError::invalid(
                "the data are not of the kind that the federation was trained on: give its `--data`",
            )
            .into());
        }
        context.proceed()?;
        let parts = self
            .data
            .parts(&data, self.client.saturating_add(1).min(100_000))?;
        let Some([train, test]) = parts.get(self.client) else {
            return Err(Failure::input(
                "the number of a client must be below 100000",
            ));
        };
        let (train, test) = (data.train.pick(train), data.test.pick(test));
        let rng = Rng::new(self.seed).child("new client");
        let mut params = shared;
        params.extend(rng.child("embedding").normals(model.hyper.embed));
        params.extend(&model.net.init(&mut rng.child("head"))[model.net.head()]);
        let before = evaluate(&model.net, &model.network_params(&params), &test)?[0];
        let epochs = |name: &str, count: u16| {
            let rng = rng.child(name);
            let batches = |at| train.batches(work.config.batch, &mut rng.item(u64::from(at)));
            (0..count).map(batches).collect::<Vec<_>>()
        };
        let head = epochs("head batches", self.head_epochs);
        let embedding = epochs("embedding batches", self.embedding_epochs);
        fit_client(model, &mut params, &head, &embedding, &work.config.local)?;
        let after = evaluate(&model.net, &model.network_params(&params), &test)?[0];
        self.output.print(
            &json!({"client": self.client, "before": before, "after": after}),
            &format!(
                "client {}: {:.1} % before, {:.1} % after, on {} pictures of its own",
                self.client,
                100.0 * before,
                100.0 * after,
                test.len()
            ),
        )
    }
}
