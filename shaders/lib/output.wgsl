// store(row, col, sum): y[row, FIRST + col] = activate(sum + bias[col])   (+ y[row, FIRST + col] if ACCUMULATE); nothing beyond the
// edges. A row of y has OF numbers, or as many as there are columns if OF is 0.

override ACCUMULATE: bool = false;
override HAS_BIAS: bool = true;
override FIRST: u32 = 0u;
override OF: u32 = 0u;

@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, OF or cols]

fn store(row: u32, col: u32, sum: f32) {
    if row >= params.rows || col >= params.cols {
        return;
    }
    var value = sum;
    if HAS_BIAS {
        value += bias[col];
    }
    value = activate(value);
    let at = row * select(OF, params.cols, OF == 0u) + FIRST + col;
    if ACCUMULATE {
        value += y[at];
    }
    y[at] = value;
}
