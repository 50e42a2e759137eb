//! Parity of frames with the official code.
#![allow(clippy::unwrap_used)]

use base::fixtures::{self, Case, furthest};
use engine::models::decoder::{Cache, Decoder, DecoderConfig, Input, Logits, Request, Segment};
use engine::weights::Within;
use language::frames::concepts::Vocabulary;
use language::frames::linalg::{
    Degenerate, gram_schmidt, inverse_square_root, procrustes, relative_rank,
};
use language::frames::probe::projections;
use language::frames::unembedding::{Matrix, covariance};
use language::frames::whitening::Offset;
use language::frames::{
    Frame, GuideOptions, ProbeKind, Whitening, WhiteningOptions, combine, concept_frame,
    guided_decode, probe, word_frame,
};

/// Equal within the case's tolerance, NaN where NaN is expected.
fn assert_close(case: &Case, name: &str, found: &[f32], expected: &[f32]) {
    let tolerance = case.tolerance(name, 1e-3) as f32;
    assert_eq!(found.len(), expected.len(), "{}: {name}", case.name);
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let equal = (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance;
        assert!(equal, "{}: {name}[{i}] is {a}, not {b}", case.name);
    }
}

fn shape(case: &Case, name: &str) -> Vec<usize> {
    case.weights().shape(name).unwrap().to_vec()
}

/// Matrices `[…, width, columns]` as frames.
fn frames(case: &Case, name: &str) -> Vec<Frame> {
    let shape = shape(case, name);
    let [width, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
    let values = case.values(name);
    values
        .chunks_exact(width * columns)
        .map(|matrix| Frame::from_matrix(columns, matrix))
        .collect()
}

fn matrices(frames: &[Frame]) -> Vec<f32> {
    frames.iter().flat_map(Frame::to_matrix).collect()
}

/// `AᵀB`.
fn products(a: &Frame, b: &Frame) -> Vec<Vec<f64>> {
    let product = |i: usize, j: usize| {
        a.column(i)
            .iter()
            .zip(b.column(j))
            .map(|(x, y)| f64::from(x * y))
            .sum()
    };
    (0..a.columns())
        .map(|i| (0..b.columns()).map(|j| product(i, j)).collect())
        .collect()
}

#[test]
fn linear_algebra() {
    let all = fixtures::all("frames", "linalg");
    for case in &all {
        let (a, b) = (frames(case, "frames_a"), frames(case, "frames_b"));
        let ranks = |frames: &[Frame]| frames.iter().map(|it| it.rank() as i64).collect::<Vec<_>>();
        assert_eq!(ranks(&a), case.ints("rank_a"));
        assert_eq!(ranks(&b), case.ints("rank_b"));

        let correlations = |pairs: Vec<(&Frame, &Frame)>| -> Vec<f32> {
            pairs
                .into_iter()
                .map(|(a, b)| a.correlation(b) as f32)
                .collect()
        };
        let every = a
            .iter()
            .flat_map(|a| b.iter().map(move |b| (a, b)))
            .collect();
        assert_close(
            case,
            "corr_ab",
            &correlations(every),
            &case.values("corr_ab"),
        );
        let same = a.iter().zip(&b).collect();
        assert_close(
            case,
            "corr_diag",
            &correlations(same),
            &case.values("corr_diag"),
        );

        // A frame without full rank has no unique factor: only what all factors have in common is compared.
        for (a, expected) in a.iter().zip(frames(case, "procrustes_a")) {
            let whole = procrustes(a, Degenerate::Complete);
            if a.rank() == a.columns() {
                for degenerate in [Degenerate::Drop, Degenerate::Complete] {
                    let found = procrustes(a, degenerate).to_matrix();
                    assert_close(case, "procrustes_a", &found, &expected.to_matrix());
                }
                continue;
            }
            for (i, row) in products(&whole, &whole).iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    assert!(
                        (x - f64::from(u8::from(i == j))).abs() < 1e-5,
                        "columns are not orthonormal"
                    );
                }
            }
            let (found, theirs) = (products(&whole, a), products(&expected, a));
            let kept = products(&procrustes(a, Degenerate::Drop), a);
            for i in 0..a.columns() {
                assert!(found[i][i] >= -1e-5, "not positive semidefinite");
                for j in 0..a.columns() {
                    assert!((found[i][j] - found[j][i]).abs() < 1e-4, "not symmetric");
                    assert!((found[i][j] - theirs[i][j]).abs() < 1e-4);
                    assert!((kept[i][j] - theirs[i][j]).abs() < 1e-4);
                }
            }
        }
        let differences: Vec<Frame> = a
            .iter()
            .zip(&b)
            .map(|(a, b)| combine(a, b, Degenerate::Drop))
            .collect();
        assert_close(
            case,
            "subtract",
            &matrices(&differences),
            &case.values("subtract"),
        );

        for (matrix, root, negligible) in [
            ("spd", "spd_invsqrt", 1e-6),
            ("psd_deficient", "psd_deficient_invsqrt", 1e-4),
        ] {
            let width = shape(case, matrix)[0];
            let found =
                inverse_square_root(&case.weights().doubles(matrix).unwrap(), width, negligible);
            assert_close(case, root, &found.unwrap(), &case.values(root));
        }
        let [.., count, width] = shape(case, "gs_in")[..] else {
            panic!("`gs_in` has too few axes")
        };
        let found: Vec<f32> = case
            .values("gs_in")
            .chunks_exact(count * width)
            .flat_map(|vectors| gram_schmidt(vectors, width))
            .collect();
        assert_close(case, "gs_out", &found, &case.values("gs_out"));
    }
}

