"""An ordinary user, as who programs are started with nothing in between that would take time too."""

import multiprocessing
import os
import pwd
from collections.abc import Callable

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
    def obey(pipe, user: pwd.struct_passwd, env: dict[str, str]) -> None:
        os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.chdir(user.pw_dir)
        os.environ.update(env)
        while True:
            try:
                words = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(command(*words)())
            except Failed as failure:
                pipe.send(str(failure))

    def command(self, *words: str) -> Callable[[], float]:
        """As [`measure.command`], as that user."""
        words = tuple(str(word) for word in words)

        def run() -> float:
            self.pipe.send(words)
            answer = self.pipe.recv()
            if isinstance(answer, str):
                raise Failed(answer)
            return answer

        return run

    def end(self) -> None:
        self.pipe.close()
        self.process.join(10)
