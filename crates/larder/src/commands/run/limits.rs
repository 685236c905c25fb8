//! The limits that `larder run` takes, as people write them. Sizes are docker's: a number, which may have a fraction, and a unit of
//! 1024s. Whatever can't be understood is refused with the nearest form that can.

use larder_lib::run::Limits;
use larder_lib::size;

use crate::failure::Failure;

/// A container with less can't start a program.
const LEAST_MEMORY: u64 = 6 << 20;

// Arguments about what a container may use.
#[derive(clap::Args)]
pub(crate) struct LimitArgs {
    /// Limit the memory, swap included: bytes, or a number with k, m, g or t
    #[arg(long, short, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Limit the CPU time to that of this many CPUs, such as 1.5
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// Limit the number of processes and threads
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<String>,
    /// Weigh the container's use of disks: 10 to 1000, where others have 100
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    io_weight: Option<String>,
}

impl LimitArgs {
    /// The limits in numbers.
    pub(crate) fn limits(&self) -> Result<Limits, Failure> {
        Ok(Limits {
            memory: self.memory.as_deref().map(memory).transpose()?,
            milli_cpus: self.cpus.as_deref().map(cpus).transpose()?,
            pids: self.pids_limit.as_deref().map(pids).transpose()?,
            io_weight: self.io_weight.as_deref().map(io_weight).transpose()?,
        })
    }
}

fn memory(text: &str) -> Result<u64, Failure> {
    let wrong = |why: &str, hint: String| Err(Failure::usage(format!("--memory {text}: {why}")).hint(hint));
    let Some(bytes) = size::parse(text) else {
        return wrong(
            "this is no size",
            format!("write {}", size::nearest(text).as_deref().unwrap_or("64m, for example")),
        );
    };
    if bytes < LEAST_MEMORY {
        // A number without its unit is the usual mistake.
        let hint = match text.parse::<u64>() {
            Ok(number @ 6..=1_000_000) => format!("for {number} MiB write {number}m; the least is 6m"),
            _ => "the least is 6m".to_owned(),
        };
        return wrong("no program can start in so little", hint);
    }
    Ok(bytes)
}

fn cpus(text: &str) -> Result<u64, Failure> {
    let wrong = |why: &str, hint: &str| Err(Failure::usage(format!("--cpus {text}: {why}")).hint(hint));
    let shown = |value: f64| format!("write {}", (value * 1000.0).round().max(10.0) / 1000.0);
    let plain = text.trim();
    let number = |text: &str| {
        let ok = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.bytes().any(|b| b.is_ascii_digit());
        text.parse::<f64>().ok().filter(|value| ok && *value < 1e6)
    };
    let Some(value) = number(plain) else {
        let nearest = plain.replace(',', ".");
        let percent = nearest.strip_suffix('%').and_then(|n| number(n.trim_end())).map(|value| value / 100.0);
        let thousandths = nearest.strip_suffix('m').and_then(number).map(|value| value / 1000.0);
        let meant = percent.or(thousandths).or_else(|| number(&nearest));
        let meant = meant.filter(|value| *value > 0.0).map_or_else(|| "write 0.5 or 2, for example".to_owned(), shown);
        return wrong("this is no number of CPUs", &meant);
    };
    if value == 0.0 {
        return wrong("a container needs some CPU time", "leave --cpus out for no limit; the least is 0.01");
    }
    let milli = value * 1000.0;
    if milli < 10.0 {
        return wrong("the kernel counts no less than a hundredth", "the least is 0.01");
    }
    if (milli - milli.round()).abs() > 1e-6 {
        return wrong("this is finer than a thousandth", &shown(value));
    }
    Ok(milli.round() as u64)
}

fn pids(text: &str) -> Result<u32, Failure> {
    let wrong = |why: &str, hint: &str| Err(Failure::usage(format!("--pids-limit {text}: {why}")).hint(hint));
    match text.trim().parse::<i64>() {
        Ok(number @ 1..) => match u32::try_from(number) {
            // More than the kernel can have.
            Ok(number) if number <= 4_194_304 => Ok(number),
            _ => wrong("the kernel has no more than 4194304 processes", "leave --pids-limit out for no limit"),
        },
        Ok(_) => wrong("a container has at least one process", "leave --pids-limit out for no limit"),
        Err(_) if ["max", "unlimited", "none"].contains(&text) => {
            wrong("this is no number", "leave --pids-limit out for no limit")
        }
        Err(_) => {
            let digits: String =
                text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
            let nearest = digits.trim_start_matches('0');
            wrong(
                "this is no whole number",
                &format!("write {}", if nearest.is_empty() { "100, for example" } else { nearest }),
            )
        }
    }
}

fn io_weight(text: &str) -> Result<u16, Failure> {
    match text.trim().parse::<i64>() {
        Ok(number @ 10..=1000) => Ok(number as u16),
        Ok(number) => Err(Failure::usage(format!("--io-weight {text}: a weight is from 10 to 1000"))
            .hint(format!("write {}", number.clamp(10, 1000)))),
        Err(_) => Err(Failure::usage(format!("--io-weight {text}: a weight is a whole number from 10 to 1000"))
            .hint("write 500, for example: others have 100")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_thousandths() {
        for (text, milli) in [("1", 1000), ("1.5", 1500), (".25", 250), ("0.01", 10), ("2.", 2000), ("0.333", 333)] {
            assert_eq!(cpus(text).ok(), Some(milli), "{text}");
        }
        for text in ["", "0", "-1", "0.001", "0.0125", "1,5", "50%", "500m", "one", ".", "1e3", "inf", "NaN"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }
}
