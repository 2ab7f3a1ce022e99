// sum_over_lanes(lane, value): the sum of all lanes' values, known to each of them; for kernels with one workgroup a row.

override WORKGROUP: u32 = 64;

var<workgroup> partial: array<f32, WORKGROUP>;

fn sum_over_lanes(lane: u32, value: f32) -> f32 {
    workgroupBarrier();  // the last sum has been read
    partial[lane] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP; i++) {
        sum += partial[i];
    }
    return sum;
}
