"""Worker processes that answer requests: started, asked, given up on, ended.

The parent holds a Process; the child runs a module whose main calls serve(). A request
and its answer are a JSON line each, over pipes of their own, so that standard output and
error stay the program's. A worker ends when its parent does, however that ended: strictly,
when the thread that started it does (PR_SET_PDEATHSIG in prctl(2)).
"""

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Handler = Callable[[dict[str, Any]], dict[str, Any]]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class WorkerError(RuntimeError):
    """A worker did not answer as it should; the message says why.

    Attributes:
      alive: it answered, with what its program raised, and may be asked again. False:
        it died or hangs.
    """

    def __init__(self, message: str, *, alive: bool = False) -> None:
        super().__init__(message)
        self.alive = alive


class Process:
    """The parent's end of one worker.

    Args:
      command: of the interpreter: ("-m", module, argument, ...). The two ends of the
        pipes are added as the last two arguments.
      log_path: a file for what the worker prints.
      env: its environment. The packages that this process has imported are found
        wherever they are.
      cores: the cores that it may run on; None: those of this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: str,
        env: Mapping[str, str],
        cores: Sequence[int] | None = None,
    ) -> None:
        self._log_path = log_path
        request_in, self._request_out = os.pipe()
        self._answer_in, answer_out = os.pipe()
        # A child inherits the cores of the thread that starts it: TensorFlow counts them
        # when it is imported, so that they have to be set before.
        before = os.sched_getaffinity(0)
        try:
            if cores is not None:
                os.sched_setaffinity(0, cores)
            with open(log_path, "wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *command, str(request_in), str(answer_out)],
                    pass_fds=(request_in, answer_out),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=_with_package_paths(env),
                )
        finally:
            os.sched_setaffinity(0, before)
            os.close(request_in)
            os.close(answer_out)
        self._buffer = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
          WorkerError: no answer within timeout_s, the process ended, or its
            program raised.
        """
        self.send(request)
        return self.receive(timeout_s)

    def send(self, request: Mapping[str, Any]) -> None:
        """Sends a request; receive() waits for its answer.

        Raises:
          WorkerError: the process ended.
        """
        try:
            os.write(self._request_out, (json.dumps(request) + "\n").encode())
        except BrokenPipeError:
            raise WorkerError(self._death()) from None

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """The next answer.

        Raises:
          WorkerError: as ask().
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answer_in], [], [], left)[0]:
                raise WorkerError(f"no answer within {timeout_s:.0f} s")
            chunk = os.read(self._answer_in, 1 << 16)
            if not chunk:
                raise WorkerError(self._death())
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], alive=True)
        return answer

    def _death(self) -> str:
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "the process closed its pipe and did not end"
        with open(self._log_path, encoding="utf-8", errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return f"the process died ({how})" + (f": {lines[-1][:200]}" if lines else "")

    def close(self, patience_s: float = 5.0) -> None:
        """Ends the process; kills it if it has not ended by itself in that time."""
        for fd in (self._request_out, self._answer_in):
            with contextlib.suppress(OSError):
                os.close(fd)
        try:
            self._process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _with_package_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker imports the very packages that the parent has, wherever it found them."""
    packages = [sys.modules.get(name) for name in ("grappler_go", "grappler_go_training")]
    files = [package.__file__ for package in packages if package is not None]
    roots = [os.path.dirname(os.path.dirname(os.path.abspath(file))) for file in files if file]
    paths = [*dict.fromkeys(roots), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    return {**environment, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}


def serve(handlers: Mapping[str, Handler], fd_in: int, fd_out: int) -> None:
    """The worker's end: answers requests until the pipe is closed.

    Args:
      handlers: by the request's "do".
      fd_in, fd_out: the last two arguments of the command.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with os.fdopen(fd_in, encoding="utf-8") as requests, os.fdopen(fd_out, "w") as answers:
        for line in requests:
            request = json.loads(line)
            try:
                answer = handlers[request["do"]](request)
            # Whatever the user's program raises is a result, not our crash.
            except Exception as error:
                answer = {"error": told(error) + where(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


# How lines begin in which TensorFlow says where something happened, not what.
_WHERE = ("Graph execution error", "Detected at node", "Traceback", "File ", "[[", "<stack")
# How the message begins that TensorFlow gives to what was raised while a function was
# traced: the stack, and at the end what was raised.
_TRACED = "in user code:"


def told(error: BaseException) -> str:
    """An exception's type and the line that says what went wrong."""
    if str(error).startswith(_TRACED):
        return str(error).strip().splitlines()[-1].strip()
    return f"{type(error).__name__}: {_summary(error)}"


def _summary(error: BaseException) -> str:
    """The line of an exception that says what went wrong: the first but for what
    TensorFlow puts before it (the nodes, and the stack that made them)."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    what = [line for line in lines if not line.startswith((" ", "\t", *_WHERE))]
    return next(iter(what or lines), "").strip()


_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def where(error: BaseException) -> str:
    """Where in the user's own code an exception was raised, to be put behind what it says:
    " (train.py, line 12)". Empty where no code of a user's was running."""
    stack = traceback.extract_tb(error.__traceback__)
    if error.__cause__ is not None:
        stack += traceback.extract_tb(error.__cause__.__traceback__)
    frames = [(frame.filename, frame.lineno or 0) for frame in stack]
    if str(error).startswith(_TRACED):
        frames += [(file, int(line)) for file, line in _FRAME.findall(str(error))]
    own = [(file, line) for file, line in frames if _is_users(file)]
    if not own:
        return ""
    file, line = own[-1]
    near = os.path.relpath(file)
    return f" ({file if near.startswith(os.pardir) else near}, line {line})"


# Folders of Python's own files and of this package, and names of those of others.
_NOT_THE_USERS = (
    os.path.realpath(sysconfig.get_path("stdlib")) + os.sep,
    os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep,
)
_INSTALLED = {"site-packages", "dist-packages", "grappler_go_training"}


def _is_users(file: str) -> bool:
    """Whether a file is neither Python's, nor installed, nor this package's, nor made up
    (by AutoGraph, which names the user's own lines beside)."""
    path = os.path.realpath(file)
    return (
        os.path.isfile(path)
        and "__autograph_generated_file" not in path
        and not path.startswith(_NOT_THE_USERS)
        and _INSTALLED.isdisjoint(path.split(os.sep))
    )
