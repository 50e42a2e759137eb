//! Sizes of a convolution.

use super::axis::Span;

/// Largest number of values and largest place that the sizes may ask for, so that no sum of places overflows.
const LIMIT: usize = isize::MAX as usize / 64;

/// One spatial axis of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvAxis {
    /// Values before the convolution.
    pub input: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// Input values from one result to the next.
    pub stride: usize,
    /// Zeros before the first and after the last value.
    pub padding: [usize; 2],
    /// Input values from one tap to the next.
    pub dilation: usize,
}

impl ConvAxis {
    /// An axis of stride and dilation 1 without padding.
    pub fn new(input: usize, kernel: usize) -> Self {
        Self {
            input,
            kernel,
            stride: 1,
            padding: [0, 0],
            dilation: 1,
        }
    }
}

/// Why sizes are not those of a convolution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvError {
    /// Too few or too many axes.
    #[error("a convolution has 1, 2 or 3 axes, not {0}")]
    Axes(usize),
    /// A size that must be positive.
    #[error("`{0}` of a convolution must be at least 1")]
    Zero(&'static str),
    /// Channels that do not split into groups.
    #[error("{input} input and {output} output channels do not split into {groups} groups")]
    Groups {
        /// Channels before.
        input: usize,
        /// Channels after.
        output: usize,
        /// Groups asked for.
        groups: usize,
    },
    /// A kernel longer than what it runs over.
    #[error(
        "axis {axis}: the kernel spans {kernel} values, the input with its padding holds {input}"
    )]
    Kernel {
        /// Number of the axis, from 0.
        axis: usize,
        /// Values that the kernel spans, with dilation.
        kernel: usize,
        /// Values there are, with padding.
        input: usize,
    },
    /// Padding that cuts away all of a transposed convolution.
    #[error("axis {axis}: the padding cuts away the whole result")]
    Cut {
        /// Number of the axis, from 0.
        axis: usize,
    },
    /// Output padding that no convolution could have lost.
    #[error(
        "axis {axis}: an output padding of {found} must be smaller than the stride or the dilation"
    )]
    OutputPadding {
        /// Number of the axis, from 0.
        axis: usize,
        /// The output padding asked for.
        found: usize,
    },
    /// Sizes whose product is too large.
    #[error("the sizes of the convolution are too large for this machine")]
    Overflow,
}

/// Checked sizes of a convolution over 1, 2 or 3 axes.
///
/// The input is `[batch, in channels, axes..]`, the weight `[out channels, in channels / groups, kernel..]`, the
/// result `[batch, out channels, axes..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvDims {
    pub(super) batch: usize,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) groups: usize,
    /// One span for each axis, with leading ones to make three.
    pub(super) spans: [Span; 3],
    axes: usize,
}

impl ConvDims {
    /// Sizes of a convolution. Along each axis it gives `(input + padding − dilation · (kernel − 1) − 1) / stride + 1`
    /// values, rounded down.
    pub fn new(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        axes: &[ConvAxis],
    ) -> Result<Self, ConvError> {
        let span = |axis: usize, it: &ConvAxis| {
            let reach = reach(it)?;
            let padded = sum(&[it.input, it.padding[0], it.padding[1]])?;
            let Some(room) = padded.checked_sub(reach) else {
                return Err(ConvError::Kernel {
                    axis,
                    kernel: reach,
                    input: padded,
                });
            };
            Ok(Span::new(it, it.input, room / it.stride + 1))
        };
        let spans = axes.iter().enumerate().map(|(i, axis)| span(i, axis));
        Self::checked(batch, [in_channels, out_channels], groups, spans)
    }

