//! Operations of the library, called as the binary calls them, on a small signed archive of files. No network, no containers.

mod operations {
    mod arm64;
    mod kept;
    mod keys;
    mod machine;
    mod own;
    mod same;
}
