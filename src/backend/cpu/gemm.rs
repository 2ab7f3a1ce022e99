//! The one call of `gemm`: lengths are checked here, because it takes pointers.

#![expect(unsafe_code, reason = "gemm takes pointers; every index that it may touch is checked first")]

use gemm::Parallelism;

/// A matrix that lies in a slice with these distances from row to row and from column to column.
#[derive(Clone, Copy)]
pub struct View<T> {
    pub data: T,
    pub rows: usize,
    pub cols: usize,
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<T> View<T> {
    /// Numbers up to the last one, its own place included.
    fn span(&self) -> usize {
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
    }
}

/// A matrix of which one row follows the other at `stride`.
pub fn by_rows<T>(data: T, rows: usize, cols: usize, stride: usize) -> View<T> {
    View { data, rows, cols, row_stride: stride, col_stride: 1 }
}

/// The transpose of one.
pub fn transposed<T>(view: View<T>) -> View<T> {
    let View { data, rows, cols, row_stride, col_stride } = view;
    View { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
}

/// y = scale · a·b
pub fn product(y: View<&mut [f32]>, a: View<&[f32]>, b: View<&[f32]>, scale: f32) {
    assert!(y.rows == a.rows && y.cols == b.cols && a.cols == b.rows, "shapes fit");
    if y.rows == 0 || y.cols == 0 || a.cols == 0 {
        return;
    }
    assert!(y.span() <= y.data.len() && a.span() <= a.data.len() && b.span() <= b.data.len(), "views are in bounds");
    // Two places of the output must not be one.
    assert!(y.col_stride == 1 && y.row_stride >= y.cols, "rows of the output do not overlap");
    let stride = |n: usize| n as isize;
    // SAFETY: all three views were checked to lie within their slices, and the output is borrowed alone.
    unsafe {
        gemm::gemm(
            y.rows,
            y.cols,
            a.cols,
            y.data.as_mut_ptr(),
            stride(y.col_stride),
            stride(y.row_stride),
            false,
            a.data.as_ptr(),
            stride(a.col_stride),
            stride(a.row_stride),
            b.data.as_ptr(),
            stride(b.col_stride),
            stride(b.row_stride),
            0.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
