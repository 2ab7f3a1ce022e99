// store(row, col, sum): a transposed convolution with stride = kernel. Row (y, x) of an item's grid, after LEAD rows that are left
// out, and column (o, dy, dx): y[y·KERNEL + dy, x·KERNEL + dx, o] = activate(sum + bias[o]); nothing beyond the edges

override LEAD: u32 = 0u;    // rows of an item before its grid: a class token
override GRID: u32 = 1u;    // rows along a side of the grid
override KERNEL: u32 = 1u;  // places of y along a side of what a row becomes
override HAS_BIAS: bool = true;

@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [cols / KERNEL²]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [batch, GRID · KERNEL, GRID · KERNEL, cols / KERNEL²]

fn store(row: u32, col: u32, sum: f32) {
    let rows = LEAD + GRID * GRID;
    let token = row % rows;
    if row >= params.rows || col >= params.cols || token < LEAD {
        return;
    }
    let channel = col / (KERNEL * KERNEL);
    var value = sum;
    if HAS_BIAS {
        value += bias[channel];
    }
    let place = token - LEAD;
    let side = GRID * KERNEL;
    let py = place / GRID * KERNEL + col / KERNEL % KERNEL;
    let px = place % GRID * KERNEL + col % KERNEL;
    let channels = params.cols / (KERNEL * KERNEL);
    y[((row / rows * side + py) * side + px) * channels + channel] = activate(value);
}
