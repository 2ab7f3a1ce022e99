//! An output shared by columns.

/// Cuts the first `count` columns of rows of `stride` numbers into parts of at most `width`: for each part, its piece of every row.
pub fn columns(y: &mut [f32], stride: usize, count: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let rows = y.len() / stride;
    let mut parts: Vec<Vec<&mut [f32]>> = (0..count.div_ceil(width)).map(|_| Vec::with_capacity(rows)).collect();
    for row in y.chunks_exact_mut(stride) {
        parts.iter_mut().zip(row[..count].chunks_mut(width)).for_each(|(part, piece)| part.push(piece));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_cover_every_number_once() {
        for (rows, stride, count, width) in
            [(1, 1, 1, 1), (3, 7, 7, 3), (4, 64, 64, 16), (2, 40, 40, 64), (3, 7, 5, 2), (2, 40, 16, 16)]
        {
            let mut y = vec![0.0; rows * stride];
            let parts = columns(&mut y, stride, count, width);
            assert!(parts.iter().all(|part| part.len() == rows));
            for (at, part) in parts.into_iter().enumerate() {
                part.into_iter().flatten().for_each(|x| *x += 1.0 + at as f32);
            }
            let expected = |column| if column < count { 1.0 + (column / width) as f32 } else { 0.0 };
            let expected: Vec<f32> = (0..rows * stride).map(|i| expected(i % stride)).collect();
            assert_eq!(y, expected);
        }
    }
}
