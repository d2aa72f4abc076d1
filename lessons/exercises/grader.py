"""Grades every exercise: not started, right, or wrong, and then which kind of wrong.

`python lessons/exercises/ex06_rules.py` grades one file, `python -m pytest lessons/exercises` all
of them, and with `--class FOLDER` the folders of a class. The tasks are in tasks/. The answer to
each is the library's own function, so there is no answer key here.
"""
import importlib.util
import sys
from pathlib import Path

import numpy as np

from judging import Changed, Verdict, close, judge
from tasks import TASKS


def load(path):
    """The student's file as a module, or the error that stopped it from loading."""
    spec = importlib.util.spec_from_file_location(f"handed_in_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        return error
    return module


def verdicts(path):
    """{the name of each function: the Verdict on it} for one file of exercises."""
    path = Path(path)
    if path.stem not in TASKS:
        raise ValueError(f"path must be one of {', '.join(f'{name}.py' for name in TASKS)}, got "
                         f"{path.name}")
    if not path.is_file():
        return {task.name: Verdict("not started") for task in TASKS[path.stem]}
    module, judged = load(path), {}
    for task in TASKS[path.stem]:
        function = getattr(module, task.name, None)
        if isinstance(module, (Exception, SystemExit)):
            place = f" (line {module.lineno})" if isinstance(module, SyntaxError) else ""
            what = f"the file does not load: {type(module).__name__}: {module}{place}"
            judged[task.name] = Verdict("wrong", what)
        elif not callable(function):
            judged[task.name] = Verdict("wrong", f"there is no function {task.name} in the file")
        else:
            judged[task.name] = judge(function, task)
    return judged


def told(verdict, outputs=("",)):
    """The lines that tell which kind of wrong, with the smallest case that shows it."""
    if verdict.case is None:
        return [verdict.what] if verdict.what else []
    lines = [verdict.what, *assignments(verdict.case.arguments)]
    yours, expected = verdict.yours, verdict.expected
    if isinstance(yours, Exception):
        lines += [f"yours     {type(yours).__name__}: {yours}"]
    elif isinstance(yours, Changed):
        lines += [f"yours     {yours.name} is changed"]
    else:
        names = outputs if len(outputs) == len(yours) else ("",) * len(yours)
        wrong = [i for i, x in enumerate(yours) if len(yours) != len(expected)
                 or not close(x, expected[i])]
        lines += assignments({f"yours {names[i]}".ljust(8): yours[i] for i in wrong}, "  ")
        expected, outputs = [expected[i] for i in wrong if i < len(expected)], [
            outputs[i] for i in wrong if i < len(outputs)]
    return lines + assignments({f"expected {name}".strip(): x
                                for name, x in zip(outputs, expected)}, "  ")


def assignments(values, separator=" = "):
    """name = value, on as many lines as it needs; numbers to four digits."""
    lines = []
    for name, value in values.items():
        text = np.array2string(np.asarray(value), precision=4, suppress_small=True, threshold=60,
                               max_line_width=100) if not isinstance(value, str) else repr(value)
        indent = " " * len(name + separator)
        first, *rest = text.splitlines()
        lines += [name + separator + first, *(indent + line for line in rest)]
    return lines


def grade(path):
    """Print the verdicts on a file and exit, with status 0 if all are right."""
    try:
        judged = verdicts(path)
    except ValueError as error:
        sys.exit(str(error))
    tasks = {task.name: task for task in TASKS[Path(path).stem]}
    width = max(map(len, judged))
    print(Path(path).name)
    for name, verdict in judged.items():
        first, *rest = told(verdict, tasks[name].outputs) or [""]
        print(f"  {name:{width}}  {verdict.status}{': ' if first else ''}{first}")
        for line in rest:
            print(f"  {'':{width}}    {line}")
    count = {status: sum(verdict.status == status for verdict in judged.values())
             for status in ("right", "wrong", "not started")}
    print(", ".join(f"{number} {status}" for status, number in count.items()))
    sys.exit(0 if count["right"] == len(judged) else 1)
