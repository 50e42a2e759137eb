//! Convolutions against their definition in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, sized, slopes, wide};
use kernels::{ConvAxis, ConvDims, ConvError, Level, Precision};

const BOTH: [Precision; 2] = [Precision::F32, Precision::Bf16];

#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    /// Channels before and after, and groups.
    channels: [usize; 3],
    axes: Vec<ConvAxis>,
}

impl Case {
    fn dims(&self) -> ConvDims {
        let [ins, outs, groups] = self.channels;
        ConvDims::new(self.batch, ins, outs, groups, &self.axes).unwrap()
    }

    /// Multiplications.
    fn work(&self) -> usize {
        let dims = self.dims();
        dims.output_len() * dims.weight_len() / self.channels[1]
    }
}

fn axis(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
) -> ConvAxis {
    ConvAxis {
        input,
        kernel,
        stride,
        padding,
        dilation,
    }
}

/// The result and the gradients of input and weight, without bias. `lengths` are those of the result.
fn definition(case: &Case, lengths: &[usize], [x, w, grad]: [&[f64]; 3]) -> [Vec<f64>; 3] {
    let [ins, outs, groups] = case.channels;
    let three = |of: &dyn Fn(usize) -> usize| {
        let mut all = [1; 3];
        for i in 0..lengths.len() {
            all[3 - lengths.len() + i] = of(i);
        }
        all
    };
    let (input, kernel) = (
        three(&|i| case.axes[i].input),
        three(&|i| case.axes[i].kernel),
    );
    let output = three(&|i| lengths[i]);
    let volume = |of: [usize; 3]| of.iter().product::<usize>();
    let (mut y, mut dx) = (vec![0.0; grad.len()], vec![0.0; x.len()]);
    let mut dw = vec![0.0; w.len()];
    let split = |i: usize, of: [usize; 3]| [i / (of[1] * of[2]), i / of[2] % of[1], i % of[2]];
    for i in 0..grad.len() {
        let (picture, o) = (i / volume(output), split(i % volume(output), output));
        let (b, out) = (picture / outs, picture % outs);
        for c in 0..ins / groups {
            let channel = b * ins + out / (outs / groups) * (ins / groups) + c;
            for k in 0..volume(kernel) {
                let tap = split(k, kernel);
                let place = (0..3).try_fold(0, |place, a| {
                    let Some(axis) = (a + case.axes.len()).checked_sub(3).map(|a| &case.axes[a])
                    else {
                        return Some(place);
                    };
                    let at = o[a] * axis.stride + tap[a] * axis.dilation;
                    let at = at
                        .checked_sub(axis.padding[0])
                        .filter(|&at| at < input[a])?;
                    Some(place * input[a] + at)
                });
                let Some(place) = place else { continue };
                let from = channel * volume(input) + place;
                let by = (out * (ins / groups) + c) * volume(kernel) + k;
                y[i] += w[by] * x[from];
                dx[from] += w[by] * grad[i];
                dw[by] += x[from] * grad[i];
            }
        }
    }
    [y, dx, dw]
}

/// Rounded to bf16, to nearest and even.
fn bf16(x: &f32) -> f64 {
    let bits = x.to_bits();
    let rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f64::from(f32::from_bits(rounded))
}

/// Whether a kernel of this level and precision rounds what it multiplies.
fn rounds(level: Level, precision: Precision) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has && precision == Precision::Bf16 && format!("{level:?}").contains("Avx512")
}

