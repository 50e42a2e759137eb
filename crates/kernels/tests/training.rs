//! Gates, losses, tables and optimisers against their definitions in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, sized, slopes, wide};
use kernels::{AdamW, CrossEntropy, Level, Muon, Precision};

fn swiglu(gate: &[f64], up: &[f64]) -> Vec<f64> {
    let values = gate.iter().zip(up);
    values.map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
}

#[test]
fn swiglu_equals_its_definition() {
    for &len in sized(&[0, 1, 15, 16, 33, 500][..], &[0, 1, 17]) {
        let gate: Vec<f32> = noise(len, 1).iter().map(|x| 8.0 * x).collect();
        let (up, grad) = (noise(len, 2), noise(len, 3));
        let (wg, wu, wd) = (wide(&gate), wide(&up), wide(&grad));
        let d_gate = slopes(&wg, |gate| dot(&swiglu(gate, &wu), &wd));
        let d_up = slopes(&wu, |up| dot(&swiglu(&wg, up), &wd));
        for level in Level::all() {
            let y = kernels::swiglu(level, &gate, &up).unwrap();
            assert_close("y", &y, &swiglu(&wg, &wu), 2e-6);
            let grads = kernels::swiglu_backward(level, &gate, &up, &grad).unwrap();
            assert_close("dgate", &grads.0, &d_gate, 1e-5);
            assert_close("dup", &grads.1, &d_up, 1e-5);
        }
    }
    let nan = kernels::swiglu(Level::best(), &[f32::NAN, 1.0], &[1.0, 1.0]).unwrap();
    assert!(nan[0].is_nan() && !nan[1].is_nan());
    assert!(kernels::swiglu(Level::best(), &[0.0; 3], &[0.0; 2]).is_err());
    assert!(kernels::swiglu_backward(Level::best(), &[0.0; 3], &[0.0; 3], &[0.0; 2]).is_err());
}

/// The loss of each row.
fn cross_entropy(x: &[f64], targets: &[i64], loss: &CrossEntropy) -> Vec<f64> {
    let rows = x.chunks(loss.classes).zip(targets);
    rows.map(|(x, &target)| {
        if loss.ignore == Some(target) {
            return 0.0;
        }
        let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
        let smoothing = f64::from(loss.smoothing);
        let own = log_sum - x[target as usize];
        let all = x.iter().map(|x| log_sum - x).sum::<f64>() / x.len() as f64;
        (1.0 - smoothing) * own + smoothing * all
    })
    .collect()
}

#[test]
fn cross_entropy_equals_its_definition() {
    let usual = [(1, 1), (3, 5), (4, 16), (7, 33), (2, 100)];
    for &(rows, classes) in sized(&usual[..], &[(1, 1), (3, 5), (1, 17)]) {
        let x: Vec<f32> = noise(rows * classes, 1).iter().map(|x| 6.0 * x).collect();
        let grad = noise(rows, 2);
        let mut targets: Vec<i64> = (0..rows).map(|i| (i * 7 % classes) as i64).collect();
        if rows > 2 {
            targets[1] = -100;
        }
        for smoothing in [0.0, 0.1, 1.0] {
            let loss = CrossEntropy {
                classes,
                ignore: Some(-100),
                smoothing,
            };
            let (wx, wg) = (wide(&x), wide(&grad));
            let want = cross_entropy(&wx, &targets, &loss);
            let slope = slopes(&wx, |x| dot(&cross_entropy(x, &targets, &loss), &wg));
            for level in Level::all() {
                let (y, sums) = kernels::cross_entropy(level, &loss, &x, &targets).unwrap();
                assert_close("loss", &y, &want, 2e-6);
                let dx = kernels::cross_entropy_backward(level, &loss, &x, &targets, &sums, &grad);
                assert_close("dx", &dx.unwrap(), &slope, 1e-5);
            }
        }
    }
}

