//! A Tree is rejected, or encodes to the same bytes again.

#![no_main]

use larder_store::Tree;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
        assert_eq!(Tree::new(tree.entries().to_vec()), Ok(tree));
    }
});
