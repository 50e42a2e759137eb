use super::*;

fn ids(config: SamplerConfig, logits: &[f32], history: &[u32]) -> Vec<u32> {
    let config = SamplerConfig {
        temperature: 1.0,
        ..config
    };
    let sampler = Sampler::new(config, Rng::new(1)).unwrap();
    let candidates = sampler.candidates(logits, history).unwrap();
    let sum: f32 = candidates.iter().map(|it| it.probability).sum();
    assert!((sum - 1.0).abs() < 1e-3);
    let mut ids: Vec<u32> = candidates.iter().map(|it| it.id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn each_step_leaves_the_tokens_of_its_definition() {
    // Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625.
    let logits = [8.0f32, 4.0, 2.0, 1.0, 1.0].map(f32::ln);
    let base = SamplerConfig::default;
    assert_eq!(ids(base(), &logits, &[]), [0, 1, 2, 3, 4]);
    assert_eq!(
        ids(SamplerConfig { top_k: 2, ..base() }, &logits, &[]),
        [0, 1]
    );
    // The fourth and fifth are equal: both stay.
    assert_eq!(
        ids(SamplerConfig { top_k: 4, ..base() }, &logits, &[]),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(
        ids(
            SamplerConfig {
                top_p: 0.4,
                ..base()
            },
            &logits,
            &[]
        ),
        [0]
    );
    assert_eq!(
        ids(
            SamplerConfig {
                top_p: 0.6,
                ..base()
            },
            &logits,
            &[]
        ),
        [0, 1]
    );
    assert_eq!(
        ids(
            SamplerConfig {
                min_p: 0.2,
                ..base()
            },
            &logits,
            &[]
        ),
        [0, 1, 2]
    );
    let penalty = SamplerConfig {
        presence_penalty: 100.0,
        top_k: 1,
        ..base()
    };
    assert_eq!(ids(penalty, &logits, &[0, 1]), [2]);
    let masked = [f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY];
    assert_eq!(ids(base(), &masked, &[]), [1]);
}

#[test]
fn penalties_push_logits_towards_less() {
    let config = SamplerConfig {
        repetition_penalty: 2.0,
        frequency_penalty: 0.5,
        ..SamplerConfig::default()
    };
    let sampler = Sampler::new(config, Rng::new(1)).unwrap();
    let penalised = sampler.penalised(&[4.0, -4.0, 1.0], &[0, 0, 1]).unwrap();
    assert_eq!(penalised, [1.0, -8.5, 1.0]);
}

#[test]
fn draws_follow_the_probabilities_and_the_seed() {
    let logits = [8.0f32, 4.0, 2.0, 1.0, 1.0].map(f32::ln);
    let config = SamplerConfig {
        temperature: 1.0,
        ..SamplerConfig::default()
    };
    let mut sampler = Sampler::new(config.clone(), Rng::new(5)).unwrap();
    let draws: Vec<u32> = (0..4000)
        .map(|_| sampler.next(&logits, &[]).unwrap())
        .collect();
    let share = draws.iter().filter(|&&id| id == 0).count() as f32 / 4000.0;
    assert!((share - 0.5).abs() < 0.03, "{share}");
    let mut twin = Sampler::new(config, Rng::new(5)).unwrap();
    assert!(
        draws
            .iter()
            .all(|&id| twin.next(&logits, &[]).unwrap() == id)
    );
    let greedy = Sampler::new(SamplerConfig::default(), Rng::new(5));
    assert_eq!(greedy.unwrap().next(&logits, &[]).unwrap(), 0);
}

#[test]
fn the_nucleus_of_a_flat_distribution_is_found() {
    let flat = vec![0.0f32; 10_000];
    let kept = ids(
        SamplerConfig {
            top_p: 0.5,
            ..SamplerConfig::default()
        },
        &flat,
        &[],
    );
    assert!((4990..=5010).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn settings_out_of_range_are_named() {
    for (config, name) in [
        (
            SamplerConfig {
                temperature: f32::NAN,
                ..Default::default()
            },
            "temperature",
        ),
        (
            SamplerConfig {
                top_p: 0.0,
                ..Default::default()
            },
            "top-p",
        ),
        (
            SamplerConfig {
                min_p: -0.1,
                ..Default::default()
            },
            "min-p",
        ),
        (
            SamplerConfig {
                repetition_penalty: 0.0,
                ..Default::default()
            },
            "repetition",
        ),
        (
            SamplerConfig {
                presence_penalty: f32::INFINITY,
                ..Default::default()
            },
            "presence",
        ),
    ] {
        assert!(config.check().unwrap_err().to_string().contains(name));
    }
}
