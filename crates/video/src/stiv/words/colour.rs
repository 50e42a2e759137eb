//! How much of a subject's picture has a colour.

use engine::data::pack::{EmojiPack, Style};

/// Colours that are distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Red,
    Blue,
    Green,
    Yellow,
    Black,
    White,
    Pink,
}

impl Colour {
    /// The colour of an English name, where it is one of these.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "red" => Self::Red,
            "blue" => Self::Blue,
            "green" => Self::Green,
            "yellow" => Self::Yellow,
            "black" => Self::Black,
            "white" => Self::White,
            "pink" => Self::Pink,
            _ => return None,
        })
    }

    fn is(self, [r, g, b]: [u8; 3]) -> bool {
        let most = r.max(g).max(b);
        let range = f32::from(most - r.min(g).min(b));
        let value = f32::from(most) / 255.0;
        let saturation = if most == 0 {
            0.0
        } else {
            range / f32::from(most)
        };
        let [r, g, b] = [r, g, b].map(f32::from);
        // In degrees.
        let hue = match most {
            _ if range == 0.0 => 0.0,
            most if f32::from(most) == r => ((g - b) / range).rem_euclid(6.0) * 60.0,
            most if f32::from(most) == g => ((b - r) / range + 2.0) * 60.0,
            _ => ((r - g) / range + 4.0) * 60.0,
        };
        let within = |from: f32, to: f32| (from..to).contains(&hue);
        match self {
            Self::Red => saturation > 0.5 && (within(0.0, 18.0) || hue > 340.0),
            Self::Blue => saturation > 0.35 && within(185.0, 255.0),
            Self::Green => saturation > 0.3 && within(75.0, 165.0),
            Self::Yellow => saturation > 0.4 && within(38.0, 68.0),
            Self::Black => value < 0.35,
            Self::White => value > 0.85 && saturation < 0.15,
            Self::Pink => {
                (0.2..0.75).contains(&saturation)
                    && (within(0.0, 12.0) || hue > 300.0)
                    && value > 0.7
            }
        }
    }
}

/// Share of the picture of a subject, its white ground left out, that has `colour`, 0 to 1.
pub fn share(pack: &EmojiPack, code: &str, colour: Colour) -> f32 {
    let subject = pack.subjects.iter().find(|subject| subject.code == code);
    let picture = subject.and_then(|subject| pack.image(subject.cell, Style::Noto).ok());
    let Some(picture) = picture else {
        return 0.0;
    };
    let pixels = picture.pixels.as_chunks::<3>().0.iter();
    let drawn: Vec<[u8; 3]> = pixels
        .copied()
        .filter(|p| p.iter().any(|&v| v < 250))
        .collect();
    let those = drawn.iter().filter(|pixel| colour.is(**pixel)).count();
    those as f32 / drawn.len().max(1) as f32
}
