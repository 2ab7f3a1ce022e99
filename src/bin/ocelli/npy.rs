//! NumPy's files.

use std::{fs, path::Path};

use ocelli::Result;

use crate::bad_input;

/// Writes rows of one shape.
pub fn write(path: &Path, rows: &[Vec<f32>], shape: &[usize]) -> Result<()> {
    fs::write(path, bytes(rows, shape)).map_err(|e| bad_input(format!("{}: {e}", path.display())))
}

/// Rows of one shape as format version 1: float32 in C's order, `[rows, …shape]`.
pub fn bytes(rows: &[Vec<f32>], shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = [rows.len()].iter().chain(shape).map(usize::to_string).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sides.join(", "));
    // The numbers start at a multiple of 64 bytes; before the header stand 10.
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|number| number.to_le_bytes()));
    bytes
}
