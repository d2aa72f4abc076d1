"""Grades the exercises: `python -m pytest lessons/exercises`, or a class with `--class FOLDER`, in
which every folder holds the files of one student. Of a class only those files count that somebody
has handed in."""
from pathlib import Path

import pytest

from grader import verdicts
from tasks import TASKS


def pytest_addoption(parser):
    parser.addoption("--class", metavar="FOLDER", dest="hand_ins",
                     help="grade every folder in FOLDER, one a student, instead of the exercises")


def pytest_generate_tests(metafunc):
    if "verdict" in metafunc.fixturenames:
        folders = handed_in(metafunc.config)
        given = [stem for stem in TASKS     # what somebody handed in was to be done by all
                 if any((folder / f"{stem}.py").is_file() for folder in folders.values())]
        judged = metafunc.config.judged = {
            who: {(stem, name): verdict for stem in given
                  for name, verdict in verdicts(folder / f"{stem}.py").items()}
            for who, folder in folders.items()}
        ids, values = zip(*((" ".join([who, *place]).strip(), verdict)
                            for who, each in judged.items() for place, verdict in each.items()))
        metafunc.parametrize("verdict", values, ids=ids)


def handed_in(config):
    """{the student: the folder}; for the exercises themselves, the student is ""."""
    hand_ins = config.getoption("hand_ins")
    if hand_ins is None:
        return {"": Path(__file__).parent}
    students = {path.name: path for path in sorted(Path(hand_ins).glob("*/"))}
    if not any((folder / f"{stem}.py").is_file() for folder in students.values()
               for stem in TASKS):
        raise pytest.UsageError("--class must be a folder with a folder for each student, and in "
                                f"these files such as {next(iter(TASKS))}.py, got {hand_ins}")
    return students


def pytest_terminal_summary(terminalreporter, config):
    """With --class, one line for each student."""
    if config.getoption("hand_ins"):
        terminalreporter.section("the class")
        for who, each in getattr(config, "judged", {}).items():
            right = sum(verdict.status == "right" for verdict in each.values())
            begun = sum(verdict.status != "not started" for verdict in each.values())
            terminalreporter.line(f"{who}: {right} of {len(each)} right, {begun} begun")
