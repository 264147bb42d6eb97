"""Patterns of .gitignore, against what git says of them."""

import random
import shutil
import subprocess

import pytest

from unitower.ingest.gitignore import Rules, ignored, patterns_of
from unitower.ingest.walk import Candidate, walk


def left_out(patterns, path, *, is_folder=False):
    rules = [Rules(folder="/r", patterns=patterns_of(patterns.encode()))]
    return ignored(f"/r/{path}", rules, is_folder=is_folder)


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        ("foo", "a/foo", True),
        ("/foo", "a/foo", False),
        ("a/foo", "a/foo", True),
        ("a/foo", "b/a/foo", False),
        ("**/a/foo", "b/a/foo", True),
        ("a/**/foo", "a/foo", True),
        ("a/**/foo", "a/b/c/foo", True),
        ("a/**", "a", False),
        ("a/**", "a/b", True),
        ("*.o\n!keep.o", "keep.o", False),
        ("!keep.o\n*.o", "keep.o", True),
        ("\\!keep", "!keep", True),
        ("\\#x", "#x", True),
        ("#x", "#x", False),
        ("a ", "a", True),
        ("a\\ ", "a ", True),
        ("a\t", "a", False),
        ("a\r\nb", "a", True),
        ("[!a]b", "ab", False),
        ("[^a]b", "cb", True),
        ("[]x]", "]", True),
        ("[[:digit:]]", "7", True),
        ("[a-", "[a-", False),
        ("a\\", "a\\", False),
        ("*", "a/b", True),
        ("a?b", "a/b", False),
        ("/", "a", False),
        ("", "a", False),
        ("\ufefffoo", "foo", True),
    ],
)
def test_a_pattern_means_what_git_says(patterns, path, expected):
    assert left_out(patterns, path) is expected


@pytest.mark.parametrize(("is_folder", "expected"), [(True, True), (False, False)])
def test_a_slash_at_the_end_speaks_of_folders_only(is_folder, expected):
    assert left_out("build/", "a/build", is_folder=is_folder) is expected


NAMES = ["a", "b", "ab", "foo", "bar.py", "x.txt", "build", "doc", "a b", "é", "[x]", "f.o", "A", "!n", "#h", "q-r", "*s"]
PIECES = [
    *("*", "**", "?", "a", "b", "foo", "build", "doc", "*.py", "*.txt", "[ab]", "[!a]", "[a-f]*", "f?o", "x.txt", "é", "\\[x\\]", "a\\ b"),
    *(
        "[[:upper:]]",
        "[]x]",
        "*o*",
        "\\!n",
        "\\#h",
        "[",
        "[a",
        "\\",
        "[z-a]",
        "q[-]r",
        "[+--]",
        "\\*s",
        "[!]a]*",
        "[[:alpha:]b]",
        "[[:no:]]",
    ),
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(25))
def test_a_random_tree_with_random_patterns_is_walked_as_git_lists_it(tmp_path, seed):
    rng = random.Random(seed)

    def pattern():
        text = "/".join(rng.choice(PIECES) for _ in range(rng.choice([1, 1, 2, 3])))
        return "!" * (rng.random() < 0.3) + "/" * (rng.random() < 0.2) + text + "/" * (rng.random() < 0.3) + " " * (rng.random() < 0.1)

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    folders = [tmp_path]
    for _ in range(30):
        path = rng.choice(folders) / rng.choice(NAMES)
        if path.exists():
            continue
        if rng.random() < 0.4:
            path.mkdir()
            folders.append(path)
        else:
            path.touch()
    for file in [*(folder / ".gitignore" for folder in rng.sample(folders, min(3, len(folders)))), tmp_path / ".git" / "info" / "exclude"]:
        file.write_text("\n".join(pattern() for _ in range(4)))
    command = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout.decode().split("\0")
    found = {str(each.path.relative_to(tmp_path)) for each in walk([tmp_path]) if isinstance(each, Candidate)}
    assert found == {name for name in listed if name and not name.endswith(".gitignore")}
