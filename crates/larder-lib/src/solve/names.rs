//! Names as the solver knows them. A package of Debian's has its short name there, because that is what Debian's packages call
//! each other; every other package has its full name. The solver compares names and knows nothing of domains.

use std::collections::BTreeSet;

use larder_debian::convert::DOMAIN;
use larder_solver::{Root, Update};
use larder_store::Name;
use larder_store::name::NameError;

use crate::solve::Earlier;
use crate::{Error, Result};

/// The solver's name of a package.
pub fn solver_name(name: &Name) -> &str {
    word(name.as_str()).unwrap_or(name.as_str())
}

/// The full name of a package that the solver calls so.
///
/// # Errors
/// A word that is no name.
pub fn full_name(solver: &str) -> Result<Name, NameError> {
    if solver.contains('/') { Name::parse(solver) } else { Name::parse(&format!("{DOMAIN}/{solver}")) }
}

/// A name in a record's requirements, as the solver knows it: a short one is of the record's own domain.
pub(super) fn of_requirement(written: &str, domain: &str) -> String {
    match written.split_once('/') {
        Some((first, _)) if first.contains('.') => word(written).unwrap_or(written).to_owned(),
        _ if domain == DOMAIN => written.to_owned(),
        _ => format!("{domain}/{written}"),
    }
}

/// A root by the solver's name.
pub fn solver_root(root: &Root) -> Root {
    let name = word(&root.name).unwrap_or(&root.name).to_owned();
    Root { name, constraints: root.constraints.clone() }
}

/// What may change of an earlier answer, where packages and distributions are named as somebody typed them, short or in full.
///
/// # Errors
/// A name that nothing of the earlier answer has, or a short one that several packages have.
pub fn freed(named: &Update, earlier: &Earlier) -> Result<Update> {
    let Update::Some(names) = named else { return Ok(named.clone()) };
    names.iter().map(|name| freed_name(name, earlier)).collect::<Result<BTreeSet<_>>>().map(Update::Some)
}

fn freed_name(name: &str, earlier: &Earlier) -> Result<String> {
    let wanted = word(name).unwrap_or(name);
    let is_distribution = |known: &Name| known.as_str() == name;
    if earlier.distributions.keys().any(is_distribution)
        || (name.contains('/') && earlier.versions.contains_key(wanted))
    {
        return Ok(wanted.to_owned());
    }
    let short = |known: &&String| known.rsplit('/').next() == Some(name);
    let found: Vec<&String> = earlier.versions.keys().filter(short).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let known = earlier.versions.keys().map(String::as_str);
            let nearest = larder_solver::nearest_names(wanted, known);
            Err(Error::NotInImage { package: name.to_owned(), nearest })
        }
        several => {
            let names = several.iter().map(|known| full_name(known)).collect::<Result<_, _>>()?;
            Err(Error::SeveralInImage { package: name.to_owned(), names })
        }
    }
}

/// The short name of a package of Debian's.
fn word(name: &str) -> Option<&str> {
    name.split_once('/').filter(|(domain, path)| *domain == DOMAIN && !path.contains('/')).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_packages_have_short_names_and_others_full_ones() {
        for (full, solver) in [("debian.org/libc6", "libc6"), ("example.com/team/hello", "example.com/team/hello")] {
            let name = Name::parse(full).expect("name");
            assert_eq!(solver_name(&name), solver);
            assert_eq!(full_name(solver).expect("name"), name);
        }
    }

    #[test]
    fn a_requirement_is_of_its_own_domain() {
        for (written, domain, expected) in [
            ("libc6", "debian.org", "libc6"),
            ("debian.org/libc6", "example.com", "libc6"),
            ("hello-data", "example.com", "example.com/hello-data"),
            ("team/data", "example.com", "example.com/team/data"),
            ("example.org/x", "example.com", "example.org/x"),
        ] {
            assert_eq!(of_requirement(written, domain), expected);
        }
    }
}
