// store(row, col, sum): y[row, col] = activate(sum + bias[col]) + positions[row mod tokens, col], and + class_token[col] in the
// first row of each item if HAS_CLASS; nothing beyond the edges

override HAS_CLASS: bool = false;
override HAS_BIAS: bool = true;

@group(0) @binding(2) var<storage, read> bias: array<f32>;  // [cols]
@group(0) @binding(3) var<storage, read> class_token: array<f32>;  // [cols]
@group(0) @binding(4) var<storage, read> positions: array<f32>;  // [tokens, cols]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;  // [rows, cols]

fn store(row: u32, col: u32, sum: f32) {
    if row >= params.rows || col >= params.cols {
        return;
    }
    var value = sum;
    if HAS_BIAS {
        value += bias[col];
    }
    value = activate(value);
    let token = row % params.tokens;
    if HAS_CLASS && token == 0u {
        value += class_token[col];
    }
    y[row * params.cols + col] = value + positions[token * params.cols + col];
}
