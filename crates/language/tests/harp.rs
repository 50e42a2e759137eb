//! HARP against recorded numbers of the official code: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::Path;

use base::fixtures::{Case, cases, furthest, report};
use base::rng::Rng;
use engine::decode::{
    BeamConfig, BeamSession, LengthPenalty, Sampler, SamplerConfig, Session, beam_search,
};
use engine::models::decoder::{Cache, Decoder, DecoderConfig, Input, Logits, Request, Segment};
use engine::weights::Within;
use language::harp::{
    GenerateConfig, Generation, HarpConfig, HarpSession, HarpStep, MaskLife, Metric, Noise,
    Recorded, Sequence, TokenStep, Uniforms, entropy_of, generate_from, harp_step, reframe, score,
};

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn all(kind: &str) -> Vec<Case> {
    let all = cases("harp", kind, committed());
    report("harp", kind, all.len());
    all
}

fn decoder(case: &Case) -> Decoder {
    let config = DecoderConfig::from_config_json(case.get("config").unwrap()).unwrap();
    Decoder::from_source(config, &Within::new(case.weights(), "w.", &[])).unwrap()
}

fn ids(case: &Case, name: &str) -> Vec<u32> {
    case.ints(name).iter().map(|&id| id as u32).collect()
}

fn config(case: &Case) -> HarpConfig {
    HarpConfig {
        theta: case.f32("theta"),
        delta: case.f32("delta"),
        beta: case.f32("beta"),
        ..HarpConfig::default()
    }
}

fn close(case: &Case, what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let off = furthest(found, expected);
    assert!(
        f64::from(off) <= tolerance,
        "{}: {what} is off by {off}",
        case.name
    );
    println!("{}: {what} off by {off:e}", case.name);
}

/// A model of the recorded cases, for tests of what nobody recorded; none where the cases are absent.
fn any_decoder() -> Option<(Case, Decoder)> {
    let case = cases("harp", "forward", committed()).into_iter().next()?;
    let decoder = decoder(&case);
    Some((case, decoder))
}

fn all_logits(decoder: &Decoder, input: Input<'_>) -> Vec<f32> {
    let mut cache = Cache::new(decoder.config());
    let request = Request {
        logits: Logits::All,
        ..Request::default()
    };
    let outputs = decoder
        .forward(&mut [Segment::new(input, &mut cache)], &request)
        .unwrap();
    outputs.into_iter().next().unwrap().logits
}

#[test]
fn forward() {
    for case in all("forward") {
        let (decoder, config) = (decoder(&case), config(&case));
        let shape = case.weights().shape("input_ids").unwrap().to_vec();
        let (rows, tokens) = (shape[0], shape[1]);
        let (width, vocab) = (decoder.config().width, decoder.config().vocab);
        let ids = ids(&case, "input_ids");
        let hesitates = case.ints("hesitates");
        // Recorded where a row hesitated.
        let draws = match case.weights().contains("dropout_uniform") {
            true => case.values("dropout_uniform"),
            false => Vec::new(),
        };
        let draws_of = |row: usize| match draws.is_empty() {
            true => Recorded::new(Vec::new()),
            false => Recorded::new(draws[row * tokens * width..][..tokens * width].to_vec()),
        };
        let mut sequences: Vec<Sequence> = (0..rows)
            .map(|row| Sequence::new(&decoder, Box::new(draws_of(row))))
            .collect();
        let batch = sequences.iter_mut().zip(ids.chunks(tokens));
        let steps = harp_step(&decoder, &mut batch.collect::<Vec<_>>(), &config).unwrap();
        let (logits, bits) = (
            case.tolerance("logits", 2e-4),
            case.tolerance("entropy_bits", 1e-4),
        );
        let entropies: Vec<f32> = steps.iter().map(|step| step.entropy).collect();
        close(
            &case,
            "entropy_bits",
            &entropies,
            &case.values("entropy_bits"),
            bits,
        );
        let found: Vec<i64> = steps.iter().map(|step| i64::from(step.hesitates)).collect();
        assert_eq!(found, hesitates, "{}: hesitates", case.name);
        // The whole result: the ordinary logits but for the last position.
        let mut out = Vec::new();
        let mut vanilla = Vec::new();
        for (ids, step) in ids.chunks(tokens).zip(&steps) {
            let all = all_logits(&decoder, Input::Ids(ids));
            out.extend_from_slice(&all[..(tokens - 1) * vocab]);
            out.extend_from_slice(&step.logits);
            vanilla.extend(all);
        }
        close(
            &case,
            "logits_vanilla",
            &vanilla,
            &case.values("logits_vanilla"),
            logits,
        );
        close(
            &case,
            "logits_out",
            &out,
            &case.values("logits_out"),
            logits,
        );
        if !draws.is_empty() {
            let mut embeddings = decoder.embed(&ids).unwrap();
            reframe(&mut embeddings, &config, &mut Recorded::new(draws.clone())).unwrap();
            close(
                &case,
                "emb_reframed",
                &embeddings,
                &case.values("emb_reframed"),
                0.0,
            );
            let rows = embeddings.chunks(tokens * width);
            let reframed: Vec<f32> = rows
                .flat_map(|rows| all_logits(&decoder, Input::Embeddings(rows)))
                .collect();
            close(
                &case,
                "logits_reframed",
                &reframed,
                &case.values("logits_reframed"),
                logits,
            );
        }
    }
}

