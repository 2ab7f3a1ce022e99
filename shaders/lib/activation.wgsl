// activate(x) by ACTIVATION: 0 x, 1 x·σ(1.702 x), 2 x·Φ(x), 3 the tanh approximation of x·Φ(x), 4 max(x, 0), 5 x·σ(x).

override ACTIVATION: u32 = 0u;

// Abramowitz and Stegun 7.1.26: within 1.5e-7 of the error function.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - poly * exp(-x * x));
}

fn activate(x: f32) -> f32 {
    switch ACTIVATION {
        case 1u: {
            return x / (1.0 + exp(-1.702 * x));
        }
        case 2u: {
            return 0.5 * x * (1.0 + erf(x * 0.70710678));
        }
        case 3u: {
            // Clamped, because a driver may compute tanh through exp, which overflows; tanh(10) is 1 in f32.
            let inner = clamp(0.79788456 * (x + 0.044715 * x * x * x), -10.0, 10.0);
            return 0.5 * x * (1.0 + tanh(inner));
        }
        case 4u: {
            return max(x, 0.0);
        }
        case 5u: {
            // Clamped, because what exp is beyond the largest number is the driver's choice.
            return x / (1.0 + exp(min(-x, 87.0)));
        }
        default: {
            return x;
        }
    }
}