    /// Sizes of the convolution whose gradient is the transposed convolution from `in_channels` to `out_channels`.
    ///
    /// Along each axis the transposed convolution gives `(input − 1) · stride − padding + dilation · (kernel − 1) + 1
    /// + output padding` values. These dims speak of the convolution that it turns round: what goes into the
    /// transposed one is what comes out of them, and its weight is `[in channels, out channels / groups, kernel..]`.
    pub fn transposed(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        axes: &[ConvAxis],
        output_padding: &[usize],
    ) -> Result<Self, ConvError> {
        if output_padding.len() != axes.len() {
            return Err(ConvError::Axes(output_padding.len()));
        }
        let span = |axis: usize, it: &ConvAxis, extra: usize| {
            let reach = reach(it)?;
            if extra >= it.stride.max(it.dilation) {
                return Err(ConvError::OutputPadding { axis, found: extra });
            }
            let steps = it.input.checked_sub(1).ok_or(ConvError::Zero("input"))?;
            let steps = steps.checked_mul(it.stride).ok_or(ConvError::Overflow)?;
            let full = sum(&[steps, reach, extra])?;
            let cut = sum(&it.padding)?;
            match full.checked_sub(cut) {
                None | Some(0) => Err(ConvError::Cut { axis }),
                Some(length) => Ok(Span::new(it, length, it.input)),
            }
        };
        let spans = axes.iter().zip(output_padding).enumerate();
        let spans = spans.map(|(i, (axis, &extra))| span(i, axis, extra));
        Self::checked(batch, [out_channels, in_channels], groups, spans)
    }

    fn checked(
        batch: usize,
        [in_channels, out_channels]: [usize; 2],
        groups: usize,
        spans: impl ExactSizeIterator<Item = Result<Span, ConvError>>,
    ) -> Result<Self, ConvError> {
        let axes = spans.len();
        if !(1..=3).contains(&axes) {
            return Err(ConvError::Axes(axes));
        }
        if groups == 0 {
            return Err(ConvError::Zero("groups"));
        }
        if in_channels == 0 || out_channels == 0 {
            return Err(ConvError::Zero("channels"));
        }
        if in_channels % groups != 0 || out_channels % groups != 0 {
            return Err(ConvError::Groups {
                input: in_channels,
                output: out_channels,
                groups,
            });
        }
        let mut all = [Span::ONE; 3];
        for (to, span) in all[3 - axes..].iter_mut().zip(spans) {
            *to = span?;
        }
        let dims = Self {
            batch,
            in_channels,
            out_channels,
            groups,
            spans: all,
            axes,
        };
        let product = |first: [usize; 2], of: fn(&Span) -> usize| {
            // A batch of none must not hide the size of the rest.
            let factors = first.into_iter().chain(all.iter().map(of));
            factors.map(|f| f.max(1)).try_fold(1, |all: usize, factor| {
                all.checked_mul(factor).filter(|&all| all <= LIMIT)
            })
        };
        let sizes = [
            product([batch, in_channels], |span| span.input),
            product([batch, out_channels], |span| span.output),
            product([out_channels, in_channels], |span| span.kernel),
        ];
        if sizes.contains(&None) {
            return Err(ConvError::Overflow);
        }
        Ok(dims)
    }

    /// Values along each axis of the input.
    pub fn input(&self) -> Vec<usize> {
        self.along(|span| span.input)
    }

    /// Values along each axis of the result.
    pub fn output(&self) -> Vec<usize> {
        self.along(|span| span.output)
    }

    /// Values of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.pixels(|span| span.input)
    }

    /// Values of the result.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.pixels(|span| span.output)
    }

    /// Values of the weight.
    pub fn weight_len(&self) -> usize {
        self.out_channels * (self.in_channels / self.groups) * self.taps()
    }

    /// Taps of the kernel over all axes.
    pub(super) fn taps(&self) -> usize {
        self.pixels(|span| span.kernel)
    }

    /// Product over the axes.
    pub(super) fn pixels(&self, of: fn(&Span) -> usize) -> usize {
        self.spans.iter().map(of).product()
    }

    fn along(&self, of: fn(&Span) -> usize) -> Vec<usize> {
        self.spans[3 - self.axes..].iter().map(of).collect()
    }
}

/// Values that the kernel spans.
fn reach(axis: &ConvAxis) -> Result<usize, ConvError> {
    for (name, size) in [
        ("kernel", axis.kernel),
        ("stride", axis.stride),
        ("dilation", axis.dilation),
    ] {
        if size == 0 {
            return Err(ConvError::Zero(name));
        }
        if size > LIMIT {
            return Err(ConvError::Overflow);
        }
    }
    let reach = (axis.kernel - 1).checked_mul(axis.dilation);
    reach
        .filter(|&reach| reach < LIMIT)
        .map(|reach| reach + 1)
        .ok_or(ConvError::Overflow)
}

fn sum(sizes: &[usize]) -> Result<usize, ConvError> {
    let sum = sizes
        .iter()
        .try_fold(0, |all: usize, &size| all.checked_add(size));
    sum.filter(|&sum| sum <= LIMIT).ok_or(ConvError::Overflow)
}
