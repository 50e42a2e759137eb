//! CPU kernels: plain slices in, plain slices out. No tensor library inside.
