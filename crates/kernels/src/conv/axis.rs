//! What one axis of a convolution reads and writes, forward and backward.

use super::dims::ConvAxis;

/// Sizes along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Zeros before the first value.
    pub(super) before: usize,
}

impl Span {
    /// An axis that is not there.
    pub(super) const ONE: Self = Self::plain(1);

    /// An axis along which every value goes its own way.
    const fn plain(length: usize) -> Self {
        Self {
            input: length,
            output: length,
            kernel: 1,
            stride: 1,
            dilation: 1,
            before: 0,
        }
    }

    pub(super) fn new(axis: &ConvAxis, input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            kernel: axis.kernel,
            stride: axis.stride,
            dilation: axis.dilation,
            before: axis.padding[0],
        }
    }

    /// Whether every input value goes into one result through one tap.
    pub(super) fn is_tiled(&self) -> bool {
        let whole = self.input == self.output * self.stride;
        self.kernel == self.stride && self.dilation == 1 && self.before == 0 && whole
    }

    fn is_plain(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.before == 0 && self.input == self.output
    }
}

/// The same convolution with axes that no kernel runs along made one, and the others moved to the end.
pub(super) fn merged([z, y, x]: [Span; 3]) -> [Span; 3] {
    match [z, y, x].map(|span| span.is_plain()) {
        [true, true, true] => [
            Span::ONE,
            Span::ONE,
            Span::plain(z.input * y.input * x.input),
        ],
        [false, true, true] => [Span::ONE, z, Span::plain(y.input * x.input)],
        _ => [z, y, x],
    }
}

/// One tap: its number along the axis, and the place that result 0 reads with it, which may lie outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) index: usize,
    pub(super) at: isize,
}

/// Results along one axis, each a sum over taps: result `j` is written to `first + j · step` and reads
/// `j · stride + tap.at`, zero outside of `0..source`.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) step: usize,
    pub(super) stride: usize,
    pub(super) source: usize,
    pub(super) taps: Vec<Tap>,
}

impl Axis {
    /// The same without taps that read only what lies outside, so that an input tile is about as long as what it is made of.
    fn trimmed(mut self) -> Self {
        let run = (self.count.saturating_sub(1) * self.stride) as isize;
        let source = self.source as isize;
        self.taps.retain(|tap| tap.at < source && tap.at + run >= 0);
        self
    }

    /// Of the convolution itself.
    pub(super) fn forward(span: &Span) -> Self {
        let at = |index: usize| (index * span.dilation) as isize - span.before as isize;
        Self {
            count: span.output,
            first: 0,
            step: 1,
            stride: span.stride,
            source: span.input,
            taps: (0..span.kernel)
                .map(|index| Tap {
                    index,
                    at: at(index),
                })
                .collect(),
        }
        .trimmed()
    }

    /// Of the gradient of the input where [`Span::is_tiled`]: the place of tap 0; those of other taps follow.
    pub(super) fn tiled(span: &Span) -> Self {
        Self {
            count: span.output,
            first: 0,
            step: span.stride,
            stride: 1,
            source: span.output,
            taps: vec![Tap { index: 0, at: 0 }],
        }
    }

    /// Of the gradient of the input. Input `i` went into output `o` by tap `k` where `i + before = o · stride + k ·
    /// dilation`: places that have the same remainder by the stride are reached by the same taps.
    pub(super) fn backward(span: &Span) -> Vec<Self> {
        let Span { stride, .. } = *span;
        let from = |first: usize| {
            let (start, rest) = (
                (first + span.before) / stride,
                (first + span.before) % stride,
            );
            let taps = (0..span.kernel)
                .map(|index| (index, index * span.dilation))
                .filter(|(_, reach)| reach % stride == rest)
                .map(|(index, reach)| Tap {
                    index,
                    at: start as isize - (reach / stride) as isize,
                });
            Self {
                count: (span.input - first).div_ceil(stride),
                first,
                step: stride,
                stride: 1,
                source: span.output,
                taps: taps.collect(),
            }
            .trimmed()
        };
        (0..stride.min(span.input)).map(from).collect()
    }
}

/// The values that a run of results reads, sorted so that one tap of neighbouring results reads neighbours: by
/// remainder of their place by the stride (`phases`), then in order.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// Remainders that occur.
    pub(super) phases: Vec<usize>,
    /// Place in its phase of the first value that result 0 reads.
    pub(super) low: isize,
    /// Values of a phase beyond the number of results.
    pub(super) reach: usize,
    /// For each tap its number, its phase and the place of result 0 in it, from `low` on.
    pub(super) taps: Vec<[usize; 3]>,
}

impl Grid {
    pub(super) fn new(axis: &Axis) -> Self {
        let stride = axis.stride as isize;
        let split = |tap: &Tap| {
            (
                tap.at.rem_euclid(stride) as usize,
                tap.at.div_euclid(stride),
            )
        };
        let places: Vec<(usize, isize)> = axis.taps.iter().map(split).collect();
        let mut phases: Vec<usize> = places.iter().map(|place| place.0).collect();
        phases.sort_unstable();
        phases.dedup();
        let low = places.iter().map(|place| place.1).min().unwrap_or(0);
        let high = places.iter().map(|place| place.1).max().unwrap_or(0);
        let taps = axis.taps.iter().zip(&places).map(|(tap, (phase, place))| {
            let phase = phases.partition_point(|other| other < phase);
            [tap.index, phase, (place - low) as usize]
        });
        Self {
            taps: taps.collect(),
            low,
            reach: (high - low) as usize,
            phases,
        }
    }
}
