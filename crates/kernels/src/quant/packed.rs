//! A matrix of any kind.

use super::QuantKind;
use super::bit_planes::{Q2K, Q3K, Q5_0, Q5_1, Q5K};
use super::formats::{Q4_0, Q4_1, Q4K, Q6K, Q8_0};
use super::panels::Panels;

/// A repacked matrix.
#[derive(Clone)]
pub(super) enum Packed {
    Q8_0(Panels<Q8_0>),
    Q4_0(Panels<Q4_0>),
    Q4_1(Panels<Q4_1>),
    Q4K(Panels<Q4K>),
    Q6K(Panels<Q6K>),
    Q5_0(Panels<Q5_0>),
    Q5_1(Panels<Q5_1>),
    Q2K(Panels<Q2K>),
    Q3K(Panels<Q3K>),
    Q5K(Panels<Q5K>),
}

impl Packed {
    /// Of the bytes of a file, which must be as long as the shape asks for.
    pub(super) fn new(kind: QuantKind, bytes: &[u8], rows: usize, columns: usize) -> Self {
        match kind {
            QuantKind::Q8_0 => Self::Q8_0(Panels::new(bytes, rows, columns)),
            QuantKind::Q4_0 => Self::Q4_0(Panels::new(bytes, rows, columns)),
            QuantKind::Q4_1 => Self::Q4_1(Panels::new(bytes, rows, columns)),
            QuantKind::Q4K => Self::Q4K(Panels::new(bytes, rows, columns)),
            QuantKind::Q6K => Self::Q6K(Panels::new(bytes, rows, columns)),
            QuantKind::Q5_0 => Self::Q5_0(Panels::new(bytes, rows, columns)),
            QuantKind::Q5_1 => Self::Q5_1(Panels::new(bytes, rows, columns)),
            QuantKind::Q2K => Self::Q2K(Panels::new(bytes, rows, columns)),
            QuantKind::Q3K => Self::Q3K(Panels::new(bytes, rows, columns)),
            QuantKind::Q5K => Self::Q5K(Panels::new(bytes, rows, columns)),
        }
    }

    pub(super) fn kind(&self) -> QuantKind {
        match self {
            Self::Q8_0(_) => QuantKind::Q8_0,
            Self::Q4_0(_) => QuantKind::Q4_0,
            Self::Q4_1(_) => QuantKind::Q4_1,
            Self::Q4K(_) => QuantKind::Q4K,
            Self::Q6K(_) => QuantKind::Q6K,
            Self::Q5_0(_) => QuantKind::Q5_0,
            Self::Q5_1(_) => QuantKind::Q5_1,
            Self::Q2K(_) => QuantKind::Q2K,
            Self::Q3K(_) => QuantKind::Q3K,
            Self::Q5K(_) => QuantKind::Q5K,
        }
    }
}

/// The same expression for the panels of whatever format.
macro_rules! each_format {
    ($packed:expr, $panels:ident => $body:expr) => {
        match $packed {
            $crate::quant::packed::Packed::Q8_0($panels) => $body,
            $crate::quant::packed::Packed::Q4_0($panels) => $body,
            $crate::quant::packed::Packed::Q4_1($panels) => $body,
            $crate::quant::packed::Packed::Q4K($panels) => $body,
            $crate::quant::packed::Packed::Q6K($panels) => $body,
            $crate::quant::packed::Packed::Q5_0($panels) => $body,
            $crate::quant::packed::Packed::Q5_1($panels) => $body,
            $crate::quant::packed::Packed::Q2K($panels) => $body,
            $crate::quant::packed::Packed::Q3K($panels) => $body,
            $crate::quant::packed::Packed::Q5K($panels) => $body,
        }
    };
}
pub(super) use each_format;
