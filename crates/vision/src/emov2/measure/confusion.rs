//! Intersection over union of label pictures, as mmsegmentation counts it: pixels of all pictures together.

/// Pixels by what they are and what they were taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// Of each class: pixels of it that were found.
    hits: Vec<u64>,
    /// Of each class: pixels taken for it, of those with a label.
    found: Vec<u64>,
    /// Of each class: pixels of it.
    truth: Vec<u64>,
}

/// Figures from 0 to 1; `None` where no pixel has a label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// Intersection over union, the mean over classes that are annotated or found.
    pub miou: Option<f64>,
    /// Pixels found, the mean over classes that are annotated.
    pub mean_accuracy: Option<f64>,
    /// Pixels found, of all.
    pub pixel_accuracy: Option<f64>,
    /// Dice's coefficient, the mean over classes that are annotated or found.
    pub mean_dice: Option<f64>,
    /// Intersection over union of each class.
    pub classes: Vec<Option<f64>>,
}

impl Confusion {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Self {
        let none = vec![0; classes];
        Self {
            hits: none.clone(),
            found: none.clone(),
            truth: none,
        }
    }

    /// Counts the pixels of a picture. Those without label, and those of classes out of range, do not count.
    pub fn add(&mut self, labels: &[Option<usize>], found: &[usize]) {
        let classes = self.truth.len();
        for (label, found) in labels.iter().zip(found) {
            if let Some(label) = label.filter(|label| *label < classes && *found < classes) {
                self.truth[label] += 1;
                self.found[*found] += 1;
                self.hits[label] += u64::from(label == *found);
            }
        }
    }

    /// The figures.
    pub fn shares(&self) -> Shares {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let classes =
            || (0..self.truth.len()).map(|at| (self.hits[at], self.found[at], self.truth[at]));
        let iou = classes().map(|(hits, found, truth)| share(hits, found + truth - hits));
        let iou: Vec<Option<f64>> = iou.collect();
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        Shares {
            miou: mean(iou.iter().copied()),
            mean_accuracy: mean(classes().map(|(hits, _, truth)| share(hits, truth))),
            pixel_accuracy: share(sum(&self.hits), sum(&self.truth)),
            mean_dice: mean(classes().map(|(hits, found, truth)| share(2 * hits, found + truth))),
            classes: iou,
        }
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut confusion = Confusion::new(4);
        assert_eq!(confusion.shares().miou, None);
        // Class 0: 2 of 3 found, 1 taken wrongly. Class 1: 1 of 2, 1 wrongly. Class 2: found twice, never there. Class 3: nowhere.
        let labels = [Some(0), Some(0), Some(0), Some(1), Some(1), None, None];
        confusion.add(&labels[..3], &[0, 0, 2]);
        confusion.add(&labels[3..], &[0, 1, 2, 1]);
        let shares = confusion.shares();
        assert_eq!(shares.classes, [Some(0.5), Some(0.5), Some(0.0), None]);
        let near = |value: Option<f64>, expected: f64| {
            assert!(
                value.is_some_and(|value| (value - expected).abs() < 1e-12),
                "{value:?}"
            );
        };
        near(shares.miou, 1.0 / 3.0);
        near(shares.mean_accuracy, (2.0 / 3.0 + 0.5) / 2.0);
        near(shares.pixel_accuracy, 0.6);
        near(shares.mean_dice, (4.0 / 6.0 + 2.0 / 3.0) / 3.0);
    }
}
