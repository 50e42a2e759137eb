use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;
use kernels::{Level, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, unfit, values};

/// The rows of `table` that `indices` name.
///
/// `table` is `[rows, width]`, `indices` has any shape; the result is `[indices.., width]`, of rank `D + 1`.
///
/// # Panics
/// On the CPU, for an index outside `0..rows`; a GPU reads something else instead.
pub fn embedding<const D: usize, const OUT: usize>(
    table: Tensor<2>,
    indices: Tensor<D, Int>,
) -> Tensor<OUT> {
    const { assert!(OUT == D + 1, "one rank more than the indices") };
    let [_, width] = table.dims();
    let mut shape = [width; OUT];
    shape[..D].copy_from_slice(&indices.dims());
    let fused = custom_op::integers(indices.clone().into_dispatch()).and_then(|indices| {
        let kernel = Pick {
            indices,
            shape: shape.to_vec(),
        };
        custom_op::run(kernel, [table.clone().into_dispatch()])
    });
    fused.unwrap_or_else(|| {
        let count = shape[..D].iter().product::<usize>();
        table.select(0, indices.reshape([count])).reshape(shape)
    })
}

/// Inputs `[table]`.
#[derive(Clone, Debug)]
struct Pick {
    indices: Arc<[i64]>,
    /// Of the result.
    shape: Vec<usize>,
}

impl Kernel<1> for Pick {
    /// Rows and width of the table.
    type Saved = [usize; 2];

    fn forward(&self, [table]: &[FlexTensor; 1]) -> Result<(FlexTensor, Self::Saved), ShapeError> {
        let (table, dims) = (dense(table), table.shape().dims());
        let [_, width] = dims;
        let picked = kernels::embedding(values(&table), &self.indices, width).map_err(unfit)?;
        Ok((tensor(picked, self.shape.clone()), dims))
    }

    fn backward(
        &self,
        dims: Self::Saved,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let grad = dense(&grad);
        let of = values(&grad);
        let sums = kernels::embedding_backward(Level::best(), of, &self.indices, dims);
        Ok([Some(tensor(sums.map_err(unfit)?, dims))])
    }
}
