//! "Did you mean": names like a misspelled one.

/// At most this many names are suggested.
const SUGGESTIONS: usize = 3;

/// The names nearest to `name` by edit distance (transposed neighbours count as one edit), the best first and at most
/// three: those within a third of its length (at least one edit, at most three), or that contain it or begin with it.
#[must_use]
pub fn nearest_names<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for candidate in names {
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
