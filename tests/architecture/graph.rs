//! Which file knows which, and whether that goes round in a circle.

use std::collections::{BTreeMap, BTreeSet};

/// Files by path, each with those that it imports from.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// A circle, as `a → b → a`, if there is one.
pub fn circle(graph: &Graph) -> Option<String> {
    let mut left = graph.clone();
    // A file that imports from nothing that is left is part of no circle.
    loop {
        let ends: BTreeSet<String> = left
            .iter()
            .filter(|(_, to)| !to.iter().any(|file| left.contains_key(file)))
            .map(|(file, _)| file.clone())
            .collect();
        if ends.is_empty() {
            break;
        }
        left.retain(|file, _| !ends.contains(file));
    }
    // From here on each step leads to another, so that one comes twice.
    let mut way = vec![left.keys().next()?];
    loop {
        let next = left[*way.last()?].iter().find(|file| left.contains_key(*file))?;
        if let Some(start) = way.iter().position(|file| *file == next) {
            way.push(next);
            return Some(way[start..].iter().map(|file| file.as_str()).collect::<Vec<_>>().join(" → "));
        }
        way.push(next);
    }
}

/// Takes the excused edges away; those that are not there are returned, because nothing is left to excuse.
pub fn excuse<'a>(graph: &mut Graph, excused: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let inside = |file: &str, of: &str| file == of || file.starts_with(&format!("{of}/"));
    let mut idle = excused.to_vec();
    for (from, to) in graph.iter_mut() {
        to.retain(|to| {
            let found = excused.iter().find(|(a, b)| inside(from, a) && inside(to, b));
            idle.retain(|pair| Some(pair) != found);
            found.is_none()
        });
    }
    idle
}

fn tree(edges: &[(&str, &[&str])]) -> Graph {
    edges.iter().map(|(from, to)| ((*from).into(), to.iter().map(|to| (*to).into()).collect())).collect()
}

#[test]
fn circles_are_found_and_named() {
    assert_eq!(circle(&tree(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    assert_eq!(circle(&tree(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])])).as_deref(), Some("b → c → b"));
    assert_eq!(circle(&tree(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])])).as_deref(), Some("a → b → c → a"));
    // What is outside the tree imports nothing.
    assert_eq!(circle(&tree(&[("a", &["elsewhere"])])), None);
}

#[test]
fn an_excuse_takes_one_direction_away_and_must_be_needed() {
    let mut graph = tree(&[("x.rs", &["y/a.rs"]), ("y/a.rs", &["x.rs"])]);
    assert_eq!(excuse(&mut graph.clone(), &[("y", "z")]), [("y", "z")]);
    assert!(circle(&graph).is_some());
    assert!(excuse(&mut graph, &[("y", "x.rs")]).is_empty());
    assert_eq!(circle(&graph), None);
}
