"""Run the command line: one line on stderr for each warning and error, and an exit status."""
import os
import sys
import warnings
from collections.abc import Sequence

from lrp_numpy.cli.parser import parse
from lrp_numpy.ops import when_compiling
from lrp_numpy.utils.files import error_text

MAX_MESSAGE = 2000      # characters


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command (None: of sys.argv) and return the exit status.

    0: done; 1: the reader closed the pipe; 2: an error, printed as one line; 130: Ctrl-C.
    """
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:     # the reader closed the pipe, as `| head` does: end silently
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments):
    _prepare_streams()
    options = parse(arguments)
    try:
        if options.command != "draw" or options.picture is not None:
            os.environ["MPLBACKEND"] = "Agg"    # no window; what is set may not be installed
        from lrp_numpy.cli import commands      # here, because --help must not wait for it
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = _show_once(set())
            with when_compiling(_say_once()):
                commands.run(options)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        print(f"lrp_numpy: error: {in_one_line(error_text(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        checkpoint = getattr(options, "checkpoint", None)
        can_continue = checkpoint is not None and os.path.exists(checkpoint)
        print("lrp_numpy: interrupted" + (f"; run the same command again to continue from "
                                          f"{checkpoint}" if can_continue else ""), file=sys.stderr)
        return 130
    return 0


def _say_once():
    """One line when the first loop is compiled: what the user is waiting for."""
    said: list[bool] = []

    def say():
        if not said:
            said.append(True)
            print("compiling the loops, which takes some seconds; they are kept on disk",
                  file=sys.stderr, flush=True)
    return say


def _prepare_streams():
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:          # closed, as by `>&-`: discard what is printed
            setattr(sys, name, open(os.devnull, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")   # escape what its encoding lacks


def in_one_line(text: str) -> str:
    """A message that is safe to print: text from a file may contain line breaks, escape sequences
    that a terminal obeys, or a million letters."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:MAX_MESSAGE])
    return text if len(text) < MAX_MESSAGE else f"{text[:MAX_MESSAGE]} ..."


def _show_once(shown):
    def show(message, *where):
        if str(message) not in shown:
            shown.add(str(message))
            print(f"lrp_numpy: warning: {in_one_line(str(message))}", file=sys.stderr)
    return show
