//! Python bytecode, with the host's interpreter in the place of an image's.

use std::io::Write as _;
use std::process::Stdio;

use super::super::python::{self, Batch, Work};
use super::*;

const INTERPRETER: &str = "/usr/bin/python3";

/// Runs the program on packages that lie below `root`, and gives the batches' results.
fn run(work: &Work, batches: &[&Batch], interpreter: &str, root: &Path, output: &Path, jobs: usize) {
    let mut arguments = work.arguments(jobs);
    arguments[0] = interpreter.to_owned();
    let mut child = Command::new(&arguments[0])
        .args(&arguments[1..])
        .env_clear()
        .envs(Work::environment())
        .stdin(Stdio::piped())
        .spawn()
        .expect("python");
    let input = Work::input(batches, &root.to_string_lossy(), &output.to_string_lossy());
    child.stdin.take().expect("stdin").write_all(&input).expect("write");
    assert!(child.wait().expect("python").success());
}

fn example(world: &World) -> (InstallPlan, Work) {
    let interpreter = world.package("python3.99-minimal", world.draw(&[("usr/bin/python3.99", "elf")]));
    let library = world.package(
        "lib",
        world.draw(&[
            ("usr/lib/python3.99/abc.py", "def f(self, x={1, 'a', 'b'}):\n    return x in {'p', 'q', 'r', 's'}\n"),
            ("usr/lib/python3.99/bad.py", "def (:\n"),
            ("usr/lib/python3/dist-packages/pkg/__init__.py", "VALUE = 1\n"),
            ("usr/lib/python3/dist-packages/pkg/over.py", "VALUE = 2\n"),
            ("usr/lib/python3/dist-packages/pkg/data.txt", "no"),
            ("usr/share/other/no.py", "no = 1\n"),
        ]),
    );
    let more = world.package("more", world.draw(&[("usr/lib/python3/dist-packages/more.py", "self = 'p'\n")]));
    let own = world.draw(&[("usr/lib/python3/dist-packages/pkg/over.py", "VALUE = 3\n")]);
    let plan = world.plan(own, vec![interpreter, library, more]);
    let mut work = python::work(&plan);
    assert_eq!(work.len(), 1);
    (plan, work.remove(0))
}

/// Writes the batches' sources below a folder as they are below `/packages`.
fn lay_out(world: &World, plan: &InstallPlan, root: &Path) {
    for (path, planned) in plan.package_entries().expect("paths") {
        let path = root.join(path.to_string());
        if let Entry::File { digest, .. } = &planned.entry.entry {
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, world.contents.read(digest, 1 << 20).expect("content")).expect("write");
        }
    }
}

#[test]
fn what_is_compiled_and_under_which_key() {
    let world = World::new();
    let (plan, work) = example(&world);
    assert_eq!((work.interpreter.to_string().as_str(), work.tag.as_str()), ("usr/bin/python3.99", "cpython-399"));
    let of: Vec<Vec<String>> =
        work.batches.iter().map(|batch| batch.files.iter().map(|(path, _)| path.to_string()).collect()).collect();
    let library = [
        "usr/lib/python3.99/abc.py",
        "usr/lib/python3.99/bad.py",
        "usr/lib/python3/dist-packages/pkg/__init__.py",
        "usr/lib/python3/dist-packages/pkg/over.py",
    ];
    assert_eq!(of, [library.as_slice(), &["usr/lib/python3/dist-packages/more.py"]]);
    assert_ne!(work.batches[0].key, work.batches[1].key);
    assert!(python::work(&world.plan(Draw::default(), vec![])).is_empty());
    drop(plan);
}

#[test]
fn bytecode_is_one_function_of_its_package() {
    let test = "bytecode_is_one_function_of_its_package";
    if !Path::new(INTERPRETER).exists() {
        return skip(test, "python3 isn't installed");
    }
    let world = World::new();
    let (plan, work) = example(&world);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    lay_out(&world, &plan, &root);
    let all: Vec<&Batch> = work.batches.iter().collect();
    let mut results = Vec::new();
    for (name, batches, jobs) in
        [("together", all.clone(), 2), ("turned", all.iter().rev().copied().collect(), 1), ("alone", vec![all[0]], 1)]
    {
        let output = folder.path().join(name);
        fs::create_dir(&output).expect("directory");
        run(&work, &batches, INTERPRETER, &root, &output, jobs);
        results.push(python::collect(&work, all[0], &output, &world.contents).expect("collected"));
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));

    let placed = python::place(&plan, &work, all[0], &results[0]);
    let paths: Vec<String> = placed.iter().map(|entry| entry.path.to_string()).collect();
    let expected = [
        "usr/lib/python3.99/__pycache__",
        "usr/lib/python3.99/__pycache__/abc.cpython-399.pyc",
        "usr/lib/python3/dist-packages/pkg/__pycache__",
        "usr/lib/python3/dist-packages/pkg/__pycache__/__init__.cpython-399.pyc",
    ];
    assert_eq!(paths, expected, "a file that doesn't compile and one that is overridden have none");

    // The interpreter itself takes it: the source is then not read again.
    let Entry::File { digest, .. } = &placed[1].entry else { panic!("no file") };
    let bytecode = world.contents.read(digest, 1 << 20).expect("content");
    let module = folder.path().join("abc_test.pyc");
    fs::write(&module, &bytecode).expect("write");
    let check =
        "import sys, marshal; d = open(sys.argv[1], 'rb').read(); c = marshal.loads(d[16:]); print(c.co_filename)";
    let said = Command::new(INTERPRETER).args(["-c", check]).arg(&module).output().expect("python");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "/usr/lib/python3.99/abc.py\n");
}

#[test]
fn bytecode_that_is_none_is_refused() {
    let world = World::new();
    let (_, work) = example(&world);
    let batch = &work.batches[1];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join(&batch.key);
    fs::create_dir(&place).expect("directory");
    let collect = || python::collect(&work, batch, folder.path(), &world.contents);
    assert_eq!(collect().expect("nothing was compiled").len(), 0);
    let good = |time: u32, size: u32| {
        [b"\xa7\x0d\r\n".as_slice(), &[0; 4], &time.to_le_bytes(), &size.to_le_bytes(), b"\xe3"].concat()
    };
    let (time, size) = (batch.time as u32, batch.files[0].1 as u32);
    fs::write(place.join("0"), good(time, size)).expect("write");
    assert_eq!(collect().expect("good").len(), 1);
    let flags = {
        let mut bytes = good(time, size);
        bytes[4] = 1;
        bytes
    };
    for bad in [
        vec![],
        good(time, size)[..16].to_vec(),
        good(time + 1, size),
        good(time, size + 1),
        flags,
        b"#!/bin/sh\nexit 0\n\n\n".to_vec(),
    ] {
        fs::write(place.join("0"), bad).expect("write");
        assert!(collect().is_err());
    }
    fs::remove_file(place.join("0")).expect("remove");
    std::os::unix::fs::symlink("/etc/shadow", place.join("0")).expect("link");
    assert!(collect().is_err());
}
