//! The answers to calls by their numbers, as a binary search.
//!
//! `seccompiler` compares with each call of a list in turn. With more than three hundred calls that costs a start 1.1 ms, and
//! with the sixty refused ones alone 0.1 ms: the kernel compiles the program and runs it once for each of its calls, to
//! learn which are always allowed. A search over runs of neighbouring numbers is some seven comparisons deep.

use seccompiler::sock_filter;

const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Where the kernel puts the number and the architecture of a call.
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// The answer to an allowed call.
pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The answer to a refused one.
pub(super) const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// The answer to all that nothing is said of.
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Calls from this number on, up to the next run's, get this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    from: u32,
    answer: u32,
}

/// A program that gives these calls these answers, ENOSYS to all others, and ends a process that calls as another architecture does.
pub(super) fn program(answers: impl Iterator<Item = (i64, u32)>) -> Vec<sock_filter> {
    let mut program = vec![
        instruction(LOAD_WORD, 0, 0, ARCHITECTURE_OFFSET),
        instruction(JUMP_IF_EQUAL, 1, 0, ARCHITECTURE),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction(LOAD_WORD, 0, 0, NUMBER_OFFSET),
    ];
    program.extend(search(&runs(answers)));
    program
}

/// The whole space of numbers, cut into runs; the first begins at 0.
fn runs(answers: impl Iterator<Item = (i64, u32)>) -> Vec<Run> {
    // The kernel's numbers are small and not negative.
    let mut answers: Vec<(u32, u32)> =
        answers.filter_map(|(number, answer)| Some((u32::try_from(number).ok()?, answer))).collect();
    answers.sort_unstable();
    answers.dedup();
    let mut runs: Vec<Run> = vec![Run { from: 0, answer: UNKNOWN }];
    for (number, answer) in answers {
        // The run before ended just here: it goes on, or another one follows.
        if runs.last() == Some(&Run { from: number, answer: UNKNOWN }) {
            runs.pop();
        }
        if runs.last().is_none_or(|last| last.answer != answer) {
            runs.push(Run { from: number, answer });
        }
        runs.push(Run { from: number + 1, answer: UNKNOWN });
    }
    runs
}

fn search(runs: &[Run]) -> Vec<sock_filter> {
    if let [only] = runs {
        return vec![instruction(RETURN, 0, 0, only.answer)];
    }
    let (lower, upper) = runs.split_at(runs.len() / 2);
    let (below, from_there) = (search(lower), search(upper));
    let distance = below.len() as u32;
    let mut program = Vec::with_capacity(below.len() + from_there.len() + 2);
    match u8::try_from(distance) {
        Ok(near) => program.push(instruction(JUMP_IF_AT_LEAST, near, 0, upper[0].from)),
        // Too far for the eight bits of a condition.
        Err(_) => {
            program.push(instruction(JUMP_IF_AT_LEAST, 0, 1, upper[0].from));
            program.push(instruction(JUMP, 0, 0, distance));
        }
    }
    program.extend(below);
    program.extend(from_there);
    program
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn run(program: &[sock_filter], architecture: u32, number: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            at += 1;
            match code {
                LOAD_WORD => accumulator = if k == NUMBER_OFFSET { number } else { architecture },
                RETURN => return k,
                JUMP => at += k as usize,
                JUMP_IF_EQUAL => at += usize::from(if accumulator == k { jt } else { jf }),
                JUMP_IF_AT_LEAST => at += usize::from(if accumulator >= k { jt } else { jf }),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn each_listed_call_has_its_answer_and_no_other() {
        use super::super::table::{ALLOWED, ALLOWED_HERE};
        let own: Vec<i64> = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| call.number).collect();
        // Far apart, so that some jumps are long.
        let scattered: Vec<i64> = (0..600).map(|number| number * 3 % 1201).collect();
        for list in [vec![], vec![0], vec![5, 5, 6], own, scattered] {
            // Every third is refused, so that runs of both answers meet.
            let answer = |number: i64| if number % 3 == 0 { REFUSE } else { ALLOW };
            let program = program(list.iter().map(|&number| (number, answer(number))));
            for number in (0..1500).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                let call = i64::from(number);
                let expected = if list.contains(&call) { answer(call) } else { UNKNOWN };
                assert_eq!(run(&program, ARCHITECTURE, number), expected, "{number}");
            }
            assert_eq!(run(&program, 0x4000_0003, 1), libc::SECCOMP_RET_KILL_PROCESS);
        }
    }
}
