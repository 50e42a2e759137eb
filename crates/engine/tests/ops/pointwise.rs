//! Activations, norms and rotations.

use engine::ops::{self, Rope};

use crate::check::{Input, check, device, flat, noise};

#[test]
fn activations() {
    for shape in [[1, 1, 1], [2, 3, 17], [9, 70, 67]] {
        let x = [Input::new(noise(shape, 1) * 3.0)];
        check("gelu", &x, |x| flat(ops::gelu(x[0].get::<3>())));
        check("silu", &x, |x| flat(ops::silu(x[0].get::<3>())));
        check("softmax", &x, |x| flat(ops::softmax(x[0].get::<3>())));
        check("transposed gelu", &x, |x| {
            flat(ops::gelu(x[0].get::<3>().swap_dims(0, 2)))
        });
    }
}

#[test]
fn layer_norms() {
    for [batch, tokens, width] in [[1, 1, 2], [3, 5, 24], [2, 130, 192], [5, 7, 33]] {
        let x = Input::new(noise([batch, tokens, width], 1));
        let y = Input::new(noise([batch, tokens, width], 2) * 2.0 + 0.5);
        let a = Input::new(noise([batch, width], 3));
        let b = Input::new(noise([batch, width], 4));
        check("layer_norm", std::slice::from_ref(&y), |x| {
            flat(ops::layer_norm(x[0].get::<3>(), 1e-2))
        });
        check("modulated", &[y.clone(), a.clone(), b], |x| {
            flat(ops::modulated_layer_norm(
                x[0].get(),
                x[1].get(),
                x[2].get(),
                1e-2,
            ))
        });
        check("residual", &[x.clone(), y.clone()], |x| {
            flat(ops::add_gated_layer_norm(
                x[0].get(),
                x[1].get(),
                None,
                1e-2,
            ))
        });
        check("gated residual", &[x, y, a], |x| {
            let gate = Some(x[2].get());
            flat(ops::add_gated_layer_norm(
                x[0].get(),
                x[1].get(),
                gate,
                1e-2,
            ))
        });
    }
}

#[test]
fn rms_norms_and_rotations() {
    for [batch, tokens, heads, head, sections] in [
        [1, 1, 1, 2, 1],
        [2, 5, 3, 24, 2],
        [3, 130, 3, 64, 2],
        [2, 9, 2, 20, 1],
    ] {
        let x = Input::new(noise([batch, tokens, heads, head], 1));
        let weight = Input::new(noise([head], 2) + 1.0);
        let positions: Vec<f32> = (0..tokens * sections).map(|i| i as f32 * 0.7).collect();
        let rope = || Rope::new(&positions, sections, head, 100.0, &device());
        check("rms_norm", &[x.clone(), weight.clone()], |x| {
            flat(ops::rms_norm(x[0].get::<4>(), x[1].get(), 1e-3))
        });
        check("rotate", std::slice::from_ref(&x), |x| {
            flat(ops::rotate(x[0].get(), &rope()))
        });
        for turned in [false, true] {
            check("rms_norm_rope", &[x.clone(), weight.clone()], |x| {
                let rope = turned.then(rope);
                flat(ops::rms_norm_rope(
                    x[0].get(),
                    x[1].get(),
                    rope.as_ref(),
                    1e-3,
                ))
            });
        }
    }
}
