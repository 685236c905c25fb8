#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larder_debian::fuzzing::source_index(bytes));
