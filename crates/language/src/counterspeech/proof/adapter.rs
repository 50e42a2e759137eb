//! A toy adapter of the invented communities.

use std::path::PathBuf;

use base::command::Failure;
use base::job::jsonl;
use base::proof::ProofOptions;

use crate::counterspeech::{Prompts, Stage, Training, default_recipe, synthetic_comments};
use crate::moxin::{Place, Recipe};

/// What it is called.
pub(super) const NAME: &str = "Re";
/// Last blocks of the model that it changes, of 30.
pub(super) const BLOCKS: usize = 10;
/// Times that it sees the comments.
pub(super) const EPOCHS: f64 = 3.0;

/// Trains it on the comments of all communities, or finds it trained; gives its folder.
pub(super) fn train(
    options: &ProofOptions,
    prompts: &Prompts,
) -> Result<(PathBuf, Stage), Failure> {
    let runs = options.out.join("runs");
    let (folder, data) = (runs.join(NAME), runs.join("comments.jsonl"));
    base::files::make_folder(&runs)?;
    jsonl::write(&data, &synthetic_comments()?)?;
    let training = Training {
        base: "smollm2",
        from: None,
        data: &data,
        prompts,
        epochs: EPOCHS,
        last_blocks: Some(BLOCKS),
        // A small model that sees little needs a higher rate than one of 13 billion parameters.
        recipe: Recipe {
            batch: 8,
            rate: 1e-3,
            ..default_recipe()
        },
    };
    let place = Place {
        folder: &folder,
        resume: true,
        title: options.progress.then_some("adapter"),
        context: options.context,
        workers: None,
    };
    let stage = training.run(&engine::device("cpu")?, &place)?;
    Ok((folder, stage))
}
