//! `ocelli bench`, on the CPU.

use serde_json::Value;

use crate::program::{json, ocelli, refused};

/// What `ocelli bench` says of the CPU fits together: shares are of the roof, and times are of the work that the shapes make.
#[test]
fn bench_measures_the_cpu() {
    let bench = ["--backend", "cpu", "--threads", "2", "bench", "--models", "ocelli-tiny", "--formats", "q8"];
    let steps = json(&[&bench[..], &["--batches", "2", "--steps", "--block-only"]].concat());
    let sound = |report: &Value| -> Result<(), String> {
        let number = |value: &Value| value.as_f64().filter(|x| *x > 0.0).ok_or(format!("{value}"));
        let near = |what: &str, found: f64, expected: f64| match (found / expected - 1.0).abs() < 1e-6 {
            true => Ok(()),
            false => Err(format!("{what}: expected {expected}, found {found}")),
        };
        let lines = report["lines"].as_array().ok_or("no lines")?;
        let names = ["norm1", "qkv", "attention", "out", "norm2", "fc1", "fc2"];
        // Two pictures of 64 patches: products of 256 with 768, 256, 768; and of 768 with 256.
        let flops = [0, 3, 0, 1, 0, 3, 3].map(|times| f64::from(2 * 128 * 256 * 256 * times));
        if lines.len() != names.len() {
            return Err(format!("expected {} steps, found {}", names.len(), lines.len()));
        }
        for ((line, name), flops) in lines.iter().zip(names).zip(flops) {
            if line["step"] != format!("vision.block.1.{name}") {
                return Err(format!("expected {name}, found {}", line["step"]));
            }
            let ms = number(&line["ms"])?;
            near("a picture", number(&line["ms_each"])?, ms / 2.0)?;
            let share = number(&line["gbytes"])? / number(&report["roofs"]["gbytes"])?;
            near("share of bytes", number(&line["gbytes_share"])?, share)?;
            near(
                "share of the roof",
                number(&line["roof_share"])?,
                f64::max(share, line["gflops_share"].as_f64().ok_or("no share")?),
            )?;
            if flops > 0.0 {
                near(name, number(&line["gflops"])?, flops / ms / 1e6)?;
                let share = number(&line["gflops"])? / number(&report["roofs"]["gflops"])?;
                near("share of the roof", number(&line["gflops_share"])?, share)?;
            }
        }
        Ok(())
    };
    sound(&steps).expect("a sound report");
    let changes: [fn(&mut Value); 6] = [
        |report| report["lines"][2]["roof_share"] = 2.into(),
        |report| report["roofs"]["gflops"] = 1.into(),
        |report| report["lines"][1]["ms"] = 1.into(),
        |report| report["lines"][3]["gflops_share"] = 0.5.into(),
        |report| report["lines"][0]["gbytes"] = 1e-9.into(),
        |report| drop(report["lines"].as_array_mut().expect("lines").pop()),
    ];
    for change in changes {
        let mut wrong = steps.clone();
        change(&mut wrong);
        assert!(sound(&wrong).is_err(), "{wrong}");
    }
    assert_eq!((&steps["threads"], &steps["lines"][0]["model"]), (&2.into(), &"ocelli-tiny".into()));
    let folder = tempfile::tempdir().expect("a folder");
    let ratios = folder.path().join("ratios.json").display().to_string();
    let towers = json(&[&bench[..], &["--batches", "1", "--ratios", &ratios]].concat());
    let names: Vec<_> = towers["lines"].as_array().expect("lines").iter().map(|line| &line["work"]).collect();
    assert_eq!(names, ["picture", "text"]);
    // A run beside its own ratios; and beside ones that it cannot have kept.
    let against = ["--batches", "1", "--against", &ratios, "--tolerance"];
    json(&[&bench[..], &against, &["1"]].concat());
    let faster = std::fs::read_to_string(&ratios).expect("ratios").replace("picture\":", "picture\":9");
    std::fs::write(&ratios, faster).expect("written");
    let slower = ocelli(&[&bench[..], &against, &["0.5"]].concat());
    assert!(!slower.status.success());
    assert!(String::from_utf8_lossy(&slower.stderr).contains("found less in 1 of 2 lines"), "{slower:?}");
    assert!(refused(&[&bench[..], &["--tiers", "wide"]].concat()).contains("the CPU, which has no tiers"));
}
