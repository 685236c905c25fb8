//! Debian's rules, one test each.

use crate::universe::{Small, shown};

#[test]
fn chain_deeper_than_any_stack() {
    let mut text = String::new();
    for i in 0..4000 {
        text.push_str(&format!("p{i} 1\n  Depends: p{}\n", i + 1));
    }
    text.push_str("p4000 1\n");
    assert_eq!(shown(&Small::parse(&text).solve(&["p0"]).unwrap()).len(), 4001);
}
