//! What a pass costs (paper section 3.5), counted product by product.

use super::config::AcditConfig;

/// Multiply-adds of a layer, by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Products with weights: queries, keys, values, projection, MLP.
    pub weights: u128,
    /// Scores and weighted sums of attention.
    pub attention: u128,
    /// Shift, scale and gate out of the condition, once a block.
    pub modulation: u128,
}

impl Layer {
    /// Floating-point operations: two for each multiply-add.
    pub fn flops(&self) -> u128 {
        2 * (self.weights + self.attention + self.modulation)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            attention: self.attention + other.attention,
            modulation: self.modulation + other.modulation,
        }
    }

    fn times(self, count: usize) -> Self {
        let count = count as u128;
        Self {
            weights: self.weights * count,
            attention: self.attention * count,
            modulation: self.modulation * count,
        }
    }
}

/// Weights of a layer that meet every token: `(4 + 2·ratio)·width²`.
pub fn parameters(config: &AcditConfig) -> u128 {
    let (width, mlp) = (config.hidden_size as u128, config.mlp_width() as u128);
    4 * width * width + 2 * width * mlp
}

/// A layer over `queries` tokens that attend to `keys`.
fn pass(config: &AcditConfig, queries: usize, keys: usize, conditioned: bool) -> Layer {
    let width = config.hidden_size as u128;
    let (queries, keys) = (queries as u128, keys as u128);
    Layer {
        weights: queries * parameters(config),
        attention: 2 * queries * keys * width,
        modulation: if conditioned { 6 * width * width } else { 0 },
    }
}

/// A layer of the cached sampler, all blocks of `tokens` tokens together, `steps` solver steps each.
pub fn cached(config: &AcditConfig, tokens: usize, block: usize, steps: usize) -> Layer {
    (0..tokens / block).fold(Layer::default(), |sum, at| {
        let seen = (at + 1) * block;
        let noisy = pass(config, block, seen, true).times(steps);
        // The block before enters the cache once.
        let clean = match at {
            0 => Layer::default(),
            _ => pass(config, block, at * block, false),
        };
        sum.plus(noisy).plus(clean)
    })
}

/// A layer of plain diffusion over all tokens at once.
pub fn whole(config: &AcditConfig, tokens: usize, steps: usize) -> Layer {
    pass(config, tokens, tokens, true).times(steps)
}

/// The paper's count for a step of the cached sampler over all blocks: `2Lθ + 2hL² + 2hLB`.
pub fn formula_cached(config: &AcditConfig, tokens: usize, block: usize) -> u128 {
    let (width, l, b) = (config.hidden_size as u128, tokens as u128, block as u128);
    2 * l * parameters(config) + 2 * width * l * l + 2 * width * l * b
}

/// The paper's count for a step over all tokens at once: `2Lθ + 4hL²`.
pub fn formula_whole(config: &AcditConfig, tokens: usize) -> u128 {
    let (width, l) = (config.hidden_size as u128, tokens as u128);
    2 * l * parameters(config) + 4 * width * l * l
}

/// The paper's relative saving, `(1 − B/L) / (2 + θ/(hL))`.
pub fn formula_saving(config: &AcditConfig, tokens: usize, block: usize) -> f64 {
    let share = parameters(config) as f64 / (config.hidden_size as f64 * tokens as f64);
    (1.0 - block as f64 / tokens as f64) / (2.0 + share)
}

/// Bytes of the cache of `tokens` clean tokens of one sample: keys and values of every layer, 4 bytes a value.
pub fn cache_bytes(config: &AcditConfig, tokens: usize) -> u128 {
    8 * (config.depth * config.hidden_size) as u128 * tokens as u128
}

#[cfg(test)]
mod tests {
    use super::super::config::Size;
    use super::*;

    #[test]
    fn counted_products_are_the_formulas() {
        let config = AcditConfig::image(Size::Xl);
        for (tokens, block) in [(1024, 256), (1024, 1024), (4096, 1024), (64, 1)] {
            let counted = cached(&config, tokens, block, 1000);
            // The clean passes are one step's worth; the modulation is not in the formula.
            let noisy = 2.0 * (counted.weights + counted.attention) as f64 / 1000.0;
            let formula = formula_cached(&config, tokens, block) as f64;
            assert!((noisy / formula - 1.0).abs() < 0.002, "{tokens} {block}");
            let saving = 1.0 - formula / formula_whole(&config, tokens) as f64;
            let expected = formula_saving(&config, tokens, block);
            assert!((saving - expected).abs() < 1e-12, "{saving} {expected}");
        }
    }
}
