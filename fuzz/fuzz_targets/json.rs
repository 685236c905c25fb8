//! Canonical JSON is rejected, or encodes to the same bytes again.

#![no_main]

use larder_store::json;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::decode(bytes) {
        assert_eq!(json::encode(&value), bytes);
    }
});
