//! Gradient inversion, and what a single step gives away.

use base::rng::Rng;
use learning::hyperfl::attack::{
    Cost, Guess, InvertConfig, Observation, SingleGradient, invert, recover_label, total_variation,
};
use learning::hyperfl::metrics::psnr;
use learning::hyperfl::{HyperModel, Init, Model, Targets};

use super::derivatives::drawn;
use super::*;

#[test]
fn gradient_inversion() {
    for case in all("gradient_inversion") {
        let shape = case.weights().shape("x_true").unwrap().to_vec();
        let classes = case.weights().shape("w.fc2.bias").unwrap()[0];
        let net = network(if shape[1] == 1 { "FMNIST" } else { "Cifar" }, classes);
        let params = net.layout.read(case.weights(), "w.").unwrap();
        let truth = case.values("x_true");
        let targets = Targets::Labels(labels(&case, "y"));
        let first = net.gradient(&params, &truth, &targets).unwrap();
        near(&case, "loss", first.loss.into(), case.f64("loss"), 1e-4);
        tensors(
            &case,
            (&net.layout, &first.params),
            |name| format!("grad.{name}"),
            None,
            [1e-3, 1e-6],
        );
        if let Targets::Labels(labels) = &targets
            && labels.len() == 1
        {
            let found = recover_label(&net.layout, "fc2.weight", &first.params);
            assert_eq!(found, Some(labels[0]), "{}: the label", case.name);
        }
        let start = Guess {
            pictures: case.values("x0"),
            targets,
            params: params.clone(),
        };
        near(
            &case,
            "PSNR",
            psnr(&start.pictures, &truth),
            case.f64("psnr_x0"),
            1e-4,
        );
        let picture = [shape[1], shape[2], shape[3]];
        near(
            &case,
            "TV",
            total_variation(&start.pictures, picture).0,
            case.f64("tv"),
            1e-4,
        );
        let observe = |cost: Cost| SingleGradient {
            model: &net,
            observed: 0..params.len(),
            tensors: net
                .layout
                .slots()
                .iter()
                .map(|slot| slot.range.clone())
                .collect(),
            gradient: &first.params,
            cost,
        };
        let costs = case.get("cost").unwrap().as_object().unwrap();
        for (name, expected) in costs {
            let cost = match name.as_str() {
                "sim" => Cost::Sim,
                "l2" => Cost::L2,
                "l1" => Cost::L1,
                "simlocal" => Cost::SimLocal,
                other => panic!("{}: unknown cost `{other}`", case.name),
            };
            let compared = observe(cost).compare(&start).unwrap();
            near(&case, name, compared.cost, expected.as_f64().unwrap(), 1e-4);
            let recorded = format!("dcost_{name}_dx");
            if case.weights().contains(&recorded) {
                let expected = case.values(&recorded);
                close(
                    &case,
                    &recorded,
                    &compared.pictures,
                    &expected,
                    [1e-3, 1e-6],
                );
            }
        }
        let trace = case.numbers("trace");
        let config = InvertConfig {
            iterations: trace.len(),
            ..InvertConfig::new(picture)
        };
        let mut watch = |at: usize, guess: &Guess| {
            let name = format!("x_iter{}", at + 1);
            if case.weights().contains(&name) {
                let expected = case.values(&name);
                let pairs = guess.pictures.iter().zip(&expected);
                let same = pairs.filter(|(a, b)| (*a - *b).abs() < 1e-4).count();
                println!("{}: {name}: {same} of {} pixels", case.name, expected.len());
                assert!(at > 0 || 100 * same >= 99 * expected.len());
            }
            Ok(())
        };
        let found = invert(&observe(Cost::Sim), start, &config, &mut watch).unwrap();
        for (at, (found, expected)) in found.trace.iter().zip(&trace).enumerate() {
            near(&case, &format!("trace[{at}]"), *found, *expected, 0.02);
        }
    }
}

#[test]
fn a_single_step_gives_the_extractor_away() {
    let model = HyperModel::new(Network::fmnist(10), 8, 16);
    let params = model.init(Init::Scaled, &Rng::new(1));
    let batch = drawn(&model.net, 1, 3);
    let targets = Targets::Labels(batch.labels);
    let seen = model
        .gradient(&params, &batch.pictures, &targets)
        .unwrap()
        .params;
    let phi = &params[model.shared()];
    let found = model.hyper.recover(phi, &seen[model.shared()]);
    let network = model.network_params(&params);
    let first = model
        .net
        .gradient(&network, &batch.pictures, &targets)
        .unwrap();
    let range = model.net.extractor();
    let off = |a: &[f32], b: &[f32]| base::fixtures::furthest(a, b);
    assert!(off(&found.theta, &network[range.clone()]) < 1e-4);
    assert_eq!(off(&found.grad, &first.params[range]), 0.0);
}
