use burn::tensor::Tensor;

/// Cuts `[batch, channels, frames, height, width]` into cuboids of `time × side × side` and back.
///
/// A token lists its cuboid in the order channel, frame, row, column; tokens run frame-major, raster inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cubify {
    /// Frames of a cuboid.
    pub time: usize,
    /// Height and width of a cuboid.
    pub side: usize,
}

impl Cubify {
    /// Cuboids along time, height and width of a `[_, _, frames, height, width]` tensor.
    pub fn grid(&self, frames: usize, height: usize, width: usize) -> [usize; 3] {
        [frames / self.time, height / self.side, width / self.side]
    }

    /// `[batch, channels, frames, height, width]` → `[batch, tokens, channels · time · side²]`.
    pub fn cut(&self, x: Tensor<5>) -> Tensor<3> {
        let [batch, channels, frames, height, width] = x.dims();
        let [t, h, w] = self.grid(frames, height, width);
        x.reshape([batch, channels, t, self.time, h, self.side, w, self.side])
            .permute([0, 2, 4, 6, 1, 3, 5, 7])
            .reshape([
                batch,
                t * h * w,
                channels * self.time * self.side * self.side,
            ])
    }

    /// The inverse of [`Cubify::cut`] for `grid` cuboids.
    pub fn join(&self, tokens: Tensor<3>, grid: [usize; 3]) -> Tensor<5> {
        let [batch, _, values] = tokens.dims();
        let [t, h, w] = grid;
        let channels = values / (self.time * self.side * self.side);
        tokens
            .reshape([batch, t, h, w, channels, self.time, self.side, self.side])
            .permute([0, 4, 1, 5, 2, 6, 3, 7])
            .reshape([batch, channels, t * self.time, h * self.side, w * self.side])
    }
}
