//! The picture in the terminal: two pixels a character, upper and lower half block.

use std::io::{self, IsTerminal, Write};

use base::media::Image;

/// Columns that every terminal has.
const COLUMNS: u32 = 80;

/// Shows the first frame, or the first and a middle one of a clip, where standard output is a terminal that wants
/// colour.
pub fn show(frames: &[Image]) {
    let out = io::stdout();
    let unwanted = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if !out.is_terminal() || unwanted("NO_COLOR") || dumb {
        return;
    }
    // A preview that cannot be written is not a loss.
    let _ = out.lock().write_all(drawn(frames).as_bytes());
}

/// The frames as text.
fn drawn(frames: &[Image]) -> String {
    let middle = frames.len() / 2;
    let shown: Vec<&Image> = [0, middle]
        .iter()
        .take(if middle == 0 { 1 } else { 2 })
        .filter_map(|&at| frames.get(at))
        .filter(|frame| frame.width * 2 < COLUMNS)
        .collect();
    let rows = shown.iter().map(|frame| frame.height).max().unwrap_or(0);
    let mut text = String::new();
    for y in (0..rows).step_by(2) {
        for frame in &shown {
            text.push(' ');
            for x in 0..frame.width {
                let [r, g, b] = frame.pixel(x, y);
                let [low_r, low_g, low_b] = frame.pixel(x, y + 1);
                text.push_str(&format!(
                    "\x1b[38;2;{r};{g};{b};48;2;{low_r};{low_g};{low_b}m▀"
                ));
            }
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::drawn;
    use base::media::Image;

    #[test]
    fn two_rows_of_pixels_are_one_line() {
        let picture = Image::filled(3, 4, [1, 2, 3]);
        let text = drawn(&[picture]);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.matches('▀').count(), 6);
        assert!(text.contains("38;2;1;2;3;48;2;1;2;3m") && text.ends_with("\x1b[0m\n"));
    }
}
