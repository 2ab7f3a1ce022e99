// store(row, col, sum): y[row, col] = activate(sum + bias[col])   (+ y[row, col] if ACCUMULATE); nothing beyond the edges

override ACCUMULATE: bool = false;
override HAS_BIAS: bool = true;

@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, cols]

fn store(row: u32, col: u32, sum: f32) {
    if row >= params.rows || col >= params.cols {
        return;
    }
    var value = sum;
    if HAS_BIAS {
        value += bias[col];
    }
    value = activate(value);
    let at = row * params.cols + col;
    if ACCUMULATE {
        value += y[at];
    }
    y[at] = value;
}
