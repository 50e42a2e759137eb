//! Second derivatives of attacks beside differences.

use base::rng::Rng;
use learning::hyperfl::attack::{Cost, Guess, Observation, SingleGradient, Unrolled};
use learning::hyperfl::{HyperModel, Init, Model, Step, Targets};

use super::*;

/// How near the two derivatives must be, and at what share of the coordinates: of one gradient (53 of 66 agree with AVX-512, 50
/// with AVX2, whose sums round otherwise), and of several steps, each of which adds kinks
/// and rounding.
const GRADIENT: (f64, f64) = (0.02, 0.7);
const UNROLLED: (f64, f64) = (0.1, 0.45);

/// The derivative along single coordinates beside differences. The nets are piecewise smooth: a step that moves all pictures
/// at once switches units, whatever its length; one coordinate rarely does. So a share of the coordinates must agree, not all.
fn check_derivatives(
    observation: &dyn Observation,
    guess: &Guess,
    free: &[std::ops::Range<usize>],
    (near, share): (f64, f64),
) {
    let mut rng = Rng::new(5);
    let compared = observation.compare(guess).unwrap();
    let pictures = (0..64).map(|_| (true, rng.below(guess.pictures.len())));
    let pictures: Vec<(bool, usize)> = pictures.collect();
    let params = free.iter().flat_map(|range| {
        (0..16)
            .map(|_| (false, range.start + rng.below(range.len())))
            .collect::<Vec<_>>()
    });
    let places: Vec<(bool, usize)> = pictures.into_iter().chain(params).collect();
    let slope = |&(picture, at): &(bool, usize)| {
        f64::from(if picture {
            compared.pictures[at]
        } else {
            compared.params[at]
        })
    };
    let largest = |picture: bool| {
        let places = places.iter().filter(|it| it.0 == picture);
        places.map(|it| slope(it).abs()).fold(0.0, f64::max)
    };
    let largest = [false, true].map(largest);
    let agrees = |place: &(bool, usize)| {
        let cost = |by: f32| {
            let mut moved = guess.clone();
            let values = if place.0 {
                &mut moved.pictures
            } else {
                &mut moved.params
            };
            values[place.1] += by;
            observation.compare(&moved).unwrap().cost
        };
        [1e-4f32, 3e-4, 1e-3, 3e-3].iter().any(|&by| {
            let difference = (cost(by) - cost(-by)) / (2.0 * f64::from(by));
            (difference - slope(place)).abs()
                <= near * slope(place).abs() + 0.002 * largest[usize::from(place.0)]
        })
    };
    // Where the slope is nearly nothing, rounding decides; it adds a little everywhere.
    let tested: Vec<_> = places
        .iter()
        .filter(|it| slope(it).abs() > 0.02 * largest[usize::from(it.0)])
        .collect();
    let agreeing = tested.iter().filter(|it| agrees(it)).count();
    println!("{agreeing} of {} coordinates agree", tested.len());
    assert!(tested.len() >= 12, "{} coordinates", tested.len());
    assert!(
        agreeing as f64 >= share * tested.len() as f64,
        "{agreeing} of {} coordinates agree",
        tested.len()
    );
}

pub fn drawn(net: &Network, count: usize, seed: u64) -> Samples {
    let mut rng = Rng::new(seed);
    Samples {
        pictures: (0..count * net.input.iter().product::<usize>())
            .map(|_| rng.uniform())
            .collect(),
        labels: (0..count).map(|_| rng.below(net.classes) as u8).collect(),
    }
}

#[test]
fn second_derivatives_of_a_gradient_agree_with_differences() {
    let net = Network::cifar(10);
    let params = net.init(&mut Rng::new(1));
    let [truth, other] = [1, 2].map(|seed| drawn(&net, 3, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let guess = Guess {
        pictures: other.pictures,
        targets: targets.clone(),
        params: params.clone(),
    };
    let tensors: Vec<_> = net
        .layout
        .slots()
        .iter()
        .map(|slot| slot.range.clone())
        .collect();
    let seen = net
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let single = SingleGradient {
        model: &net,
        observed: 0..params.len(),
        tensors,
        gradient: &seen,
        cost: Cost::L2,
    };
    check_derivatives(&single, &guess, &[net.head()], GRADIENT);
}

#[test]
fn second_derivatives_of_an_upload_agree_with_differences() {
    let model = HyperModel::new(Network::fmnist(10), 6, 4);
    let params = model.init(Init::Scaled, &Rng::new(3));
    let [truth, other] = [1, 2].map(|seed| drawn(&model.net, 2, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let seen = model
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let guess = Guess {
        pictures: other.pictures,
        targets,
        params: model.init(Init::Scaled, &Rng::new(4)),
    };
    let naive = SingleGradient {
        model: &model,
        observed: model.shared(),
        tensors: model
            .hyper
            .layout
            .slots()
            .iter()
            .map(|slot| slot.range.clone())
            .collect(),
        gradient: &seen[model.shared()],
        cost: Cost::Sim,
    };
    check_derivatives(&naive, &guess, &[model.embedding(), model.head()], GRADIENT);
}

#[test]
fn second_derivatives_of_unrolled_steps_agree_with_differences() {
    let step = Step {
        scale: 1.0,
        lr: 0.05,
        momentum: 0.5,
        decay: 5e-4,
    };
    let net = Network::cifar(10);
    let params = net.init(&mut Rng::new(1));
    let [truth, other] = [1, 2].map(|seed| drawn(&net, 3, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let guess = Guess {
        pictures: other.pictures,
        targets: targets.clone(),
        params: params.clone(),
    };
    let tensors: Vec<_> = net
        .layout
        .slots()
        .iter()
        .map(|slot| slot.range.clone())
        .collect();
    let seen = net
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let unrolled = Unrolled {
        model: &net,
        observed: 0..params.len(),
        tensors,
        update: &seen,
        batches: vec![vec![0, 1], vec![2], vec![0, 1, 2]],
        step,
        classes: 10,
        cost: Cost::Sim,
    };
    check_derivatives(&unrolled, &guess, &[], UNROLLED);

    let model = HyperModel::new(Network::fmnist(10), 6, 4);
    let params = model.init(Init::Scaled, &Rng::new(3));
    let [truth, other] = [1, 2].map(|seed| drawn(&model.net, 2, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let seen = model
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let guess = Guess {
        pictures: other.pictures,
        targets,
        params: model.init(Init::Scaled, &Rng::new(4)),
    };
    let unrolled = Unrolled {
        model: &model,
        observed: model.shared(),
        tensors: model
            .hyper
            .layout
            .slots()
            .iter()
            .map(|slot| slot.range.clone())
            .collect(),
        update: &seen[model.shared()],
        batches: vec![vec![0], vec![0, 1]],
        step,
        classes: 10,
        cost: Cost::Sim,
    };
    check_derivatives(
        &unrolled,
        &guess,
        &[model.embedding(), model.head()],
        UNROLLED,
    );
}
