//! Versions beside `dpkg --compare-versions`.
#[test]
fn placeholder() {}