#[test]
fn greedy() {
    for case in all("greedy") {
        let decoder = decoder(&case);
        let prompt = ids(&case, "prompt");
        let run = |harp: HarpConfig, draws: Vec<f32>| -> Generation {
            let config = GenerateConfig {
                harp,
                max_tokens: case.usize("max_gen_len"),
                end: case.numbers("eos").iter().map(|&id| id as u32).collect(),
                ..GenerateConfig::default()
            };
            let draws: Vec<Box<dyn Uniforms>> = vec![Box::new(Recorded::new(draws))];
            let prompts = std::slice::from_ref(&prompt);
            let mut listen = |_: usize, _: &TokenStep| ControlFlow::Continue(());
            let made = generate_from(&decoder, None, prompts, draws, &config, &mut listen).unwrap();
            made.into_iter().next().unwrap()
        };
        let vanilla = run(HarpConfig::vanilla(), Vec::new());
        assert_eq!(
            vanilla.ids,
            ids(&case, "out_vanilla"),
            "{}: vanilla",
            case.name
        );
        let harp = run(config(&case), case.values("uniform_flat"));
        assert_eq!(harp.ids, ids(&case, "out_harp"), "{}: HARP", case.name);
        let entropies: Vec<f32> = harp.trace.iter().map(|step| step.entropy).collect();
        let expected = case.values("entropies");
        // The step that ended the text, if one did, is recorded too and has no token.
        let tolerance = case.tolerance("entropies", 2e-4);
        close(
            &case,
            "entropies",
            &entropies,
            &expected[..entropies.len()],
            tolerance,
        );
        let hesitated: Vec<i64> = harp
            .trace
            .iter()
            .map(|step| i64::from(step.hesitated))
            .collect();
        assert_eq!(
            hesitated,
            case.ints("hesitates")[..hesitated.len()],
            "{}: hesitates",
            case.name
        );
        let seen = harp.trace.iter().enumerate().filter(|it| it.1.hesitated);
        let lengths: Vec<i64> = seen.map(|it| (prompt.len() + it.0) as i64).collect();
        assert_eq!(
            lengths,
            case.ints("uniform_seq_lens")[..lengths.len()],
            "{}",
            case.name
        );
        assert_eq!(
            harp.hesitations,
            case.ints("uniform_seq_lens").len(),
            "{}",
            case.name
        );
    }
}

