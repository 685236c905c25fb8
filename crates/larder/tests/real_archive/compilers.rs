//! Compilers: what they make runs.

use crate::program::Program;
use crate::world::World;

const C: &str = r#"
#include <math.h>
#include <stdio.h>
int main(int count, char **words) {
    (void) words;
    printf("c %.3f\n", sqrt(count + 1.0));
    return 0;
}
"#;

const CC: &str = r#"
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
int main() {
    std::map<std::string, int> numbers{{"two", 2}, {"one", 1}};
    try {
        numbers.at("three");
    } catch (const std::out_of_range &) {
        for (const auto &[name, number] : numbers) std::cout << name << number << " ";
        std::cout << "c++" << std::endl;
    }
}
"#;

pub(crate) fn gcc_and_gxx(world: &World) {
    let script = "
        cd /tmp
        gcc -O2 -Wall -Werror -o c /opt/test/hello.c -lm
        ./c
        g++ -O2 -Wall -Werror -o cc /opt/test/hello.cc
        ./cc
    ";
    let files = [("hello.c", C), ("hello.cc", CC)];
    let program = Program { name: "gcc", packages: &["g++"], script, files: &files, ..Program::default() };
    program.says(world, "c 1.414\none1 two2 c++\n");
}

const GO: &str = r#"
package main

import (
	"fmt"
	"sort"
)

func main() {
	words := make(chan string)
	go func() {
		defer close(words)
		for _, word := range []string{"go", "hello"} {
			words <- word
		}
	}()
	var all []string
	for word := range words {
		all = append(all, word)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(all)))
	fmt.Println(all)
}
"#;

pub(crate) fn go(world: &World) {
    let script = "
        export HOME=/tmp GOCACHE=/tmp/cache
        mkdir /tmp/hello
        cd /tmp/hello
        cp /opt/test/main.go .
        go mod init example.com/hello 2>/dev/null
        go build -o hello .
        ./hello
    ";
    let files = [("main.go", GO)];
    let program = Program { name: "go", packages: &["golang-go"], script, files: &files, ..Program::default() };
    program.says(world, "[hello go]\n");
}

const JAVA: &str = r#"
public class Hello {
    public static void main(String[] arguments) throws Exception {
        var algorithm = java.security.MessageDigest.getInstance("SHA-256");
        System.out.printf("hello %064x%n", new java.math.BigInteger(1, algorithm.digest("hello".getBytes())));
    }
}
"#;

/// A class compiles, a jar runs, and keytool finds in the composed store what the bundle has.
pub(crate) fn java(world: &World) {
    let script = "
        cd /tmp
        javac -d . /opt/test/Hello.java
        printf 'Main-Class: Hello\\n' >manifest
        jar cfm hello.jar manifest Hello.class
        java -jar hello.jar
        keytool -list -cacerts -storepass changeit 2>/dev/null | grep -c trustedCertEntry
        grep -c BEGIN /etc/ssl/certs/ca-certificates.crt
    ";
    let files = [("Hello.java", JAVA)];
    let packages = &["openjdk-17-jdk-headless"];
    let output = Program { name: "java", packages, script, files: &files, ..Program::default() }.run(world);
    let lines: Vec<&str> = output.stdout.lines().collect();
    let [hello, stored, bundled] = lines.as_slice() else { panic!("{output:?}") };
    assert_eq!(*hello, "hello 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!(stored, bundled);
    assert!(bundled.parse::<u32>().is_ok_and(|count| count > 100), "{bundled}");
}
