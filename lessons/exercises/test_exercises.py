"""One test for each function of the exercises: it passes when the function is right."""
import pytest
from grader import told


def test_function(verdict):
    if verdict.status != "right":
        pytest.fail("\n".join([verdict.status, *told(verdict)]), pytrace=False)
