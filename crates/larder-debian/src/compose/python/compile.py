# Compiles the files that standard input lists; see python.rs. It imports nothing that is a file of the image's.
import sys
import marshal
import posix
import _frozen_importlib_external as external

def compile_batch(folder, time, files):
    posix.mkdir(folder)
    for index, (source, shown) in enumerate(files):
        try:
            with open(source, "rb") as file:
                data = file.read()
            code = compile(data, shown, "exec", 0, True, 0)
        except (SyntaxError, ValueError, RecursionError, OverflowError):
            continue
        words = (0, time, len(data))
        header = b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words)
        with open(f"{folder}/{index}", "wb") as file:
            file.write(external.MAGIC_NUMBER + header + marshal.dumps(code))

def batches():
    fields = iter(sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\0"))
    output = next(fields)
    for key in fields:
        time, count = int(next(fields)), int(next(fields))
        yield f"{output}/{key}", time, [(next(fields), next(fields)) for _ in range(count)]

running, failed, jobs = 0, 0, int(sys.argv[1])
todo = list(batches())
while todo or running:
    if todo and running < jobs:
        batch = todo.pop(0)
        if posix.fork() == 0:
            status = 1
            try:
                compile_batch(*batch)
                status = 0
            except BaseException as error:
                sys.stderr.write(f"{batch[0]}: {error!r}\n")
                sys.stderr.flush()
            posix._exit(status)
        running += 1
    else:
        failed += posix.wait()[1] != 0
        running -= 1
sys.exit(1 if failed else 0)