#[test]
fn cross_entropy_is_stable_and_keeps_nans_in_their_rows() {
    let loss = CrossEntropy::new(3);
    let inf = f32::INFINITY;
    let x = [
        [1e4, -1e4, 0.0],
        [-inf, 2.0, 2.0],
        [f32::NAN, 0.0, 0.0],
        [-inf, -inf, -inf],
    ];
    for level in Level::all() {
        let (y, sums) =
            kernels::cross_entropy(level, &loss, x.as_flattened(), &[1, 1, 1, 1]).unwrap();
        assert_eq!(y[0], 2e4);
        assert!((y[1] - 2f32.ln()).abs() < 1e-6);
        assert!(y[2].is_nan() && y[3].is_nan());
        let dx = kernels::cross_entropy_backward(
            level,
            &loss,
            x.as_flattened(),
            &[1, 1, 1, 1],
            &sums,
            &[1.0; 4],
        )
        .unwrap();
        assert_eq!(dx[..3], [1.0, -1.0, 0.0]);
        assert_eq!(dx[3], 0.0);
        assert!(dx[3..6].iter().all(|dx| dx.is_finite()));
        assert!(dx[6..].iter().all(|dx| dx.is_nan()));
    }
}

#[test]
fn tables_give_rows_and_gather_their_gradients() {
    for (rows, width, picked) in [
        (1, 1, 3),
        (5, 17, 1),
        (7, 3, 40),
        sized((3000, 16, 500), (30, 6, 20)),
        (3, 5, 0),
    ] {
        let table = noise(rows * width, 1);
        let indices: Vec<i64> = (0..picked).map(|i| (i * i % rows) as i64).collect();
        let grad = noise(picked * width, 2);
        let mut want = vec![0.0; rows * width];
        for (i, &row) in indices.iter().enumerate() {
            for j in 0..width {
                want[row as usize * width + j] += f64::from(grad[i * width + j]);
            }
        }
        let y = kernels::embedding(&table, &indices, width).unwrap();
        for (y, &row) in y.chunks(width).zip(&indices) {
            assert_eq!(y, &table[row as usize * width..][..width]);
        }
        for level in Level::all() {
            let sums = kernels::embedding_backward(level, &grad, &indices, [rows, width]).unwrap();
            assert_close("table", &sums, &want, 1e-6);
        }
    }
}

/// One step in f64: parameter, mean, mean square.
fn adamw(adam: &AdamW, g: f64, [p, m, v]: [f64; 3]) -> [f64; 3] {
    let ([first, second], g) = (adam.betas, adam.scale * g);
    let (m, v) = (
        first * m + (1.0 - first) * g,
        second * v + (1.0 - second) * g * g,
    );
    let lr = adam.lr;
    let step = adam.step as f64;
    let unbiased = (m / (1.0 - first.powf(step)), v / (1.0 - second.powf(step)));
    let p = p * (1.0 - lr * adam.decay);
    let size = unbiased.1.sqrt() + adam.eps;
    [p - lr * unbiased.0 / size, m, v]
}

#[test]
fn adamw_equals_its_definition_over_steps() {
    let lengths = sized([1037, 40_001], [37, 101]);
    for (level, len) in Level::all()
        .into_iter()
        .flat_map(|level| lengths.map(|len| (level, len)))
    {
        let [mut p, mut m, mut v] = [noise(len, 1), vec![0.0; len], vec![0.0; len]];
        let mut want: Vec<[f64; 3]> = p.iter().map(|&p| [f64::from(p), 0.0, 0.0]).collect();
        for step in 1..=sized(20, 3) {
            let adam = AdamW {
                lr: 1e-2,
                betas: [0.9, 0.999],
                eps: 1e-8,
                decay: 0.1,
                scale: 0.3,
                step,
            };
            let grad = noise(len, 100 + step);
            kernels::adamw(level, &adam, &grad, &mut p, &mut m, &mut v).unwrap();
            for (want, g) in want.iter_mut().zip(&grad) {
                *want = adamw(&adam, f64::from(*g), *want);
            }
        }
        let part = |i: usize| want.iter().map(|want| want[i]).collect::<Vec<f64>>();
        assert_close("parameter", &p, &part(0), 1e-5);
        assert_close("mean", &m, &part(1), 1e-6);
        assert_close("square", &v, &part(2), 1e-6);
    }
}

/// A matrix times the transpose of another.
fn times(a: &[f64], b: &[f64], [m, n, k]: [usize; 3]) -> Vec<f64> {
    let sum = |i: usize, j: usize| (0..k).map(|p| a[i * k + p] * b[j * k + p]).sum();
    (0..m * n).map(|at| sum(at / n, at % n)).collect()
}