fn check(case: &Case) {
    if case.work() > sized(usize::MAX, 2000) {
        return;
    }
    let dims = case.dims();
    let [ins, outs, groups] = case.channels;
    let (x, w) = (noise(dims.input_len(), 1), noise(dims.weight_len(), 2));
    let (grad, bias) = (noise(dims.output_len(), 3), noise(outs, 4));
    let lengths = dims.output();
    let exact = definition(case, &lengths, [&wide(&x), &wide(&w), &wide(&grad)]);
    let round = |x: &[f32]| x.iter().map(bf16).collect::<Vec<f64>>();
    let bf16 = definition(case, &lengths, [&round(&x), &round(&w), &round(&grad)]);
    let plane = lengths.iter().product::<usize>();
    for level in Level::all() {
        for precision in BOTH {
            let rounds = rounds(level, precision);
            let pick = |i: usize, rounds: bool| if rounds { &bf16[i] } else { &exact[i] };
            let name = |what: &str| format!("{what} {level:?} {precision:?} of {case:?}");
            let want = pick(0, rounds && ins > groups);
            let y = kernels::conv(level, precision, &x, &w, None, &dims).unwrap();
            assert_close(&name("y"), &y, want, 1e-5);
            let y = kernels::conv(level, precision, &x, &w, Some(&bias), &dims).unwrap();
            let biased = want.iter().enumerate();
            let biased: Vec<f64> = biased
                .map(|(i, y)| y + f64::from(bias[i / plane % outs]))
                .collect();
            assert_close(&name("y + bias"), &y, &biased, 1e-5);
            let dx = kernels::conv_backward_input(level, precision, &grad, &w, &dims).unwrap();
            assert_close(&name("dx"), &dx, pick(1, rounds && outs > groups), 1e-5);
            let dw = kernels::conv_backward_weight(level, precision, &grad, &x, &dims).unwrap();
            assert_close(&name("dw"), &dw, pick(2, rounds), 1e-5);
        }
    }
}