/// The words of each concept, without those that are only padding.
fn concept_tokens(case: &Case, name: &str, pad: u32) -> Vec<Vec<Vec<u32>>> {
    let shape = shape(case, name);
    let [words, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
    let ids: Vec<u32> = case.ints(name).iter().map(|id| *id as u32).collect();
    let word = |ids: &[u32]| ids.iter().copied().take_while(|id| *id != pad).collect();
    ids.chunks_exact(words * columns)
        .map(|concept| concept.chunks_exact(columns).map(word).collect())
        .collect()
}

fn vocabulary(table: Matrix<'_>, options: &WhiteningOptions) -> (Whitening, Vocabulary) {
    let whitening = Whitening::from_unembedding(&table, options).unwrap();
    let values = whitening.all(&table).unwrap();
    let width = table.width;
    (whitening, Vocabulary { values, width })
}

#[test]
fn concepts() {
    let all = fixtures::all("frames", "concepts");
    for case in &all {
        let (width, pad) = (case.usize("config.d"), case.usize("config.pad_id") as u32);
        let unembedding = case.values("unembedding");
        let table = Matrix {
            values: &unembedding,
            width,
        };
        let (_, measured) = covariance(&table, &[]).unwrap();
        let measured: Vec<f32> = measured.iter().map(|x| *x as f32).collect();
        assert_close(case, "covariance", &measured, &case.values("covariance"));
        let options = WhiteningOptions {
            pad: Some(pad),
            ..WhiteningOptions::default()
        };
        let (whitening, vectors) = vocabulary(table, &options);
        assert_close(
            case,
            "inv_sqrt_cov",
            whitening.root(),
            &case.values("inv_sqrt_cov"),
        );
        assert_close(
            case,
            "mean_vector",
            whitening.offset(),
            &case.values("mean_vector"),
        );
        assert_close(
            case,
            "token_repr",
            &vectors.values,
            &case.values("token_repr"),
        );
        let unit = WhiteningOptions {
            offset: Offset::Pad,
            unit: true,
            ..options
        };
        let name = "token_repr_pad_normalized";
        assert_close(
            case,
            name,
            &vocabulary(table, &unit).1.values,
            &case.values(name),
        );

        let tokens = concept_tokens(case, "synset_tokens", pad);
        let columns = shape(case, "synset_tokens")[2];
        let concepts: Vec<Frame> = tokens
            .iter()
            .map(|words| concept_frame(&vectors, words, columns, Degenerate::Drop))
            .collect();
        assert_close(
            case,
            "concept_frames",
            &matrices(&concepts),
            &case.values("concept_frames"),
        );
        let words = tokens[0].len();
        let by_word: Vec<Frame> = (0..words)
            .flat_map(|word| tokens.iter().map(move |concept| &concept[word]))
            .map(|tokens| word_frame(&vectors, tokens, columns))
            .collect();
        assert_close(
            case,
            "word_frames",
            &matrices(&by_word),
            &case.values("word_frames"),
        );
        let similarity: Vec<f32> = by_word
            .iter()
            .zip(concepts.iter().cycle())
            .map(|(word, concept)| word.correlation(concept) as f32)
            .collect();
        assert_close(case, "similarity", &similarity, &case.values("similarity"));
        let combined: Vec<Frame> = concepts
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| combine(a, b, Degenerate::Drop))
            .collect();
        assert_close(
            case,
            "combined",
            &matrices(&combined),
            &case.values("combined"),
        );
        let ranks: Vec<f32> = [0, 1, 5, 10, 15]
            .map(|at| relative_rank(&by_word[at]) as f32)
            .to_vec();
        assert_close(case, "relative_rank", &ranks, &case.values("relative_rank"));
    }
}