/// One step of Muon on a wide or square matrix, in f64.
fn muon(step: &Muon, [m, n]: [usize; 2], g: &[f64], p: &mut [f64], mean: &mut [f64]) {
    let mut x: Vec<f64> = mean
        .iter_mut()
        .zip(g)
        .map(|(mean, g)| {
            *mean = *mean * step.momentum + g * step.scale;
            *mean * step.momentum + g * step.scale
        })
        .collect();
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter_mut().for_each(|x| *x /= norm);
    let [a, b, c] = Muon::ROUND;
    for _ in 0..step.rounds {
        let gram = times(&x, &x, [m, m, n]);
        let square = times(&gram, &gram, [m, m, m]);
        let mix: Vec<f64> = gram
            .iter()
            .zip(&square)
            .map(|(g, s)| b * g + c * s)
            .collect();
        let turned: Vec<f64> = (0..n * m).map(|at| x[at % m * n + at / m]).collect();
        let mixed = times(&mix, &turned, [m, n, m]);
        x.iter_mut().zip(mixed).for_each(|(x, y)| *x = a * *x + y);
    }
    for (p, x) in p.iter_mut().zip(x) {
        *p = *p * (1.0 - step.lr * step.decay) - step.stride([m, n]) * x;
    }
}

#[test]
fn muon_equals_its_definition_for_wide_and_tall_matrices() {
    let step = Muon {
        lr: 0.02,
        momentum: 0.9,
        decay: 0.1,
        scale: 0.7,
        rounds: 5,
    };
    let usual = [[1, 5], [17, 23], [40, 200], [64, 64]];
    for &[m, n] in sized(&usual[..], &[[1, 5], [5, 9], [6, 6]]) {
        let turn =
            |x: &[f32]| -> Vec<f32> { (0..m * n).map(|at| x[at % m * n + at / m]).collect() };
        let mut wide_state = [noise(m * n, 1), noise(m * n, 2)];
        let mut tall_state = wide_state.each_ref().map(|x| turn(x));
        let [mut p, mut mean] = wide_state.each_ref().map(|x| wide(x));
        for level in Level::all() {
            let grad = noise(m * n, 3);
            let [parameter, momentum] = &mut wide_state;
            kernels::muon(
                level,
                Precision::F32,
                &step,
                [m, n],
                &grad,
                parameter,
                momentum,
            )
            .unwrap();
            let [parameter, momentum] = &mut tall_state;
            let turned = turn(&grad);
            kernels::muon(
                level,
                Precision::F32,
                &step,
                [n, m],
                &turned,
                parameter,
                momentum,
            )
            .unwrap();
            muon(&step, [m, n], &wide(&grad), &mut p, &mut mean);
            assert_close("parameter", &wide_state[0], &p, 1e-4);
            assert_close("momentum", &wide_state[1], &mean, 1e-5);
            for (tall, wide) in tall_state.iter().zip(&wide_state) {
                let turned: Vec<f64> = turn(wide).iter().map(|&x| f64::from(x)).collect();
                assert_close("tall", tall, &turned, 1e-4);
            }
        }
    }
    let (mut still, mut mean) = (vec![1.0; 6], vec![0.0; 6]);
    let zeros = [0.0; 6];
    let level = Level::best();
    kernels::muon(
        level,
        Precision::F32,
        &step,
        [2, 3],
        &zeros,
        &mut still,
        &mut mean,
    )
    .unwrap();
    assert!(
        still
            .iter()
            .all(|&value| value == (1.0 - 0.02 * 0.1) as f32)
    );
    let lost = [0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0];
    kernels::muon(
        level,
        Precision::F32,
        &step,
        [2, 3],
        &lost,
        &mut still,
        &mut mean,
    )
    .unwrap();
    assert!(still.iter().all(|value| value.is_nan()));
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (rows, shape) = sized((700, [200, 350]), (3, [10, 30]));
    let len = rows * 100;
    let (x, y, grad) = (noise(len, 1), noise(len, 2), noise(len, 3));
    let targets: Vec<i64> = (0..rows as i64).map(|i| i % 100).collect();
    let loss = CrossEntropy {
        smoothing: 0.1,
        ..CrossEntropy::new(100)
    };
    let adam = AdamW {
        lr: 1e-2,
        betas: [0.9, 0.999],
        eps: 1e-8,
        decay: 0.1,
        scale: 1.0,
        step: 3,
    };
    let muon = Muon {
        lr: 1e-2,
        momentum: 0.95,
        decay: 0.1,
        scale: 1.0,
        rounds: 5,
    };
    for level in Level::all() {
        assert_thread_free("training", || {
            let (losses, sums) = kernels::cross_entropy(level, &loss, &x, &targets).unwrap();
            let (mut p, mut m, mut v) = (x.clone(), y.clone(), vec![0.5; len]);
            kernels::adamw(level, &adam, &grad, &mut p, &mut m, &mut v).unwrap();
            let (mut turned, mut mean) = (x.clone(), y.clone());
            let [t, n] = [&mut turned, &mut mean];
            kernels::muon(level, Precision::Bf16, &muon, shape, &grad, t, n).unwrap();
            let (gate, up) = kernels::swiglu_backward(level, &x, &y, &grad).unwrap();
            [
                turned,
                mean,
                kernels::swiglu(level, &x, &y).unwrap(),
                gate,
                up,
                kernels::cross_entropy_backward(level, &loss, &x, &targets, &sums, &losses)
                    .unwrap(),
                losses,
                kernels::embedding_backward(level, &grad, &targets, [50 * rows / 7, 100]).unwrap(),
                p,
                m,
                v,
            ]
        });
    }
}

