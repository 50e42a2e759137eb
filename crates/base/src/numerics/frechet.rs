//! The Fréchet distance between two clouds of features, as FID and FVD use it.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Why a distance cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrechetError {
    /// Fewer than two samples, or samples of different widths.
    #[error("a Fréchet distance needs two or more samples of one width on each side")]
    Samples,
    /// A feature is infinite or undefined.
    #[error("a feature is not finite: the samples are damaged")]
    NotFinite,
}

/// `‖μa − μb‖² + tr(Σa + Σb − 2·(Σa^½ Σb Σa^½)^½)` of features, one slice a sample, all of one width.
///
/// Covariances are unbiased (divided by `n − 1`).
///
/// # Errors
/// [`FrechetError`].
pub fn frechet(a: &[Vec<f32>], b: &[Vec<f32>]) -> Result<f64, FrechetError> {
    let width = a.first().map_or(0, Vec::len);
    let fits = |side: &[Vec<f32>]| side.len() > 1 && side.iter().all(|row| row.len() == width);
    if width == 0 || !fits(a) || !fits(b) {
        return Err(FrechetError::Samples);
    }
    if a.iter().chain(b).flatten().any(|value| !value.is_finite()) {
        return Err(FrechetError::NotFinite);
    }
    let (mean_a, covariance_a) = moments(a);
    let (mean_b, covariance_b) = moments(b);
    let root = root(covariance_a.clone());
    let between = &root * &covariance_b * &root;
    // The product is symmetric up to rounding; the eigenvalues of its half-sum are those of the exact one.
    let between = (&between + between.transpose()) * 0.5;
    let eigenvalues = SymmetricEigen::new(between).eigenvalues;
    let overlap: f64 = eigenvalues.iter().map(|value| value.max(0.0).sqrt()).sum();
    let shift = (mean_a - mean_b).norm_squared();
    Ok((shift + covariance_a.trace() + covariance_b.trace() - 2.0 * overlap).max(0.0))
}

fn moments(rows: &[Vec<f32>]) -> (DVector<f64>, DMatrix<f64>) {
    let (count, width) = (rows.len(), rows[0].len());
    let matrix = DMatrix::from_fn(count, width, |row, column| f64::from(rows[row][column]));
    let mean = matrix.row_mean().transpose();
    let centred = DMatrix::from_fn(count, width, |row, column| {
        matrix[(row, column)] - mean[column]
    });
    let covariance = centred.transpose() * &centred / (count as f64 - 1.0);
    (mean, covariance)
}

/// The symmetric root of a covariance.
fn root(covariance: DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(covariance);
    let roots = DMatrix::from_diagonal(&eigenvalues.map(|value| value.max(0.0).sqrt()));
    &eigenvectors * roots * eigenvectors.transpose()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Rows whose sample mean is exactly 0 and whose sample covariance is exactly diagonal.
    fn cross(deviations: &[f32]) -> Vec<Vec<f32>> {
        let count = 2 * deviations.len();
        let scale = ((count as f32 - 1.0) / 2.0).sqrt();
        (0..count)
            .map(|i| {
                let mut row = vec![0.0; deviations.len()];
                let sign = if i % 2 == 0 { scale } else { -scale };
                row[i / 2] = sign * deviations[i / 2];
                row
            })
            .collect()
    }

    #[test]
    fn diagonal_gaussians_have_the_known_distance() {
        let a = cross(&[1.0, 2.0, 3.0]);
        let mut b = cross(&[2.0, 2.0, 1.0]);
        b.iter_mut().for_each(|row| row[0] += 4.0);
        // Shift 16, and (1 − 2)² + (2 − 2)² + (3 − 1)².
        assert!((frechet(&a, &b).unwrap() - 21.0).abs() < 1e-4);
        assert!(frechet(&a, &a).unwrap() < 1e-9);
    }

    #[test]
    fn a_turn_of_both_clouds_changes_nothing() {
        let (sin, cos) = (0.6, 0.8);
        let turn = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
            let turn =
                |row: &Vec<f32>| vec![cos * row[0] - sin * row[1], sin * row[0] + cos * row[1]];
            rows.iter().map(turn).collect()
        };
        let mut rng = Rng::new(3);
        let a: Vec<_> = (0..50).map(|_| rng.normals(2)).collect();
        let b: Vec<_> = (0..60)
            .map(|_| vec![2.0 * rng.normal(), 1.0 + rng.normal()])
            .collect();
        let before = frechet(&a, &b).unwrap();
        assert!((frechet(&turn(&a), &turn(&b)).unwrap() - before).abs() < 1e-4 * before);
    }

    #[test]
    fn what_has_no_distance_is_refused() {
        let one = vec![vec![1.0, 2.0]];
        let two = vec![vec![1.0, 2.0], vec![2.0, 1.0]];
        assert_eq!(frechet(&one, &two), Err(FrechetError::Samples));
        let odd = vec![vec![1.0], vec![2.0]];
        assert_eq!(frechet(&odd, &two), Err(FrechetError::Samples));
        let nan = vec![vec![f32::NAN, 0.0]; 3];
        assert_eq!(frechet(&nan, &two), Err(FrechetError::NotFinite));
    }
}
