//! `orrery codearena syncode lang`: identify programming languages, or train a classifier for it.

use std::path::Path;

use base::command::{Context, Failure, Steps, print_json, print_line, report};
use base::endpoint::Embedder;
use base::rng::Rng;

use super::options::Lang;
use super::{Stage, line, steps};
use crate::codearena::syncode::encode::Encoder;
use crate::codearena::syncode::head::Head;
use crate::codearena::syncode::lang::{Sources, Wanted, sources, train};

impl Lang {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let encoder = self.encoder.open(context)?;
        if let Some(folder) = &self.train {
            return self.train(folder, encoder.as_deref(), context);
        }
        let Some(input) = &self.input else {
            return Err(Failure::input("name the pages with `--in`"));
        };
        let stage = Stage {
            name: "lang",
            input,
            out: &self.out,
            workers: self.workers,
            context,
            quiet: self.json,
        };
        let wanted = Wanted {
            keep: self.keep.clone(),
            shares: self.share.iter().cloned().collect(),
        };
        let stats = steps::lang(&stage, self.lang_model.as_deref(), encoder, &wanted)?;
        match self.json {
            true => print_json(&stats),
            false => print_line(&line(&stats, &self.out)),
        }
    }

    fn train(
        &self,
        folder: &Path,
        encoder: Option<&dyn Embedder>,
        context: Context,
    ) -> Result<(), Failure> {
        let shown = folder.display();
        let sources = sources(folder)
            .map_err(|cause| Failure::input(format!("cannot train on `{shown}`: {cause}")))?;
        let rng = Rng::new(self.seed);
        match encoder {
            None => train(&sources, &rng).write(&self.out)?,
            Some(encoder) => self
                .train_head(&sources, encoder, &rng, context)?
                .write(&self.out)?,
        }
        let labels = sources.labels;
        match self.json {
            true => print_json(
                &serde_json::json!({"out": self.out.display().to_string(), "labels": labels}),
            ),
            false => report(
                false,
                &format!("wrote {}: {}", self.out.display(), labels.join(", ")),
            ),
        }
    }

    fn train_head(
        &self,
        sources: &Sources,
        embedder: &dyn Embedder,
        rng: &Rng,
        context: Context,
    ) -> Result<Head, Failure> {
        let encoder = Encoder {
            embedder,
            journal: self.out.with_added_extension("vectors"),
            workers: self.workers,
            stop: context.stop,
        };
        let texts: Vec<&str> = sources
            .samples
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        let mut bar = Steps::new("encoding", self.json);
        let vectors = encoder.vectors(&texts, &mut |done, all| bar.at(done, all))?;
        bar.finish();
        let samples: Vec<(&[f32], usize)> = vectors
            .iter()
            .zip(&sources.samples)
            .map(|(vector, (_, label))| (vector.as_slice(), *label))
            .collect();
        let head = Head::train(&sources.labels, embedder.name(), &samples, rng);
        encoder.finish();
        Ok(head)
    }
}