#[test]
fn wrong_inputs_are_errors() {
    let level = Level::best();
    let loss = CrossEntropy::new(3);
    let targets = |loss: &CrossEntropy, targets: &[i64]| {
        kernels::cross_entropy(level, loss, &[0.0; 6], targets)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        targets(&loss, &[0, 3]),
        "`targets` holds 3 at 1, which is not in 0..3"
    );
    assert_eq!(
        targets(&loss, &[-1, 0]),
        "`targets` holds -1 at 0, which is not in 0..3"
    );
    assert_eq!(
        targets(&loss, &[0]),
        "`targets` holds 1 values, its shape needs 2"
    );
    let smooth = CrossEntropy {
        smoothing: 1.5,
        ..loss
    };
    assert_eq!(
        targets(&smooth, &[0, 0]),
        "`smoothing` must be from 0 to 1, not 1.5"
    );
    let none = CrossEntropy::new(0);
    assert!(
        kernels::cross_entropy(level, &none, &[], &[])
            .unwrap()
            .0
            .is_empty()
    );
    assert!(kernels::cross_entropy(level, &none, &[1.0], &[0]).is_err());
    let error = kernels::embedding(&[0.0; 6], &[0, 2], 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`indices` holds 2 at 1, which is not in 0..2"
    );
    assert!(kernels::embedding(&[0.0; 6], &[i64::MIN], 3).is_err());
    assert!(kernels::embedding(&[0.0; 6], &[0], 4).is_err());
    assert!(kernels::embedding_backward(level, &[0.0; 3], &[5], [2, 3]).is_err());
    assert!(kernels::embedding_backward(level, &[0.0; 2], &[0], [2, 3]).is_err());
    assert!(kernels::embedding_backward(level, &[], &[], [usize::MAX, 3]).is_err());
    let adam = AdamW {
        lr: 1.0,
        betas: [0.9, 0.99],
        eps: 1e-8,
        decay: 0.0,
        scale: 1.0,
        step: 0,
    };
    let step = |adam: &AdamW, len: usize| {
        kernels::adamw(
            level,
            adam,
            &vec![0.0; len],
            &mut [0.0],
            &mut [0.0],
            &mut [0.0],
        )
        .map_err(|error| error.to_string())
    };
    assert_eq!(
        step(&adam, 1),
        Err("`step` must be at least 1, not 0".into())
    );
    let adam = AdamW { step: 1, ..adam };
    assert_eq!(step(&adam, 1), Ok(()));
    assert!(step(&adam, 2).is_err());
    let betas = AdamW {
        betas: [0.9, 1.0],
        ..adam
    };
    assert_eq!(
        step(&betas, 1),
        Err("`betas` must be from 0 to below 1, not 1".into())
    );
    let step = |momentum: f64, shape: [usize; 2]| {
        let muon = Muon {
            lr: 1.0,
            momentum,
            decay: 0.0,
            scale: 1.0,
            rounds: 5,
        };
        let [mut parameter, mut mean] = [[0.0; 6], [0.0; 6]];
        let (grad, precision) = ([0.0; 6], Precision::F32);
        kernels::muon(
            level,
            precision,
            &muon,
            shape,
            &grad,
            &mut parameter,
            &mut mean,
        )
        .map_err(|error| error.to_string())
    };
    assert_eq!(step(0.9, [3, 2]), Ok(()));
    assert!(step(0.9, [3, 3]).is_err());
    assert_eq!(
        step(1.0, [3, 2]),
        Err("`momentum` must be from 0 to below 1, not 1".into())
    );
}
