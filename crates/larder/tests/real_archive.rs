//! End to end on the real Debian archive: real packages become images, and the images do their work, as root and as an
//! ordinary user. Skipped, loudly, where no mirror is reachable.
//!
//! All tests of one identity share a store, so that what they have in common is fetched once; it is kept between runs, in
//! `/var/tmp` or the folder that `LARDER_TEST_STORES` names. `scripts/battery` runs all of them and writes a page with the result.

#[path = "real_archive/captured.rs"]
mod captured;
#[path = "real_archive/compilers.rs"]
mod compilers;
#[path = "real_archive/examples.rs"]
mod examples;
#[path = "real_archive/git.rs"]
mod git;
#[path = "real_archive/http.rs"]
mod http;
#[path = "real_archive/interpreters.rs"]
mod interpreters;
#[path = "real_archive/nginx.rs"]
mod nginx;
#[path = "real_archive/postgresql.rs"]
mod postgresql;
#[path = "real_archive/program.rs"]
mod program;
#[path = "real_archive/python.rs"]
mod python;
#[path = "real_archive/redis.rs"]
mod redis;
#[path = "real_archive/servers.rs"]
mod servers;
#[path = "real_archive/sources.rs"]
mod sources;
#[path = "real_archive/system.rs"]
mod system;
#[path = "real_archive/world.rs"]
mod world;

/// Makes a test of each scenario for root and for an ordinary user.
macro_rules! scenarios {
    ($($(#[$attribute:meta])* $name:ident => $scenario:path,)*) => {
        mod as_root {
            $(#[test]
            $(#[$attribute])*
            fn $name() {
                super::world::as_root(stringify!($name), $scenario);
            })*
        }

        mod as_user {
            $(#[test]
            $(#[$attribute])*
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
    scripts_of_pam_are_captured => crate::captured::pam,
    scripts_of_ssh_leave_its_keys_behind => crate::captured::ssh,
    scripts_of_mariadb_leave_its_database_behind => crate::captured::mariadb,
    example_of_a_c_program => crate::examples::c,
    example_of_a_rust_program => crate::examples::rust,
    example_of_a_go_program => crate::examples::go,
    example_of_a_python_web_app => crate::examples::python,
    example_of_a_node_app => crate::examples::node,
    example_of_a_configuration => crate::examples::configuration,
    example_of_a_distribution => crate::examples::distribution,
    a_source_package_is_unpacked_and_built => crate::sources::debian,
    what_is_compiled_in_is_listed => crate::examples::what_is_compiled_in,
    perl_has_its_modules => crate::interpreters::perl,
    ruby_has_its_libraries => crate::interpreters::ruby,
    node_serves_itself => crate::interpreters::node,
    php_fpm_answers => crate::interpreters::php_fpm,
    apache_serves_its_page => crate::servers::apache,
    haproxy_proxies => crate::servers::haproxy,
    memcached_sets_and_gets => crate::servers::memcached,
    postfix_delivers => crate::servers::postfix,
    exim_accepts => crate::servers::exim,
    locales_sort => crate::system::locale,
    fonts_are_listed => crate::system::fonts,
    schemas_and_types_are_known => crate::system::schemas_and_types,
    picture_loaders_are_found => crate::system::picture_loaders,
    dpkg_and_apt_list_the_packages => crate::system::dpkg_and_apt,
    #[ignore = "large: run by scripts/battery"]
    gcc_and_gxx_compile => crate::compilers::gcc_and_gxx,
    #[ignore = "large: run by scripts/battery"]
    go_compiles => crate::compilers::go,
    #[ignore = "large: run by scripts/battery"]
    java_compiles_and_trusts => crate::compilers::java,
    #[ignore = "large: run by scripts/battery"]
    mariadb_makes_a_database_and_answers => crate::servers::mariadb,
    #[ignore = "large: run by scripts/battery"]
    rabbitmq_keeps_a_message => crate::servers::rabbitmq,
}
