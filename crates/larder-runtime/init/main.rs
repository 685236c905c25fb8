//! The program of Larder's own that runs inside a container: a few system calls on numbers and texts that it is given, and nothing else.
//!
//! It is a program for itself, without the standard library, because of what it is *not*: the launcher's own program. Whatever a
//! workload reaches through `/proc/<pid>/exe` of a process of ours, or executes as `/proc/self/exe`, is this one, in memory that is
//! sealed. It is also small enough to be loaded in a tenth of a millisecond, and to stay for as long as the container does.
//!
//! `crates/larder-runtime/build.rs` compiles it, and `src/launch/inside.rs` executes it, with one of two first arguments:
//!
//! - `attend WORKLOAD CHANNEL GATE PLACE`: as PID 1. Lets the workload go, reaps, hands signals on, tells the launcher of the workload's end,
//!   and the supervisor of its own.
//! - `become CHANNEL GATE PROGRAM ARGUMENT…`: as what is to be the workload. Waits until PID 1 lets it go, and executes PROGRAM, with its own environment.
//!
//! WORKLOAD is a process id; the others are numbers of descriptors: CHANNEL the socket to the launcher, GATE the two ends of a pipe,
//! PLACE the socket to the supervisor.

#![no_std]
#![no_main]
// There is no C library whose functions the compiler could call in the place of loops.
#![no_builtins]

mod kernel;

use core::panic::PanicInfo;

use kernel::Text;

/// The exit code of a process of ours that failed; the launcher has heard why, or sees it by this.
const FAILED: i32 = 125;

/// Called with the stack as the kernel made it: the number of arguments, their addresses, 0, those of the environment, 0.
extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: `_start` passes the stack that the kernel made, and nothing has moved it.
    let (mut words, environment) = unsafe { kernel::arguments(stack) };
    let (_name, job) = (words.next(), words.next());
    let mut number = || words.next().and_then(Text::number).unwrap_or_else(|| kernel::exit(FAILED));
    match job {
        Some(job) if job.is(b"attend") => attend(number(), number(), number(), number()),
        Some(job) if job.is(b"become") => become_workload(number(), number(), words, environment),
        _ => kernel::exit(FAILED),
    }
}

/// PID 1: all signals are blocked.
fn attend(workload: i32, channel: i32, gate: i32, place: i32) -> ! {
    kernel::set_name(c"larder-init");
    // A program that was just executed has all rights of its user, and may be traced.
    if !kernel::keep_kill_only() || !kernel::hide_memory() {
        kernel::exit(FAILED)
    }
    // A workload that has ended before is seen below.
    kernel::write_byte(gate);
    kernel::close(gate);
    loop {
        // Children first: one may have ended before this program was there.
        while let Some((pid, status)) = kernel::reap() {
            if pid == workload {
                let [a, b, c, d] = status.to_ne_bytes();
                kernel::send(channel, &[b'x', a, b, c, d], Text::EMPTY);
                // The kernel would do it after it has taken the namespaces apart, and the supervisor has work to do beside that.
                kernel::close(place);
                kernel::exit(0)
            }
        }
        match kernel::wait_for_signal() {
            Some(kernel::SIGCHLD) | None => {}
            Some(number) => kernel::kill(workload, number),
        }
    }
}

/// The workload's process: everything is as the workload's program shall have it but the program.
fn become_workload(channel: i32, gate: i32, mut words: kernel::Texts, environment: kernel::Texts) -> ! {
    // The end of the pipe that PID 1 writes to was closed here when this program was executed.
    if !kernel::read_byte(gate) {
        kernel::exit(FAILED)
    }
    let Some(program) = words.next() else { kernel::exit(FAILED) };
    kernel::close_on_exec(channel);
    kernel::close_on_exec(gate);
    let [a, b, c, d] = kernel::execute(program, words, environment).to_ne_bytes();
    kernel::send(channel, &[b'e', a, b, c, d], program);
    kernel::exit(FAILED)
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    kernel::exit(FAILED)
}
