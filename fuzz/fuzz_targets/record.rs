//! A FileSet record is rejected, or encodes to the same bytes again.

#![no_main]

use larder_store::FileSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = FileSet::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
});