#[test]
fn beam() {
    for case in all("beam") {
        let decoder = decoder(&case);
        let prompt = ids(&case, "prompt");
        let end: Vec<u32> = case.numbers("eos").iter().map(|&id| id as u32).collect();
        let runs = case
            .get("runs")
            .and_then(|runs| runs.as_array())
            .unwrap()
            .len();
        for run in 0..runs {
            let at = |field: &str| format!("runs.{run}.{field}");
            let name = case.str(&at("name"));
            let config = BeamConfig {
                beams: case.usize(&at("num_beams")),
                top_k: case.usize(&at("top_k")),
                penalty: LengthPenalty::Shifted {
                    alpha: case.f32(&at("alpha")),
                    min_length: case.f32(&at("min_length")),
                },
                ..BeamConfig::harp(case.usize("max_gen_len"), end.clone())
            };
            let mut model = BeamSession::new(Session::new(&decoder), &prompt);
            let beams = beam_search(&mut model, &config).unwrap();
            assert_eq!(beams[0].ids, ids(&case, name), "{}: {name}", case.name);
        }
    }
}

/// Probabilities in the order of their logits: which of equal logits a nucleus keeps depends on the sort alone.
fn by_logit(rows: &[f32], probabilities: &[f32], vocab: usize) -> Vec<f32> {
    let rows = rows.chunks(vocab).zip(probabilities.chunks(vocab));
    let sorted = rows.flat_map(|(row, probabilities)| {
        let mut pairs: Vec<(f32, f32)> = row
            .iter()
            // −0 is 0.
            .map(|logit| logit + 0.0)
            .zip(probabilities.iter().copied())
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        pairs.into_iter().map(|it| it.1)
    });
    sorted.collect()
}

#[test]
fn entropy_and_samplers() {
    for case in all("entropy_and_samplers") {
        let shape = case.weights().shape("logits").unwrap().to_vec();
        let (tokens, vocab) = (shape[1], shape[2]);
        let tolerance = case.tolerance("default", 2e-5);
        let logits = case.values("logits");
        let entropies: Vec<f32> = logits
            .chunks(tokens * vocab)
            .map(|row| entropy_of(&row[(tokens - 1) * vocab..]).unwrap())
            .collect();
        close(
            &case,
            "entropy_bits",
            &entropies,
            &case.values("entropy_bits"),
            tolerance,
        );
        let rows = case.values("row");
        let samplers = case
            .get("samplers")
            .and_then(|it| it.as_array())
            .unwrap()
            .len();
        for number in 0..samplers {
            let at = |field: &str| format!("samplers.{number}.{field}");
            let mut config = SamplerConfig {
                temperature: case.f32(&at("temperature")),
                ..SamplerConfig::default()
            };
            match case.str(&at("kind")) {
                "topk" => config.top_k = case.usize(&at("value")),
                "nucleus" => config.top_p = case.f32(&at("value")),
                "multinomial" => {}
                other => panic!("{}: unknown sampler {other}", case.name),
            }
            let sampler = Sampler::new(config, Rng::new(0)).unwrap();
            let found: Vec<f32> = rows
                .chunks(vocab)
                .flat_map(|row| {
                    let mut probabilities = vec![0.0; vocab];
                    for it in sampler.candidates(row, &[]).unwrap() {
                        probabilities[it.id as usize] = it.probability;
                    }
                    probabilities
                })
                .collect();
            let name = case.str(&at("name"));
            let [found, expected] =
                [&found, &case.values(name)].map(|all| by_logit(&rows, all, vocab));
            close(&case, name, &found, &expected, tolerance);
        }
    }
}

/// Steps of one sequence, its prompt first, one token at a time afterwards.
fn steps(
    decoder: &Decoder,
    ids: &[u32],
    config: &HarpConfig,
    draws: Box<dyn Uniforms>,
) -> Vec<HarpStep> {
    let mut sequence = Sequence::new(decoder, draws);
    let (prompt, rest) = ids.split_at(4);
    [prompt]
        .into_iter()
        .chain(rest.chunks(1))
        .map(|new| {
            harp_step(decoder, &mut [(&mut sequence, new)], config)
                .unwrap()
                .remove(0)
        })
        .collect()
}

