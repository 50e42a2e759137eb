//! Stop strings, also across the borders of tokens.

/// Text in, text out up to the first stop string. What may be the beginning of one is kept back.
#[derive(Clone, Debug)]
pub struct StopStrings {
    stops: Vec<String>,
    pending: String,
}

impl StopStrings {
    /// Looks for any of `stops`; empty ones are passed over.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty());
        Self {
            stops: stops.cloned().collect(),
            pending: String::new(),
        }
    }

    /// The text that `piece` makes certain, and the stop string that was met, if one was: that text then ends before it.
    pub fn push(&mut self, piece: &str) -> (String, Option<String>) {
        self.pending.push_str(piece);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| Some((self.pending.find(stop.as_str())?, stop)));
        // The one that begins first, of two that begin together the longer one.
        let first = found.min_by_key(|(at, stop)| (*at, std::cmp::Reverse(stop.len())));
        if let Some((at, stop)) = first {
            let stop = stop.clone();
            self.pending.truncate(at);
            return (std::mem::take(&mut self.pending), Some(stop));
        }
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = self.pending.len().saturating_sub(longest);
        let begins = |&at: &usize| {
            let rest = self.pending.get(at..);
            rest.is_some_and(|rest| self.stops.iter().any(|stop| stop.starts_with(rest)))
        };
        let keep = (from..self.pending.len())
            .find(begins)
            .unwrap_or(self.pending.len());
        let rest = self.pending.split_off(keep);
        (std::mem::replace(&mut self.pending, rest), None)
    }

    /// What is still pending at the end.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_string_is_found_however_the_text_is_cut() {
        let stops = ["\n\nUser:".to_owned(), "끝".to_owned(), String::new()];
        for (text, expected, met) in [
            ("Hello\n\nUser: x", "Hello", Some("\n\nUser:")),
            ("a\n\nUseful\n", "a\n\nUseful\n", None),
            ("여기가 끝입니다", "여기가 ", Some("끝")),
            ("\n\n\n\nUser:", "\n\n", Some("\n\nUser:")),
            ("", "", None),
        ] {
            for size in 1..=text.chars().count().max(1) {
                let mut filter = StopStrings::new(&stops);
                let chars: Vec<char> = text.chars().collect();
                let (mut out, mut found) = (String::new(), None);
                for part in chars.chunks(size) {
                    let (piece, stop) = filter.push(&part.iter().collect::<String>());
                    out += &piece;
                    found = stop;
                    if found.is_some() {
                        break;
                    }
                }
                if found.is_none() {
                    out += &filter.finish();
                }
                assert_eq!(
                    (out.as_str(), found.as_deref()),
                    (expected, met),
                    "{text:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn only_what_may_begin_a_stop_string_is_held() {
        let mut filter = StopStrings::new(&["END".to_owned()]);
        assert_eq!(filter.push("text E"), ("text ".to_owned(), None));
        assert_eq!(filter.push("very"), ("Every".to_owned(), None));
        assert_eq!(filter.push("EEN"), ("E".to_owned(), None));
        assert_eq!(filter.finish(), "EN");
    }
}