#[test]
fn convolutions_over_two_axes_equal_their_definition() {
    let channels = [
        [1, 1, 1],
        [3, 5, 1],
        [5, 17, 1],
        [17, 3, 1],
        [4, 6, 2],
        [10, 22, 2],
        [5, 5, 5],
        [3, 9, 3],
    ];
    let mut number = 0;
    for kernel in [1, 3, 5] {
        for stride in [1, 2, 3] {
            for dilation in [1, 2] {
                for padding in 0..3 {
                    for channels in channels {
                        number += 1;
                        if number % sized(1, 47) != 0 {
                            continue;
                        }
                        let sizes = [[9, 11], [12, 18], [10, 35]][number % 3];
                        check(&Case {
                            batch: 1 + number % 2,
                            channels,
                            axes: sizes
                                .map(|n| axis(n, kernel, stride, [padding; 2], dilation))
                                .to_vec(),
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn axes_may_differ_from_each_other() {
    let plain = ConvAxis::new;
    for (channels, axes) in [
        (
            [3, 5, 1],
            vec![axis(7, 3, 2, [1, 0], 1), axis(33, 1, 1, [0, 0], 1)],
        ),
        (
            [17, 9, 1],
            vec![axis(5, 1, 1, [0, 0], 1), axis(70, 5, 3, [4, 1], 2)],
        ),
        (
            [6, 6, 6],
            vec![axis(9, 7, 1, [3, 3], 1), axis(21, 5, 1, [4, 4], 2)],
        ),
        (
            [6, 6, 6],
            vec![axis(9, 3, 1, [2, 2], 2), axis(50, 3, 1, [0, 2], 1)],
        ),
        (
            [3, 3, 3],
            vec![axis(16, 1, 1, [2, 0], 1), axis(130, 3, 1, [1, 1], 1)],
        ),
        (
            [5, 3, 1],
            vec![axis(1, 3, 1, [1, 1], 1), axis(2, 5, 4, [2, 9], 1)],
        ),
        (
            [2, 3, 1],
            vec![axis(6, 2, 5, [0, 0], 1), axis(6, 3, 4, [0, 0], 1)],
        ),
        // One axis.
        ([1, 1, 1], vec![plain(1, 1)]),
        ([3, 17, 1], vec![axis(301, 5, 2, [2, 1], 2)]),
        ([5, 5, 5], vec![axis(301, 5, 1, [2, 2], 3)]),
        ([40, 24, 1], vec![plain(9000, 3)]),
        // Three axes.
        ([3, 5, 1], vec![axis(4, 3, 1, [1, 1], 1); 3]),
        ([5, 8, 1], vec![axis(7, 3, 2, [2, 0], 1); 3]),
        ([17, 3, 1], vec![plain(2, 1), plain(3, 1), plain(5, 1)]),
        (
            [4, 6, 2],
            vec![axis(5, 3, 1, [2, 0], 1), plain(4, 1), plain(5, 1)],
        ),
        ([3, 3, 3], vec![axis(6, 3, 1, [1, 1], 1); 3]),
        (
            [3, 3, 3],
            vec![
                axis(3, 1, 1, [2, 1], 1),
                axis(9, 3, 1, [1, 1], 1),
                axis(9, 3, 1, [1, 1], 1),
            ],
        ),
        (
            [3, 4, 1],
            vec![
                plain(3, 1),
                axis(6, 3, 3, [0, 0], 1),
                axis(8, 3, 1, [1, 1], 2),
            ],
        ),
    ] {
        check(&Case {
            batch: 2,
            channels,
            axes,
        });
    }
}

#[test]
fn pictures_larger_than_a_block_equal_their_definition() {
    for (channels, axes) in [
        (
            [130, 18, 1],
            vec![axis(40, 3, 1, [1, 1], 1), axis(64, 3, 1, [1, 1], 1)],
        ),
        (
            [1, 2, 1],
            vec![axis(300, 3, 2, [1, 1], 1), axis(700, 3, 1, [1, 1], 1)],
        ),
        (
            [2, 2, 2],
            vec![axis(300, 3, 1, [1, 1], 1), axis(700, 3, 1, [1, 1], 1)],
        ),
    ] {
        check(&Case {
            batch: 1,
            channels,
            axes,
        });
    }
}

/// Channels that fill whole tiles of sixteen, and some that do not.
#[test]
fn many_channels_equal_their_definition() {
    let plain = vec![axis(9, 3, 1, [1, 1], 1); 2];
    for (batch, channels, axes) in [
        (2, [16, 16, 1], plain.clone()),
        (3, [37, 50, 1], plain.clone()),
        (1, [70, 33, 1], vec![axis(20, 3, 1, [1, 1], 1); 2]),
        (2, [40, 48, 2], plain),
        (2, [34, 17, 1], vec![axis(8, 3, 2, [1, 1], 1); 2]),
        (2, [33, 40, 1], vec![axis(7, 1, 1, [0, 0], 1); 2]),
        (2, [20, 18, 1], vec![axis(8, 2, 2, [0, 0], 1); 2]),
        (1, [32, 36, 1], vec![axis(11, 3, 1, [2, 2], 2); 2]),
        (
            2,
            [18, 65, 1],
            vec![
                axis(4, 3, 1, [1, 1], 1),
                axis(5, 3, 1, [1, 1], 1),
                axis(6, 3, 1, [1, 1], 1),
            ],
        ),
        (3, [36, 40, 1], vec![axis(50, 3, 1, [1, 1], 1)]),
    ] {
        check(&Case {
            batch,
            channels,
            axes,
        });
    }
}

#[test]
fn many_small_pictures_equal_their_definition() {
    for (batch, channels, axes) in [
        (70, [5, 9, 1], vec![axis(4, 3, 1, [1, 1], 1); 2]),
        (33, [4, 6, 2], vec![axis(9, 3, 2, [1, 0], 1); 2]),
        // Every value goes through one tap.
        (3, [3, 10, 1], vec![axis(8, 4, 4, [0, 0], 1); 2]),
        (
            2,
            [4, 6, 2],
            vec![
                axis(4, 2, 2, [0, 0], 1),
                axis(3, 1, 1, [0, 0], 1),
                axis(36, 2, 2, [0, 0], 1),
            ],
        ),
        (2, [1, 3, 1], vec![axis(60, 3, 3, [0, 0], 1)]),
    ] {
        check(&Case {
            batch,
            channels,
            axes,
        });
    }
}

/// The gradients of the definition are those found by differences.
#[test]
fn gradients_are_slopes() {
    let (channels, [height, width]) = sized(([4, 6, 2], [4, 6]), ([2, 2, 2], [3, 3]));
    let case = Case {
        batch: 2,
        channels,
        axes: vec![axis(height, 3, 2, [1, 2], 1), axis(width, 2, 1, [1, 0], 2)],
    };
    let dims = case.dims();
    let (x, w) = (noise(dims.input_len(), 1), noise(dims.weight_len(), 2));
    let grad = noise(dims.output_len(), 3);
    let (wx, ww, wg) = (wide(&x), wide(&w), wide(&grad));
    let loss = |x: &[f64], w: &[f64]| {
        let [y, ..] = definition(&case, &dims.output(), [x, w, &wg]);
        dot(&y, &wg)
    };
    for level in Level::all() {
        let dx = kernels::conv_backward_input(level, Precision::F32, &grad, &w, &dims).unwrap();
        assert_close("dx", &dx, &slopes(&wx, |x| loss(x, &ww)), 1e-5);
        let dw = kernels::conv_backward_weight(level, Precision::F32, &grad, &x, &dims).unwrap();
        assert_close("dw", &dw, &slopes(&ww, |w| loss(&wx, w)), 1e-5);
    }
    let outs = channels[1];
    let plane = grad.len() / (2 * outs);
    let sums = kernels::channel_sums(&grad, [2, outs, plane]).unwrap();
    let want = slopes(&vec![0.0; outs], |bias| {
        let places = 0..grad.len();
        places.map(|i| bias[i / plane % outs] * wg[i]).sum()
    });
    assert_close("bias", &sums, &want, 1e-5);
}

#[test]
fn transposed_convolutions_turn_a_convolution_round() {
    for (channels, kernel, stride, padding, dilation, extra) in [
        ([3, 5, 1], 4, 2, [1, 1], 1, 0),
        ([5, 3, 1], 3, 2, [1, 1], 1, 1),
        ([6, 4, 2], 3, 3, [0, 1], 2, 2),
        ([5, 5, 5], 3, 1, [1, 1], 1, 0),
        ([2, 17, 1], 2, 2, [0, 0], 1, 0),
        ([3, 3, 1], 1, 3, [0, 0], 4, 3),
    ] {
        let [ins, outs, groups] = channels;
        let axes = [5, 7].map(|n| axis(n, kernel, stride, padding, dilation));
        let dims = ConvDims::transposed(2, ins, outs, groups, &axes, &[extra; 2]).unwrap();
        let length = |n: usize| {
            (n - 1) * stride + dilation * (kernel - 1) + 1 + extra - padding[0] - padding[1]
        };
        let lengths = [5, 7].map(length);
        assert_eq!(dims.input(), lengths);
        assert_eq!(dims.output(), [5, 7]);
        // The convolution whose gradient it is.
        let case = Case {
            batch: 2,
            channels: [outs, ins, groups],
            axes: lengths
                .map(|n| axis(n, kernel, stride, padding, dilation))
                .to_vec(),
        };
        let (x, w) = (noise(2 * ins * 35, 1), noise(dims.weight_len(), 2));
        let (grad, bias) = (noise(dims.input_len(), 3), noise(outs, 4));
        let plane = lengths[0] * lengths[1];
        let [dx, want, dw] = definition(&case, &[5, 7], [&wide(&grad), &wide(&w), &wide(&x)]);
        let biased = want.iter().enumerate();
        let want: Vec<f64> = biased
            .map(|(i, y)| y + f64::from(bias[i / plane % outs]))
            .collect();
        for level in Level::all() {
            let f32 = Precision::F32;
            let y = kernels::conv_transposed(level, f32, &x, &w, Some(&bias), &dims).unwrap();
            assert_close("y", &y, &want, 1e-5);
            let got = kernels::conv_transposed_backward_input(level, f32, &grad, &w, &dims);
            assert_close("dx", &got.unwrap(), &dx, 1e-5);
            let got = kernels::conv_transposed_backward_weight(level, f32, &grad, &x, &dims);
            assert_close("dw", &got.unwrap(), &dw, 1e-5);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for channels in sized([[24, 40, 1], [24, 24, 24]], [[3, 2, 1], [2, 2, 2]]) {
        let case = Case {
            batch: 2,
            channels,
            axes: sized([45, 61], [5, 6])
                .map(|n| axis(n, 3, 1, [1, 1], 1))
                .to_vec(),
        };
        let dims = case.dims();
        let (x, w) = (noise(dims.input_len(), 1), noise(dims.weight_len(), 2));
        let grad = noise(dims.output_len(), 3);
        let pixels = grad.len() / 2 / channels[1];
        for level in Level::all() {
            for precision in BOTH {
                assert_thread_free("convolution", || {
                    [
                        kernels::conv(level, precision, &x, &w, None, &dims).unwrap(),
                        kernels::conv_backward_input(level, precision, &grad, &w, &dims).unwrap(),
                        kernels::conv_backward_weight(level, precision, &grad, &x, &dims).unwrap(),
                        kernels::channel_sums(&grad, [2, channels[1], pixels]).unwrap(),
                    ]
                });
            }
        }
    }
}

#[test]
fn a_nan_reaches_the_results_that_read_it_only() {
    let case = Case {
        batch: 1,
        channels: [2, 3, 1],
        axes: vec![axis(20, 3, 1, [1, 1], 1)],
    };
    let dims = case.dims();
    let mut x = noise(dims.input_len(), 1);
    x[5] = f32::NAN;
    let w = noise(dims.weight_len(), 2);
    for level in Level::all() {
        for precision in BOTH {
            let y = kernels::conv(level, precision, &x, &w, None, &dims).unwrap();
            for (i, y) in y.iter().enumerate() {
                assert_eq!(y.is_nan(), (4..=6).contains(&(i % 20)));
            }
            let dw = kernels::conv_backward_weight(level, precision, &y, &x, &dims).unwrap();
            assert!(dw.iter().all(|dw| dw.is_nan()));
            // Nothing of it stays for later calls.
            let clean = noise(dims.input_len(), 3);
            let y = kernels::conv(level, precision, &clean, &w, None, &dims).unwrap();
            let dw = kernels::conv_backward_weight(level, precision, &y, &clean, &dims).unwrap();
            assert!(y.iter().chain(&dw).all(|value| value.is_finite()));
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let plain = ConvAxis::new(8, 3);
    let new = |axes: &[ConvAxis]| ConvDims::new(1, 4, 6, 2, axes).map(|_| ());
    let message = |error: Result<(), ConvError>| error.unwrap_err().to_string();
    assert_eq!(message(new(&[])), "a convolution has 1, 2 or 3 axes, not 0");
    assert!(new(&[plain; 4]).is_err());
    let zero = |axis: ConvAxis| message(new(&[plain, axis]));
    assert_eq!(
        zero(ConvAxis { stride: 0, ..plain }),
        "`stride` of a convolution must be at least 1"
    );
    assert_eq!(
        zero(ConvAxis {
            dilation: 0,
            ..plain
        }),
        "`dilation` of a convolution must be at least 1"
    );
    assert_eq!(
        zero(ConvAxis { kernel: 0, ..plain }),
        "`kernel` of a convolution must be at least 1"
    );
    assert_eq!(
        zero(ConvAxis {
            dilation: 4,
            ..plain
        }),
        "axis 1: the kernel spans 9 values, the input with its padding holds 8"
    );
    for axis in [
        ConvAxis {
            padding: [usize::MAX; 2],
            ..plain
        },
        ConvAxis {
            dilation: usize::MAX,
            ..plain
        },
        ConvAxis {
            input: usize::MAX / 8,
            ..plain
        },
        ConvAxis {
            input: 1 << 40,
            ..plain
        },
    ] {
        assert_eq!(new(&[axis, axis, axis]), Err(ConvError::Overflow));
    }
    assert_eq!(
        message(ConvDims::new(1, 4, 5, 2, &[plain]).map(|_| ())),
        "4 input and 5 output channels do not split into 2 groups"
    );
    assert!(ConvDims::new(1, 4, 5, 0, &[plain]).is_err());
    assert!(ConvDims::new(1, 0, 5, 1, &[plain]).is_err());
    let transposed = |axis: ConvAxis, extra: &[usize]| {
        message(ConvDims::transposed(1, 4, 6, 2, &[axis], extra).map(|_| ()))
    };
    assert_eq!(
        transposed(plain, &[1]),
        "axis 0: an output padding of 1 must be smaller than the stride or the dilation"
    );
    assert_eq!(
        transposed(
            ConvAxis {
                padding: [5, 5],
                ..plain
            },
            &[0]
        ),
        "axis 0: the padding cuts away the whole result"
    );
    assert!(transposed(plain, &[]).contains("axes"));
    let dims = ConvDims::new(1, 4, 6, 2, &[plain]).unwrap();
    let (level, f32) = (Level::best(), Precision::F32);
    let error = kernels::conv(level, f32, &[0.0; 31], &[0.0; 36], None, &dims).unwrap_err();
    assert_eq!(error.to_string(), "`x` holds 31 values, its shape needs 32");
    let error = kernels::conv(level, f32, &[0.0; 32], &[0.0; 36], Some(&[0.0; 4]), &dims);
    assert!(error.is_err());
    assert!(kernels::conv_backward_input(level, f32, &[0.0; 36], &[0.0; 3], &dims).is_err());
    assert!(kernels::conv_backward_weight(level, f32, &[0.0; 36], &[0.0; 3], &dims).is_err());
    assert!(kernels::channel_sums(&[0.0; 3], [usize::MAX, 2, 2]).is_err());
    // No pictures at all.
    let dims = ConvDims::new(0, 4, 6, 2, &[plain]).unwrap();
    assert!(
        kernels::conv(level, f32, &[], &[0.0; 36], None, &dims)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        kernels::conv_backward_weight(level, f32, &[], &[], &dims).unwrap(),
        [0.0; 36]
    );
}