/// The cached arm is the cache-free official form: the same draws give the same bits.
#[test]
fn the_cache_changes_nothing() {
    let Some((case, decoder)) = any_decoder() else {
        return;
    };
    let config = HarpConfig {
        theta: 0.0,
        ..HarpConfig::default()
    };
    let ids = ids(&case, "input_ids")[..10].to_vec();
    let cached = steps(&decoder, &ids, &config, Box::new(Rng::new(5)));
    let mut draws = Rng::new(5);
    for (len, step) in (4..=10).zip(&cached) {
        let mut flat = vec![0.0; len * decoder.config().width];
        draws.fill(&mut flat).unwrap();
        let mut sequence = Sequence::new(&decoder, Box::new(Recorded::new(flat)));
        let whole = harp_step(&decoder, &mut [(&mut sequence, &ids[..len])], &config).unwrap();
        assert!(step.hesitates && *step == whole[0], "at {len} tokens");
    }
}

#[test]
fn a_text_is_the_same_alone_and_in_a_batch() {
    let Some((case, decoder)) = any_decoder() else {
        return;
    };
    let ids = ids(&case, "input_ids");
    let prompts = [ids[..3].to_vec(), ids[3..12].to_vec(), ids[..7].to_vec()];
    let config = GenerateConfig {
        harp: HarpConfig {
            seed: 7,
            ..HarpConfig::default()
        },
        sampler: SamplerConfig {
            temperature: 1.0,
            ..SamplerConfig::default()
        },
        max_tokens: 12,
        ..GenerateConfig::default()
    };
    let run = |prompts: &[Vec<u32>]| {
        let mut listen = |_: usize, _: &TokenStep| ControlFlow::Continue(());
        language::harp::generate(&decoder, None, prompts, &config, &mut listen).unwrap()
    };
    let together = run(&prompts);
    for (prompt, made) in prompts.iter().zip(&together) {
        assert_eq!(run(std::slice::from_ref(prompt))[0], *made);
    }
    assert_ne!(together[0].ids, together[2].ids);
    let looked = together.iter().map(|made| made.hesitations).sum::<usize>();
    assert!(looked > 0, "no sequence hesitated: the test says nothing");
}

/// A window as long as the text is the paper's rule; a shorter one equals reframing those positions without a cache.
#[test]
fn windows_and_persistent_masks_reframe_what_they_say() {
    for case in cases("harp", "forward", committed()) {
        let decoder = decoder(&case);
        let width = decoder.config().width;
        let ids = ids(&case, "input_ids")[..12].to_vec();
        let whole = HarpConfig {
            metric: Metric::Always,
            ..HarpConfig::default()
        };
        let windowed = |n| HarpConfig {
            window: Some(n),
            ..whole.clone()
        };
        let run = |config: &HarpConfig| steps(&decoder, &ids, config, Box::new(Rng::new(3)));
        assert_eq!(run(&windowed(12)), run(&whole));
        let mut draws = vec![0.0; 5 * width];
        let mut sequence = Sequence::new(&decoder, Box::new(Rng::new(3)));
        let found = harp_step(&decoder, &mut [(&mut sequence, &ids)], &windowed(5)).unwrap();
        Rng::new(3).fill(&mut draws).unwrap();
        let mut embeddings = decoder.embed(&ids).unwrap();
        reframe(
            &mut embeddings[7 * width..],
            &whole,
            &mut Recorded::new(draws),
        )
        .unwrap();
        let vocab = decoder.config().vocab;
        let last = |input| all_logits(&decoder, input)[(ids.len() - 1) * vocab..].to_vec();
        let (z, reframed) = (last(Input::Ids(&ids)), last(Input::Embeddings(&embeddings)));
        let mean: Vec<f32> = z
            .iter()
            .zip(&reframed)
            .map(|(z, r)| 0.5 * z + 0.5 * r)
            .collect();
        assert!(furthest(&found[0].logits, &mean) < 1e-5, "{}", case.name);
        // A mask that persists: step by step as in one call with the same draws.
        let lasting = HarpConfig {
            mask: MaskLife::Persistent,
            ..whole.clone()
        };
        let grown = run(&lasting).pop().unwrap();
        let mut sequence = Sequence::new(&decoder, Box::new(Rng::new(3)));
        let once = harp_step(&decoder, &mut [(&mut sequence, &ids)], &lasting).unwrap();
        assert_eq!(grown, once[0], "{}", case.name);
    }
}

