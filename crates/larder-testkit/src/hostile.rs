//! Hostile bytes: the seeds of the fuzz targets and mutations of them, the same ones in every run.
//!
//! A fuzz target (`fuzz/`) is one function of a crate. [`feed`] calls that function in the crate's own tests, so that every
//! test run covers what the seeds reach; libFuzzer goes on from the same seeds with the program's coverage as its guide.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// What takes the bytes; it panics where something that must hold doesn't.
pub type Entry = fn(&[u8]);

/// A mutation may make an input this much longer, in bytes.
const GROWTH: usize = 4096;
/// What parsers like least: ends of ranges, separators, quotes.
const TOKENS: [&[u8]; 26] = [
    b"\0",
    b"\n",
    b"\n\n",
    b"\r\n",
    b" ",
    b"\t",
    b"/",
    b"..",
    b"/../",
    b"\\",
    b"\"",
    b"'",
    b":",
    b",",
    b"|",
    b"-",
    b"~",
    b"0",
    b"-1",
    b"4294967295",
    b"18446744073709551615",
    b"9007199254740992",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"\xc3\xa9",
    b"$(",
];

/// The folder of a target's seeds.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(""));
    project.join("fuzz/seeds").join(target)
}

/// A target's seeds with their names, sorted by name.
///
/// # Panics
/// A target without seeds: it would be tested with nothing.
#[must_use]
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a seed"))
        })
        .collect();
    assert!(!seeds.is_empty(), "{} has no seed", folder.display());
    seeds.sort();
    seeds
}

/// Calls a target with nothing, with each of its seeds, and with so many mutations of them. Which, is decided by the target's
/// name alone.
///
/// # Panics
/// Where the target does; the input is then printed.
pub fn feed(target: &str, mutations: u32, entry: Entry) {
    let seeds = seeds(target);
    call(target, "nothing", b"", entry);
    for (name, seed) in &seeds {
        call(target, name, seed, entry);
    }
    let mut random = Random(target.bytes().fold(0x9e37_79b9_7f4a_7c15, |sum, byte| mix(sum ^ u64::from(byte))));
    for number in 0..mutations {
        let (name, seed) = &seeds[random.below(seeds.len())];
        let other = &seeds[random.below(seeds.len())].1;
        let bytes = mutated(seed, other, &mut random);
        call(target, &format!("mutation {number} of {name}"), &bytes, entry);
    }
}

/// Says what the input was, when the call ends in a panic.
struct Input<'a> {
    target: &'a str,
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let shown = self.bytes.len().min(2000);
            // A panicking test's output is shown by the harness.
            #[expect(clippy::print_stderr, reason = "a test says which input it failed with")]
            {
                eprintln!("{}: {}: {}", self.target, self.name, self.bytes[..shown].escape_ascii());
            }
        }
    }
}

fn call(target: &str, name: &str, bytes: &[u8], entry: Entry) {
    let _input = Input { target, name, bytes };
    entry(bytes);
}

/// One to eight changes of a seed.
fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(8) {
        change(&mut bytes, other, random);
    }
    bytes.truncate(seed.len() + GROWTH);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let most = 1 << random.below(8);
    let length = random.below(most).min(bytes.len() - at);
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => _ = bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied()),
        3 => _ = bytes.splice(at..at + length, TOKENS[random.below(TOKENS.len())].iter().copied()),
        4 => _ = bytes.drain(at..at + length),
        5 => bytes.truncate(at),
        6 => {
            let part = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len() + 1);
            let times = 1 + random.below(4);
            bytes.splice(to..to, part.repeat(times));
        }
        7 => {
            let from = random.below(other.len() + 1);
            let part = &other[from..(from + length).min(other.len())];
            bytes.splice(at..at + length, part.iter().copied());
        }
        // A number becomes another.
        _ => {
            if let Some(digit) = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found) {
                bytes[digit] = b'0' + random.below(10) as u8;
            }
        }
    }
}

/// A sequence of numbers that is the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below another, 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_many_and_the_same_in_every_run() {
        let run = || {
            let mut random = Random(1);
            (0..500).map(|_| mutated(b"Package: a\nVersion: 1\n", b"other", &mut random)).collect::<Vec<_>>()
        };
        let mut all = run();
        assert_eq!(all, run());
        all.sort();
        all.dedup();
        assert!(all.len() > 400, "{}", all.len());
    }
}
