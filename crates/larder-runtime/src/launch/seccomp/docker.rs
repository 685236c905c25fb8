//! The filter compared with Docker's: the compiled programs are asked about every call, and what differs must be in the table here
//! and on `docs/security.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use seccompiler::{BpfProgram, sock_filter};

use super::build;
use super::table::{ALLOWED, ALLOWED_HERE, REFUSED, REFUSED_HERE};

const REFERENCE: &str = include_str!("docker-20.10.txt");

/// What is otherwise on purpose: the calls, whether we allow them, and why.
const DIFFERENCES: &[(&[&str], bool, &str)] = &[
    (
        &["io_uring_enter", "io_uring_register", "io_uring_setup"],
        false,
        "a history of flaws; Docker itself refuses them since",
    ),
    (
        &["cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "map_shadow_stack", "mseal"],
        true,
        "newer than that list; Docker's own has them since",
    ),
    (
        &["name_to_handle_at", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_vm_readv", "process_vm_writev"],
        true,
        "Docker's own list has them since",
    ),
    (&["unshare"], true, "for flags that make no namespace"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allowed,
    ByArgument,
    Refused,
}

/// What Docker says to a call, by name.
fn docker() -> BTreeMap<&'static str, Verdict> {
    let text: Vec<&str> = REFERENCE.lines().filter(|line| !line.starts_with('#')).collect();
    let text = text.join(" ");
    let (allowed, some) = text.split_once(" arguments ").unwrap();
    let words = |text: &'static str, verdict| text.split_whitespace().map(move |word| (word, verdict));
    let (allowed, some): (&'static str, &'static str) = (allowed.to_owned().leak(), some.to_owned().leak());
    words(allowed, Verdict::Allowed).chain(words(some, Verdict::ByArgument)).collect()
}

/// What the kernel would do: it runs every program and takes the strictest answer.
fn answer(programs: &[BpfProgram], number: u32, arguments: [u64; 6]) -> u32 {
    programs.iter().map(|program| run(program, number, arguments)).min_by_key(|answer| answer & 0xffff_0000).unwrap()
}

/// The few instructions that our programs have.
fn run(program: &[sock_filter], number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_ne_bytes());
    data.extend(if cfg!(target_arch = "aarch64") { 0xc000_00b7_u32 } else { 0xc000_003e }.to_ne_bytes());
    data.extend([0; 8]);
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let &sock_filter { code, jt, jf, k } = &program[at];
        at += 1;
        let mut jump = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            0x20 => accumulator = u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().unwrap()),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => jump(accumulator == k),
            0x25 => jump(accumulator > k),
            0x35 => jump(accumulator >= k),
            0x45 => jump(accumulator & k != 0),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn allowed(programs: &[BpfProgram], number: i64, arguments: [u64; 6]) -> bool {
    answer(programs, u32::try_from(number).unwrap(), arguments) == libc::SECCOMP_RET_ALLOW
}

/// Arguments that the calls with conditions are tried with.
fn tries() -> Vec<[u64; 6]> {
    let first =
        [0, 17, 1, 2, 38, 40, 0x0002_0000, 0x1000_0000, 0x0400_0000, 0x4000_0000, 0x0200_0000, 0xffff_ffff, 0x4_0000];
    let mut tries: Vec<[u64; 6]> = first.into_iter().map(|value| [value, 0, 0, 0, 0, 0]).collect();
    tries.push([0, libc::TIOCSTI, 0, 0, 0, 0]);
    tries
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_filter_is_dockers_but_for_what_is_said() {
    let programs = build().unwrap();
    let docker = docker();
    assert!(docker.len() > 250, "{}", docker.len());
    let known = [ALLOWED, ALLOWED_HERE, REFUSED, REFUSED_HERE].concat();
    let names: BTreeSet<&str> = known.iter().map(super::table::Call::name).collect();
    let unknown: Vec<_> = docker.keys().filter(|name| !names.contains(*name)).collect();
    assert_eq!(unknown, Vec::<&&str>::new(), "calls that Docker allows and our lists don't have");
    let mut different = BTreeMap::new();
    for call in &known {
        let ours: Vec<bool> = tries().into_iter().map(|arguments| allowed(&programs, call.number, arguments)).collect();
        let ours = match (ours.contains(&true), ours.contains(&false)) {
            (true, false) => Verdict::Allowed,
            (true, true) => Verdict::ByArgument,
            _ => Verdict::Refused,
        };
        let theirs = docker.get(call.name()).copied().unwrap_or(Verdict::Refused);
        // Refused to us by one argument where Docker allows all: compared in another test.
        if ours != theirs && !["ioctl", "socket", "socketpair"].contains(&call.name()) {
            different.insert(call.name(), ours != Verdict::Refused);
        }
    }
    let said: BTreeMap<&str, bool> =
        DIFFERENCES.iter().flat_map(|(names, allowed, _)| names.iter().map(|name| (*name, *allowed))).collect();
    assert_eq!(different, said);
    // What no list has is unknown to the filter.
    let numbers: BTreeSet<i64> = known.iter().map(|call| call.number).collect();
    for number in (0..1000).filter(|number| !numbers.contains(number)) {
        assert_eq!(answer(&programs, number as u32, [0; 6]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, "{number}");
    }
}

#[test]
fn conditions_are_dockers_but_for_what_is_said() {
    let programs = build().unwrap();
    let first = |call, value| allowed(&programs, call, [value, 0, 0, 0, 0, 0]);
    for flag in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        // Docker's mask, 0x7e020000, bit by bit; alone and with the flags of a thread.
        assert!(!first(libc::SYS_clone, flag | 17) && !first(libc::SYS_clone, flag | 0x003d_0f00), "{flag:x}");
        assert!(!first(libc::SYS_unshare, flag), "{flag:x}");
    }
    assert!(first(libc::SYS_clone, 17) && first(libc::SYS_clone, 0x003d_0f00) && first(libc::SYS_unshare, 0x200));
    for (value, expected) in
        [(0, true), (8, true), (0x2_0000, true), (0x2_0008, true), (0xffff_ffff, true), (0x4_0000, false)]
    {
        assert_eq!(first(libc::SYS_personality, value), expected, "{value:x}");
    }
    // Ours alone: what Docker 20.10 allows. Docker refuses these families since.
    for (family, expected) in
        [(libc::AF_UNIX, true), (libc::AF_INET6, true), (libc::AF_ALG, false), (libc::AF_VSOCK, false)]
    {
        assert_eq!(first(libc::SYS_socket, family as u64), expected, "{family}");
        assert_eq!(first(libc::SYS_socketpair, family as u64), expected, "{family}");
    }
    assert!(!allowed(&programs, libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]));
    assert!(allowed(&programs, libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0]));
    assert_eq!(answer(&programs, libc::SYS_clone3 as u32, [0; 6]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
}

#[test]
fn the_page_names_every_difference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (names, _, reason) in DIFFERENCES {
        let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty() && page.contains(reason), "{missing:?}: {reason}");
    }
}
