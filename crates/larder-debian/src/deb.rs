//! Reading a `.deb` as a stream.
