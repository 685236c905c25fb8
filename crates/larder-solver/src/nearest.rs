//! "Did you mean": names like a misspelled one.

/// At most this many names are suggested.
const SUGGESTIONS: usize = 3;

/// The names nearest to `name` by edit distance (transposed neighbours count as one edit), the best first and at most
/// three: those within a third of its length (at least one edit, at most three).
#[must_use]
pub fn nearest_names<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for candidate in names {
        // Each edit changes the length by at most one character, which is at most four bytes.
        if candidate.len().abs_diff(name.len()) > limit * 4 {
            continue;
        }
        let distance = strsim::osa_distance(name, candidate);
        if distance <= limit && candidate != name {
            found.push((distance, candidate));
        }
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] =
        ["nginx", "nginx-light", "nginx-core", "openssl", "python3", "python3.11", "redis-server", "redis"];

    fn near(name: &str) -> Vec<String> {
        nearest_names(name, NAMES)
    }

    #[test]
    fn misspellings() {
        assert_eq!(near("ngnix"), ["nginx"]);
        assert_eq!(near("opensssl"), ["openssl"]);
        assert_eq!(near("redis-sever"), ["redis-server"]);
        assert_eq!(near("python"), ["python3"]);
        assert_eq!(near("zzzzzz"), [""; 0]);
    }

    #[test]
    fn the_best_come_first_and_are_few() {
        assert_eq!(
            nearest_names("abcdefghi", ["abcdefgh", "abcdefg", "abcdefghij", "abcdef", "abcdefghx"]),
            ["abcdefgh", "abcdefghij", "abcdefghx"]
        );
    }
}
