#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Letters and digits in lower case, with one dash for everything between them.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

fn main() -> ExitCode {
    let title: Vec<String> = std::env::args().skip(1).collect();
    if title.is_empty() {
        eprintln!("usage: slug TITLE");
        return ExitCode::from(2);
    }
    println!("{}", slug(&title.join(" ")));
    ExitCode::SUCCESS
}

#[test]
fn what_is_no_letter_or_digit_separates() {
    assert_eq!(slug("  Plum Jam, 2026! "), "plum-jam-2026");
    assert_eq!(slug("Größe"), "größe");
    assert_eq!(slug("--"), "");
}