/// Teacher-forced scores are those of the steps: one mask over the text is a mask of every prefix.
#[test]
fn scores_are_those_of_the_steps() {
    let Some((case, decoder)) = any_decoder() else {
        return;
    };
    let ids = ids(&case, "input_ids")[..12].to_vec();
    let mut draws = vec![0.0; 11 * decoder.config().width];
    Rng::new(9).fill(&mut draws).unwrap();
    let found = score(
        &decoder,
        &ids,
        1,
        &[0.1, 0.3],
        &[0.5, 0.8],
        &mut Recorded::new(draws.clone()),
    )
    .unwrap();
    assert_eq!(found.len(), 11);
    for (at, position) in found.iter().enumerate() {
        let len = at + 1;
        for (column, (delta, beta)) in [(0.1, 0.5), (0.1, 0.8), (0.3, 0.5), (0.3, 0.8)]
            .into_iter()
            .enumerate()
        {
            let config = HarpConfig {
                delta,
                beta,
                metric: Metric::Always,
                ..HarpConfig::default()
            };
            let prefix = draws[..len * decoder.config().width].to_vec();
            let mut sequence = Sequence::new(&decoder, Box::new(Recorded::new(prefix)));
            let step = harp_step(&decoder, &mut [(&mut sequence, &ids[..len])], &config)
                .unwrap()
                .remove(0);
            assert!((step.entropy - position.entropy).abs() < 1e-4);
            let log = engine::decode::log_probability(&step.logits, ids[len]);
            assert!((f64::from(-log) - position.mixed[column].loss).abs() < 1e-4);
        }
    }
}

/// The engine's own loop, with whatever it can do, runs on HARP.
#[test]
fn the_engines_loop_takes_harp_as_a_model() {
    let Some((case, decoder)) = any_decoder() else {
        return;
    };
    let ids = ids(&case, "input_ids");
    let mut session = HarpSession::new(
        &decoder,
        HarpConfig {
            seed: 2,
            ..HarpConfig::default()
        },
    );
    let config = GenerateConfig {
        harp: HarpConfig {
            seed: 2,
            ..HarpConfig::default()
        },
        max_tokens: 6,
        ..GenerateConfig::default()
    };
    let mut listen = |_: usize, _: &TokenStep| ControlFlow::Continue(());
    let ours = language::harp::generate(&decoder, None, &[ids[..5].to_vec()], &config, &mut listen)
        .unwrap();
    let mut sampler = Sampler::new(SamplerConfig::default(), Rng::new(0)).unwrap();
    let mut history = ids[..5].to_vec();
    let mut fed = 0;
    for _ in 0..6 {
        use engine::decode::LanguageModel;
        let logits = session.feed(&history[fed..]).unwrap();
        fed = history.len();
        history.push(sampler.next(&logits, &history).unwrap());
    }
    assert_eq!(history[5..], ours[0].ids);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config: HarpConfig| config.check().unwrap_err().to_string();
    let default = HarpConfig::default;
    assert!(
        refused(HarpConfig {
            theta: f32::NAN,
            ..default()
        })
        .starts_with("theta is NaN")
    );
    assert!(
        refused(HarpConfig {
            beta: 1.5,
            ..default()
        })
        .starts_with("beta is 1.5")
    );
    assert!(
        refused(HarpConfig {
            window: Some(0),
            ..default()
        })
        .starts_with("reframe-window is 0")
    );
    let both = HarpConfig {
        window: Some(3),
        mask: MaskLife::Persistent,
        ..default()
    };
    assert!(refused(both).contains("leave one of the two out"));
    let noisy = HarpConfig {
        noise: Noise::Uniform(5.0),
        mask: MaskLife::Persistent,
        ..default()
    };
    assert!(refused(noisy).contains("use dropout"));
    assert!(default().check().is_ok() && HarpConfig::vanilla().check().is_ok());
}
