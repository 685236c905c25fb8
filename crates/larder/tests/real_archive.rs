//! End to end on the real Debian archive: real packages become images, and the images do their work, as root and as an
//! ordinary user. Skipped, loudly, where no mirror is reachable.
//!
//! All tests of one identity share a store, so that what they have in common is fetched once; it is kept between runs.

#[path = "real_archive/git.rs"]
mod git;
#[path = "real_archive/nginx.rs"]
mod nginx;
#[path = "real_archive/postgresql.rs"]
mod postgresql;
#[path = "real_archive/python.rs"]
mod python;
#[path = "real_archive/redis.rs"]
mod redis;
#[path = "real_archive/world.rs"]
mod world;

/// Makes a test of each scenario for root and for an ordinary user.
macro_rules! scenarios {
    ($($name:ident => $scenario:path,)*) => {
        mod as_root {
            $(#[test]
            fn $name() {
                super::world::as_root(stringify!($name), $scenario);
            })*
        }

        mod as_user {
            $(#[test]
            fn $name() {
                super::world::as_user(stringify!($name), $scenario);
            })*
        }
    };
}

scenarios! {
    nginx_serves_the_site_and_the_new_page => crate::nginx::serves_the_site_and_the_new_page,
    redis_answers => crate::redis::answers,
    redis_answers_on_trixie => crate::redis::answers_on_trixie,
    python_verifies_a_chain_against_the_composed_store => crate::python::verifies_a_chain,
    postgresql_makes_a_cluster_and_answers => crate::postgresql::answers,
    git_commits_and_clones => crate::git::commits_and_clones,
}
