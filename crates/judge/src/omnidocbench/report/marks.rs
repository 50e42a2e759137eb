//! Two texts with marks around what only one of them has.

use std::time::{Duration, Instant};

use base::table::escape_html;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// Longest text of which every difference is looked for, in characters; a longer one is cut.
const LONGEST: usize = 20_000;

/// Time for the differences of one pair; after it they become coarser.
const TIME: Duration = Duration::from_millis(200);

/// Fewer equal characters than these between two differences are marked as well: single letters that two texts happen to
/// share only confuse.
const SHORTEST: usize = 3;

/// The steps from one list to the other.
pub(super) fn steps<T: Ord + std::hash::Hash>(from: &[T], to: &[T]) -> Vec<DiffOp> {
    capture_diff_slices_deadline(Algorithm::Myers, from, to, Some(Instant::now() + TIME))
}

/// Both texts as HTML, with marks around what only one of them has.
pub(super) fn marked(gt: &str, pred: &str) -> [String; 2] {
    let cut = |text: &str| text.chars().take(LONGEST).collect::<Vec<char>>();
    let (gt, pred) = (cut(gt), cut(pred));
    let mut out = [String::new(), String::new()];
    let mut open: [Vec<char>; 2] = Default::default();
    let steps = steps(&gt, &pred);
    let last = steps.len().saturating_sub(1);
    for (at, step) in steps.iter().enumerate() {
        let (from, to) = (&gt[step.old_range()], &pred[step.new_range()]);
        let equal = matches!(step, DiffOp::Equal { .. });
        if equal && (at == 0 || at == last || from.len() >= SHORTEST) {
            close(&mut open, &mut out);
            let text = escape_html(&from.iter().collect::<String>());
            out.iter_mut().for_each(|side| side.push_str(&text));
        } else {
            open[0].extend(from);
            open[1].extend(to);
        }
    }
    close(&mut open, &mut out);
    out
}

/// Writes what differs.
fn close(open: &mut [Vec<char>; 2], out: &mut [String; 2]) {
    for ((text, side), tag) in open.iter_mut().zip(out).zip(["del", "ins"]) {
        if !text.is_empty() {
            let text: String = text.drain(..).collect();
            side.push_str(&format!("<{tag}>{}</{tag}>", escape_html(&text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn what_differs_is_marked_and_nothing_is_taken_for_html() {
        let [gt, pred] = marked("a<b c", "a<b d");
        assert_eq!(gt, "a&lt;b <del>c</del>");
        assert_eq!(pred, "a&lt;b <ins>d</ins>");
    }

    #[test]
    fn single_letters_between_differences_are_marked_with_them() {
        let [gt, pred] = marked("same xay same", "same uav same");
        assert_eq!(gt, "same <del>xay</del> same");
        assert_eq!(pred, "same <ins>uav</ins> same");
        let [gt, _] = marked("one two", "one, two");
        assert_eq!(gt, "one two");
    }
}
