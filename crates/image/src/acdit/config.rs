//! Sizes of a model and of what it draws, with the published presets.

use serde::{Deserialize, Serialize};

/// Which form of RoPE-ND is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RopeMode {
    /// As the released weights were trained: frequencies with both ends, halves of the whole head paired
    #[default]
    Released,
    /// As the paper says: each axis turns its own segment of the head
    Paper,
}

/// The network and its token layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcditConfig {
    /// Values of a token: channels · patch².
    pub latent_size: usize,
    /// Tokens of a block.
    pub block_size: usize,
    /// Blocks of a sample.
    pub ar_len: usize,
    /// Frames of a sample; 1 for images.
    pub temporal_len: usize,
    /// Tokens of a frame, a square number.
    pub spatial_len: usize,
    /// Whether blocks are square tiles of an image; else consecutive frames.
    pub square_block: bool,
    /// Shares of the head for (time,) row and column, such as `2_3_3`; absent: `1_1`, for clips `2_3_3`.
    pub nd_split: Option<String>,
    /// Width of the network.
    pub hidden_size: usize,
    /// Blocks of the network.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the MLP by width of the network.
    pub mlp_ratio: f64,
    /// Classes; label `num_classes` means none.
    pub num_classes: usize,
    /// Form of the positions.
    pub rope: RopeMode,
}

impl Default for AcditConfig {
    fn default() -> Self {
        Self::image(Size::B)
    }
}

/// Published sizes (paper, table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// 130 million parameters
    B,
    /// 458 million
    L,
    /// 675 million
    Xl,
    /// 951 million
    H,
}

impl Size {
    /// Depth, width and heads.
    fn shape(self) -> [usize; 3] {
        match self {
            Self::B => [12, 768, 12],
            Self::L => [24, 1024, 16],
            Self::Xl => [28, 1152, 18],
            Self::H => [32, 1280, 20],
        }
    }
}

impl AcditConfig {
    /// ImageNet at 256²: latents of 32×32 in four tiles of 16×16.
    pub fn image(size: Size) -> Self {
        let [depth, hidden_size, num_heads] = size.shape();
        Self {
            latent_size: 4,
            block_size: 256,
            ar_len: 4,
            temporal_len: 1,
            spatial_len: 1024,
            square_block: true,
            nd_split: None,
            hidden_size,
            depth,
            num_heads,
            mlp_ratio: 4.0,
            num_classes: 1000,
            rope: RopeMode::Released,
        }
    }

    /// UCF-101 at 256²: 16 frames of 16×16 patches of 2×2 latents, four frames a block.
    pub fn video(size: Size) -> Self {
        Self {
            latent_size: 16,
            block_size: 1024,
            temporal_len: 16,
            spatial_len: 256,
            square_block: false,
            num_classes: 101,
            ..Self::image(size)
        }
    }

    /// Width of a head.
    pub fn head(&self) -> usize {
        self.hidden_size / self.num_heads.max(1)
    }

    /// Width of the MLP.
    pub fn mlp_width(&self) -> usize {
        (self.hidden_size as f64 * self.mlp_ratio) as usize
    }

    /// Tokens of a sample.
    pub fn tokens(&self) -> usize {
        self.block_size * self.ar_len
    }

    /// Tokens along a side of a frame.
    pub fn side(&self) -> usize {
        self.spatial_len.isqrt()
    }

    /// Widths of the segments of a head, one an axis: (time,) row, column.
    pub fn segments(&self) -> Result<Vec<usize>, String> {
        let axes = if self.temporal_len > 1 { 3 } else { 2 };
        let split: Vec<usize> = match &self.nd_split {
            Some(text) => text
                .split('_')
                .map(|part| {
                    part.trim().parse().map_err(|_| {
                        format!("`nd_split` is `{text}`: give whole numbers such as `2_3_3`")
                    })
                })
                .collect::<Result<_, _>>()?,
            None if axes == 2 => vec![1, 1],
            None => vec![2, 3, 3],
        };
        let unit = (self.head() / 2)
            .checked_div(split.iter().sum())
            .unwrap_or(0);
        let segments: Vec<usize> = split.iter().map(|share| 2 * share * unit).collect();
        match split.len() == axes && segments.iter().sum::<usize>() == self.head() {
            true if segments.iter().all(|width| *width >= 2) => Ok(segments),
            _ => Err(format!(
                "heads of {} values cannot be split {split:?} among {axes} axes",
                self.head()
            )),
        }
    }

    /// What is wrong with the sizes, if anything.
    pub fn problem(&self) -> Option<String> {
        const MOST: usize = 1 << 20;
        let sizes = [
            ("latent_size", self.latent_size),
            ("block_size", self.block_size),
            ("ar_len", self.ar_len),
            ("temporal_len", self.temporal_len),
            ("spatial_len", self.spatial_len),
            ("hidden_size", self.hidden_size),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("num_classes", self.num_classes),
        ];
        if let Some((name, value)) = sizes.iter().find(|(_, value)| !(1..=MOST).contains(value)) {
            return Some(format!("`{name}` is {value}: give 1 to {MOST}"));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) {
            return Some(format!("`mlp_ratio` is {}: give up to 64", self.mlp_ratio));
        }
        if self.side() * self.side() != self.spatial_len {
            return Some(format!(
                "a frame of {} tokens is not square",
                self.spatial_len
            ));
        }
        if self.tokens() != self.temporal_len * self.spatial_len {
            return Some(format!(
                "{} blocks of {} tokens are not {} frames of {}: block sizes must divide",
                self.ar_len, self.block_size, self.temporal_len, self.spatial_len
            ));
        }
        if self.square_block {
            let tile = self.block_size.isqrt();
            if tile * tile != self.block_size
                || !self.side().is_multiple_of(tile)
                || self.temporal_len != 1
            {
                return Some(format!(
                    "blocks of {} tokens do not tile a frame of {}×{}",
                    self.block_size,
                    self.side(),
                    self.side()
                ));
            }
        }
        if self.head() * self.num_heads != self.hidden_size {
            return Some(format!(
                "{} heads do not divide a width of {}",
                self.num_heads, self.hidden_size
            ));
        }
        self.segments().err()
    }
}
