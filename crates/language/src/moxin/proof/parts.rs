//! Depth, the capability phase, and the sliding window.

use base::command::Failure;
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::causal_lm::CausalLmConfig;
use engine::models::decoder::{Cache, Input, Request, Segment};

use super::corpus::{ABSENT, Corpus};
use super::models::{Stage, held_out_loss, trained};
use crate::moxin::{SystemError, score_question};

const OURS: &str = "specification, section 10";
const PAPER: &str = "paper, Original and Enhanced";

/// Steps of the base in a short run.
pub(super) const BASE: u64 = 2000;

/// 6 against 9 blocks on the same tokens.
pub(super) fn depth(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statement = "Nine blocks have a lower held-out loss than six after equal tokens";
    let Some(corpus) = Corpus::open(&options.out)? else {
        report.not_run(&[statement], "loss below 0", OURS, ABSENT);
        return Ok(());
    };
    let steps = if options.full { 2500 } else { 200 };
    let about = format!(
        "Width 128, 4 heads, 2 key heads, window 64, context 128, 2048 tokens, WordNet's noun glosses; {steps} steps of 1024 \
         tokens. Six to nine blocks is a larger step than the paper's 32 to 36, which would be too small to see here."
    );
    let trial = Trial::new("depth", "Depth", &about, options)
        .arm("6 blocks", "as many as before")
        .arm("9 blocks", "half as many more")
        .lower("loss", "held-out text, nats a token");
    let found = trial.run(options, |arm, seed| {
        let blocks = if arm == "9 blocks" { 9 } else { 6 };
        let folder = options
            .out
            .join("runs")
            .join(format!("depth-{blocks}-{steps}-{seed}"));
        let stage = Stage {
            from: None,
            blocks,
            pack: corpus.text()?,
            steps,
            rate: 3e-3,
            seed,
            folder: &folder,
        };
        let (config, model) = trained(&corpus, stage, (options.progress, options.context))?;
        let decoder = model.valid().decoder(&config).map_err(SystemError::from)?;
        Ok(vec![held_out_loss(&corpus, &decoder)?])
    })?;
    let loss = &found.measures[0];
    if let [Some(deep), Some(shallow)] = ["9 blocks", "6 blocks"].map(|arm| loss.of(arm)) {
        let difference = deep.minus(shallow);
        report.claims.push(Claim::tested(
            statement,
            OURS,
            Bound::Below(0.0),
            (loss, &difference),
        ));
    }
    report.experiments.push(found);
    Ok(())
}

/// More text against text with questions in it.
pub(super) fn capability(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statements = [
        "A phase with a fifth of questions lifts accuracy on other questions by at least 10 points",
        "and costs less than 5 % of perplexity on text",
    ];
    let Some(corpus) = Corpus::open(&options.out)? else {
        report.not_run(&statements, "see the statement", PAPER, ABSENT);
        return Ok(());
    };
    let (before, after) = if options.full {
        (4000, 4000)
    } else {
        (BASE, 2000)
    };
    let asked = if options.full { 1000 } else { 300 };
    let about = format!(
        "Four blocks trained on glosses for {before} steps, then {after} steps more: on text, or with a fifth of the tokens from \
         multiple-choice questions about what a noun is a kind of. {asked} test questions have other words; four choices, chance 25 %."
    );
    let trial = Trial::new("capability", "The third phase", &about, options)
        .arm("text", "more text")
        .arm("questions", "text with a fifth of questions")
        .share("acc_norm", "test questions, by characters")
        .share("acc", "test questions")
        .lower("log perplexity", "held-out text");
    let found = trial.run(options, |arm, seed| {
        let runs = options.out.join("runs");
        let base = runs.join(format!("base-{before}-{seed}"));
        let progress = (options.progress, options.context);
        let stage = Stage {
            from: None,
            blocks: 4,
            pack: corpus.text()?,
            steps: before,
            rate: 3e-3,
            seed,
            folder: &base,
        };
        let from = trained(&corpus, stage, progress)?;
        let [train, test] = corpus.questions(seed, asked);
        let mixed;
        let pack = match arm {
            "questions" => {
                mixed = with_questions(&corpus, &train, seed);
                corpus.packed(&format!("questions-{seed}"), &mixed)?
            }
            _ => corpus.text()?,
        };
        let folder = runs.join(format!("capability-{arm}-{before}-{after}-{seed}"));
        let stage = Stage {
            from: Some(from),
            blocks: 4,
            pack,
            steps: after,
            rate: 1e-3,
            // Another order than that of the first phase.
            seed: seed + 1000,
            folder: &folder,
        };
        let (config, model) = trained(&corpus, stage, progress)?;
        let decoder = model.valid().decoder(&config).map_err(SystemError::from)?;
        let (mut acc, mut norm) = (0, 0);
        for question in &test {
            let score = score_question(&decoder, &corpus.tokenizer, question, &[])?;
            acc += usize::from(score.acc);
            norm += usize::from(score.acc_norm);
        }
        let share = |hits: usize| hits as f64 / test.len().max(1) as f64;
        Ok(vec![
            share(norm),
            share(acc),
            held_out_loss(&corpus, &decoder)?,
        ])
    })?;
    for (at, statement, bound) in [
        (0, statements[0], Bound::AtLeast(0.10)),
        (2, statements[1], Bound::Below(0.05f64.ln_1p())),
    ] {
        let measure = &found.measures[at];
        if let [Some(with), Some(without)] = ["questions", "text"].map(|arm| measure.of(arm)) {
            report.claims.push(Claim::tested(
                statement,
                PAPER,
                bound,
                (measure, &with.minus(without)),
            ));
        }
    }
    report.experiments.push(found);
    Ok(())
}

