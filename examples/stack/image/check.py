"""The three packages at work together."""

import mimetypes
import subprocess


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


assert said("hello", "stack") == "Hello, stack!"
assert said("slug", "Plum Jam") == "plum-jam"
assert mimetypes.guess_type("plum.jam") == ("application/vnd.example.jam", None)
assert mimetypes.guess_type("page.html") == ("text/html", None)
print("the stack works")
