//! The colours of X-MAGICAL: base tones lightened and darkened in hue, lightness, saturation.

/// Red, green, blue in 0..=255.
pub type Rgb = [u8; 3];

/// A tone before rounding, each channel in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tone([f64; 3]);

/// The tones that blocks and goals have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Rose.
    Red,
    /// Olive.
    Green,
    /// Steel.
    Blue,
    /// Gold.
    Yellow,
}

/// All of them, in the order in which they are drawn by lot.
pub const COLOURS: [Colour; 4] = [Colour::Red, Colour::Green, Colour::Blue, Colour::Yellow];

/// The grey of robots and lines.
pub(super) const GREY: Tone = Tone([162.0 / 255.0, 163.0 / 255.0, 175.0 / 255.0]);

impl Colour {
    pub(super) fn tone(self) -> Tone {
        let base = match self {
            Self::Red => [0xEE, 0x1F, 0x60],
            Self::Green => [0x85, 0x94, 0x38],
            Self::Blue => [0x3B, 0x7E, 0xA1],
            Self::Yellow => [0xFD, 0xB5, 0x15],
        };
        Tone(base.map(|channel: u8| f64::from(channel) / 255.0)).lighter(1.7)
    }
}

impl Tone {
    /// Lighter by a factor 1.4 `times` times.
    pub fn lighter(self, times: f64) -> Self {
        let [hue, light, saturation] = self.to_hls();
        let light = 1.0 - (1.0 - light) / libm::pow(1.4, times);
        Self::from_hls([hue, light, saturation])
    }

    /// A tenth darker.
    pub fn darker(self) -> Self {
        let [hue, light, saturation] = self.to_hls();
        Self::from_hls([hue, light * 0.9, saturation])
    }

    /// Rounded.
    pub fn rgb(self) -> Rgb {
        self.0
            .map(|channel| libm::rint(channel * 255.0).clamp(0.0, 255.0) as u8)
    }

    fn to_hls(self) -> [f64; 3] {
        let [r, g, b] = self.0;
        let (high, low) = (r.max(g).max(b), r.min(g).min(b));
        let (sum, range) = (high + low, high - low);
        let light = sum / 2.0;
        if range == 0.0 {
            return [0.0, light, 0.0];
        }
        let saturation = match light <= 0.5 {
            true => range / sum,
            false => range / (2.0 - sum),
        };
        let [rc, gc, bc] = [r, g, b].map(|channel| (high - channel) / range);
        let hue = match () {
            () if r == high => bc - gc,
            () if g == high => 2.0 + rc - bc,
            () => 4.0 + gc - rc,
        };
        [(hue / 6.0).rem_euclid(1.0), light, saturation]
    }

    fn from_hls([hue, light, saturation]: [f64; 3]) -> Self {
        if saturation == 0.0 {
            return Self([light; 3]);
        }
        let top = match light <= 0.5 {
            true => light * (1.0 + saturation),
            false => light + saturation - light * saturation,
        };
        let base = 2.0 * light - top;
        let channel = |hue: f64| {
            let hue = hue.rem_euclid(1.0);
            match () {
                () if hue < 1.0 / 6.0 => base + (top - base) * hue * 6.0,
                () if hue < 0.5 => top,
                () if hue < 2.0 / 3.0 => base + (top - base) * (2.0 / 3.0 - hue) * 6.0,
                () => base,
            }
        };
        Self([
            channel(hue + 1.0 / 3.0),
            channel(hue),
            channel(hue - 1.0 / 3.0),
        ])
    }
}