fn decoder(case: &Case) -> Decoder {
    let mut config = case.json["config"].clone();
    config["model_type"] = "llama".into();
    config["max_position_embeddings"] = 2048.into();
    let config = DecoderConfig::from_config_json(&config).unwrap();
    let source = Within::new(case.weights(), "w.", &[]);
    Decoder::from_source(config, &source).unwrap()
}

#[test]
fn guided_decoding() {
    let all = fixtures::all("frames", "guided_decoding");
    for case in &all {
        let model = decoder(case);
        let (pad, width) = (case.usize("pad_id") as u32, model.config().width);
        let mut unembedding = vec![0.0; model.config().vocab * width];
        model.unembedding().read(0, &mut unembedding);
        let table = Matrix {
            values: &unembedding,
            width,
        };
        let options = WhiteningOptions {
            pad: Some(pad),
            ..WhiteningOptions::default()
        };
        let (_, vectors) = vocabulary(table, &options);
        let columns = case.usize("K");
        let [a, b] = ["concept_a_tokens", "concept_b_tokens"].map(|name| {
            concept_frame(
                &vectors,
                &concept_tokens(case, name, pad)[0],
                columns,
                Degenerate::Drop,
            )
        });
        let guide = combine(&a, &b, Degenerate::Drop);
        assert_close(case, "guide", &guide.to_matrix(), &case.values("guide"));

        let length = shape(case, "prompt")[1];
        let prompts: Vec<Vec<u32>> = case
            .ints("prompt")
            .chunks_exact(length)
            .map(|prompt| prompt.iter().map(|id| *id as u32).collect())
            .collect();
        let (mut projected, mut probed) = (Vec::new(), Vec::new());
        for prompt in &prompts {
            let mut cache = Cache::new(model.config());
            let request = Request {
                logits: Logits::None,
                hidden: true,
                ..Request::default()
            };
            let output = model.forward(
                &mut [Segment::new(Input::Ids(prompt), &mut cache)],
                &request,
            );
            let hidden = output.unwrap().remove(0).hidden;
            projected.extend(projections(&hidden, &guide).iter().map(|x| *x as f32));
            probed.extend(
                probe(&hidden, &guide, ProbeKind::Cumulative)
                    .iter()
                    .map(|x| *x as f32),
            );
        }
        let tolerance = case.tolerance("probe", 2e-3) as f32;
        assert!(furthest(&projected, &case.values("project_prompt")) <= tolerance);
        assert!(furthest(&probed, &case.values("probe_prompt")) <= tolerance);

        let runs = case.json["runs"].as_array().unwrap();
        for run in runs {
            let [k, steps] = ["k", "steps"].map(|key| run[key].as_u64().unwrap() as usize);
            let options = GuideOptions {
                k,
                steps,
                weight: None,
                end: vec![case.usize("eos_id") as u32],
            };
            let together = guided_decode(&model, &prompts, &guide, &options, |_| Ok(())).unwrap();
            let tokens: Vec<i64> = prompts
                .iter()
                .zip(&together)
                .flat_map(|(prompt, text)| prompt.iter().chain(&text.ids).map(|id| i64::from(*id)))
                .collect();
            assert_eq!(
                tokens,
                case.ints(&format!("tokens_k{k}")),
                "{}: k = {k}",
                case.name
            );
            let probes: Vec<f32> = together
                .iter()
                .flat_map(|text| text.probe.iter().map(|x| *x as f32))
                .collect();
            let expected = case.values(&format!("probe_k{k}"));
            let off = furthest(&probes, &expected);
            assert!(
                off <= tolerance,
                "{}: probe of k = {k} is off by {off}",
                case.name
            );

            // Alone, each prompt is continued in the same way, to the last bit.
            for (prompt, text) in prompts.iter().zip(&together) {
                let alone = guided_decode(
                    &model,
                    std::slice::from_ref(prompt),
                    &guide,
                    &options,
                    |_| Ok(()),
                );
                assert_eq!(&alone.unwrap()[0], text);
            }
        }
    }
}
