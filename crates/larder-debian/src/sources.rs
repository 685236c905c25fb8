//! Where the archive is: the machine's apt sources.
