"""An ordinary user, as who programs are started with nothing in between that would take time too."""

import multiprocessing
import os
import pwd
from multiprocessing.connection import Connection

from measure import Failed, command


class Somebody:
    """A process of that user, which starts what it is told to and says how it went."""

    def __init__(self, user: pwd.struct_passwd, env: dict[str, str]):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=self.obey, args=(theirs, user, env), daemon=True)
        self.process.start()
        theirs.close()

    @staticmethod
    def obey(pipe: Connection, user: pwd.struct_passwd, env: dict[str, str]) -> None:
        os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.chdir(user.pw_dir)
        os.environ.update(env)
        while True:
            try:
                words, what = pipe.recv()
            except EOFError:
                return
            try:
                program = command(*words)
                pipe.send(program.peak() if what == "peak" else program())
            except Failed as failure:
                pipe.send(failure)

    def command(self, *words: str) -> "Told":
        """As [`measure.command`], as that user."""
        return Told(self.pipe, tuple(str(word) for word in words))

    def end(self) -> None:
        self.pipe.close()
        self.process.join(10)


class Told:
    """A command line that the user's process is told to run."""

    def __init__(self, pipe: Connection, words: tuple[str, ...]):
        self.pipe, self.words = pipe, words

    def __call__(self) -> None:
        self.ask("run")

    def peak(self) -> float:
        """As [`measure.Program.peak`]."""
        return self.ask("peak")

    def ask(self, what: str) -> float | None:
        self.pipe.send((self.words, what))
        answer = self.pipe.recv()
        if isinstance(answer, Failed):
            raise answer
        return answer