/// Documents of which a fifth of the bytes are questions with their answers.
fn with_questions(corpus: &Corpus, questions: &[crate::moxin::Question], seed: u64) -> Vec<String> {
    let solved: Vec<String> = questions
        .iter()
        .map(|it| format!("{} {}", it.contexts[0], it.choices[it.answer]))
        .collect();
    let texts: usize = corpus.documents().iter().take(4000).map(String::len).sum();
    let mut documents: Vec<String> = corpus.documents().iter().take(4000).cloned().collect();
    let mut bytes = 0;
    for part in solved.chunks(8) {
        if bytes * 4 >= texts {
            break;
        }
        let document = part.join("\n\n");
        bytes += document.len();
        documents.push(document);
    }
    Rng::new(seed).child("mixture").shuffle(&mut documents);
    documents
}

/// A cache of constant size, and the same logits as a pass over all tokens.
pub(super) fn window(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let length = if options.full { 1024 } else { 512 };
    let about = format!(
        "Six blocks with a window of 64 generate {length} tokens one by one; then the model for training reads all of them at once \
         with the same window. Memory is that of the cache after each token, from the first full window on."
    );
    let trial = Trial::new("window", "Sliding window", &about, options)
        .arm("window", "the window of 64")
        .arm("full", "the same weights without a window")
        .lower("difference", "largest of all logits, stepwise and whole")
        .lower("growth", "cache at the end over that after four windows");
    let found = trial.run(options, |arm, seed| {
        let config = CausalLmConfig {
            vocab_size: 256,
            num_hidden_layers: 6,
            sliding_window: (arm == "window").then_some(64),
            max_position_embeddings: 4096,
            ..CausalLmConfig::toy()
        };
        let device = Device::flex();
        let model = config
            .init(&mut Rng::new(seed), &device)
            .map_err(SystemError::from)?;
        let decoder = model.decoder(&config).map_err(SystemError::from)?;
        let mut cache = Cache::new(decoder.config());
        let (mut ids, mut logits, mut sizes) = (vec![1u32], Vec::new(), Vec::new());
        let mut rng = Rng::new(seed).child("tokens");
        for _ in 0..length {
            options.context.proceed()?;
            let id = [*ids.last().unwrap_or(&0)];
            let segment = Segment::new(Input::Ids(&id), &mut cache);
            let mut output = decoder
                .forward(&mut [segment], &Request::default())
                .map_err(SystemError::from)?;
            logits.extend(output.remove(0).logits);
            sizes.push(cache.bytes());
            ids.push(rng.below(256) as u32);
        }
        let inputs: Vec<i32> = ids[..length].iter().map(|&id| id as i32).collect();
        let inputs: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(inputs, [1, length]), &device);
        let whole = model.forward(inputs).into_data();
        let off = whole
            .iter::<f32>()
            .zip(&logits)
            .map(|(a, b)| f64::from((a - b).abs()))
            .fold(0.0, f64::max);
        Ok(vec![off, sizes[length - 1] as f64 / sizes[255] as f64])
    })?;
    let [off, growth] = [&found.measures[0], &found.measures[1]];
    if let [Some(difference), Some(size)] = [off, growth].map(|measure| measure.of("window")) {
        report.claims.push(Claim::tested(
            "Stepwise decoding through the cache gives the logits of a windowed pass over all tokens",
            OURS,
            Bound::AtMost(1e-3),
            (off, difference),
        ));
        report.claims.push(Claim::tested(
            "The cache does not grow once the window is full",
            OURS,
            Bound::AtMost(1.0),
            (growth, size),
        ));
    }
    report.experiments.push(found);
    Ok(())
}
