"""The walk over folders: what is found, in which order, by which name, and what is left out."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from unitower.errors import UnitowerError
from unitower.ingest.walk import Candidate, PathNotFound, Skipped, walk


def files(root, *paths, **options):
    """Names of the files found, relative to root."""
    return [str(found.path.relative_to(root)) for found in walk(paths or [root], **options) if isinstance(found, Candidate)]


def skipped(root, *paths):
    return {str(found.path.relative_to(root)): found.reason for found in walk(paths or [root]) if isinstance(found, Skipped)}


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_files_come_sorted_by_the_parts_of_their_path(root):
    make(root, "b.txt", "a/z.txt", "a/b/c.txt", "a-b/x.txt", "A.txt", "a.txt", "é.txt")
    assert files(root) == ["A.txt", "a/b/c.txt", "a/z.txt", "a-b/x.txt", "a.txt", "b.txt", "é.txt"]


def test_the_order_of_the_paths_named_does_not_matter(root):
    make(root, "a/1.txt", "b/2.txt", "c.txt")
    assert files(root, root / "c.txt", root / "b", root / "a") == files(root, root / "a", root / "b", root / "c.txt")


def test_a_candidate_tells_size_and_time(root):
    make(root, "a.txt")
    os.utime(root / "a.txt", ns=(5, 1_234_567_890_123_456_789))
    assert list(walk([root])) == [Candidate(path=root / "a.txt", size_bytes=5, mtime_ns=1_234_567_890_123_456_789)]


def test_paths_are_absolute_whatever_the_current_folder(root, monkeypatch):
    make(root, "docs/a.txt", "src/b.txt")
    monkeypatch.chdir(root / "src")
    assert files(root, ".", "../docs", Path("../src/b.txt")) == ["docs/a.txt", "src/b.txt"]


def test_a_single_path_need_not_be_a_list(root):
    make(root, "a.txt")
    assert [found.path for found in walk(str(root))] == [root / "a.txt"]


def test_a_file_named_twice_or_within_a_folder_named_comes_once(root):
    make(root, "a/1.txt")
    assert files(root, root, root / "a", root / "a" / "1.txt", root / "a" / ".." / "a" / "1.txt") == ["a/1.txt"]


def test_a_path_that_does_not_exist_is_an_error_before_anything_is_walked(root):
    with pytest.raises(PathNotFound, match=r"missing\.txt: no such file or folder") as raised:
        walk([root, root / "missing.txt"])
    assert isinstance(raised.value, UnitowerError)
    assert isinstance(raised.value, FileNotFoundError)


@pytest.mark.parametrize("path", ["", "a\0b", "\udce9"])
def test_a_path_that_can_be_no_file_is_not_found(path):
    with pytest.raises(PathNotFound) as raised:
        walk([path])
    str(raised.value).encode()


def test_hidden_files_and_folders_are_left_out_unless_they_are_named(root):
    make(root, ".hidden.txt", ".config/a.txt", ".config/.deep/b.txt", "seen.txt")
    assert files(root) == ["seen.txt"]
    assert files(root, root, root / ".config", root / ".hidden.txt") == [".config/a.txt", ".hidden.txt", "seen.txt"]


def test_a_folder_below_a_hidden_one_is_walked_like_any_other(root):
    make(root, ".cache/project/a.txt")
    assert files(root, root / ".cache" / "project") == [".cache/project/a.txt"]


def test_what_is_excluded_is_left_out_with_all_it_holds(root):
    make(root, "a.txt", "index/b.txt", "index2/c.txt")
    (root / "link").symlink_to(root / "index")
    assert files(root, exclude=[root / "index"]) == ["a.txt", "index2/c.txt"]
    assert [type(found) for found in walk([root / "index" / "b.txt"], exclude=[root / "index"])] == [Skipped]


def test_names_are_kept_as_they_are(root):
    names = ["日本語.txt", "e\u0301.txt", "é.txt", "🐌.md", "a\nb.txt", " lead.txt", "trail .txt", "ل.txt"]
    make(root, *names)
    assert sorted(files(root)) == sorted(names)


def test_a_name_that_is_no_utf8_is_skipped_and_can_be_printed(root):
    for name in (b"caf\xe9.txt", b"d\xe9/a.txt"):
        path = os.path.join(os.fsencode(root), name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(b"x")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    assert files(root) == []
    reasons = skipped(root)
    assert set(reasons) == {"caf\\xe9.txt", "d\\xe9"}
    assert "UTF-8" in reasons["caf\\xe9.txt"]
    "".join(reasons).encode()


# links


def test_a_file_reached_by_its_name_and_by_links_goes_by_its_own_name(root):
    make(root, "z/real.txt")
    (root / "a.txt").symlink_to(root / "z" / "real.txt")
    (root / "b").symlink_to(root / "z")
    assert files(root) == ["z/real.txt"]
    assert files(root, root / "a.txt", root / "z" / "real.txt") == ["z/real.txt"]


def test_what_is_reached_by_a_link_alone_keeps_the_name_of_the_link(root, tmp_path):
    make(tmp_path, "elsewhere/sub/a.txt", "elsewhere/b.txt")
    (root / "data").symlink_to(tmp_path / "elsewhere")
    (root / "m.txt").symlink_to(tmp_path / "elsewhere" / "b.txt")
    make(root, "k.txt")
    assert files(root) == ["data/b.txt", "data/sub/a.txt", "k.txt"]


def test_a_folder_named_by_a_link_is_walked_under_that_name(root):
    make(root, "real/a.txt")
    (root / "link").symlink_to("real")
    assert files(root, root / "link") == ["link/a.txt"]


def test_dots_behind_a_link_step_back_from_where_it_leads(root):
    make(root, "x/deep/folder/a.txt", "x/deep/b.txt", "b.txt")
    (root / "link").symlink_to("x/deep/folder")
    assert files(root, root / "link" / ".." / "b.txt") == ["x/deep/b.txt"]


def test_loops_of_links_end(root):
    make(root, "a/b/c.txt")
    (root / "a" / "self").symlink_to(".")
    (root / "a" / "b" / "up").symlink_to(root / "a")
    (root / "p").mkdir()
    (root / "q").mkdir()
    (root / "p" / "q").symlink_to(root / "q")
    (root / "q" / "p").symlink_to(root / "p")
    (root / "ring1").symlink_to("ring2")
    (root / "ring2").symlink_to("ring1")
    assert files(root) == ["a/b/c.txt"]
    assert skipped(root) == dict.fromkeys(["ring1", "ring2"], "a link that leads back to itself")


def test_a_link_to_a_folder_above_does_not_draw_in_its_other_folders(root):
    make(root, "docs/a.txt", "private/b.txt")
    (root / "docs" / "up").symlink_to("..")
    assert files(root, root / "docs") == ["docs/a.txt"]
    assert "holds" in skipped(root, root / "docs")["docs/up"]


def test_links_between_outside_folders_are_followed_once_each(root, tmp_path):
    make(tmp_path, "one/a.txt", "two/b.txt")
    (root / "one").symlink_to(tmp_path / "one")
    (tmp_path / "one" / "two").symlink_to(tmp_path / "two")
    (tmp_path / "two" / "one").symlink_to(tmp_path / "one")
    assert files(root) == ["one/a.txt", "one/two/b.txt"]


def test_a_dangling_link_is_skipped_whether_found_or_named(root):
    (root / "gone.pdf").symlink_to("nowhere/x.pdf")
    for paths in ([], [root / "gone.pdf"]):
        assert skipped(root, *paths) == {"gone.pdf": "a link that leads nowhere: nowhere/x.pdf does not exist"}


# what is not opened


def test_sockets_and_pipes_are_skipped_without_being_opened(root, monkeypatch):
    os.mkfifo(root / "pipe.txt")
    monkeypatch.chdir(root)  # the name of a socket may have a hundred bytes only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.txt")
        assert skipped(root) == {"pipe.txt": "not a regular file: a pipe", "socket.txt": "not a regular file: a socket"}
        assert set(skipped(root, root / "pipe.txt")) == {"pipe.txt"}


def test_a_device_is_skipped():
    assert [found.reason for found in walk(["/dev/null"])] == ["not a regular file: a device"]


def test_a_folder_that_may_not_be_opened_is_skipped_and_the_rest_is_found(root, monkeypatch):
    make(root, "closed/a.txt", "open/b.txt")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert files(root) == ["open/b.txt"]
    assert skipped(root) == {"closed": "permission denied"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_folder_without_permissions_is_skipped(root):
    make(root, "closed/a.txt", "open/b.txt")
    (root / "closed").chmod(0)
    try:
        assert skipped(root) == {"closed": "permission denied"}
    finally:
        (root / "closed").chmod(0o700)


def test_folders_too_deep_for_the_system_are_skipped_and_the_rest_is_found(root, monkeypatch):
    monkeypatch.chdir(root)
    make(root, "a.txt")
    for _ in range(2500):  # one at a time: a path of 5,000 characters can be made, but not be named
        os.mkdir("d")
        os.chdir("d")
    os.chdir(root)
    try:
        found = list(walk([root]))
        assert [each.path for each in found if isinstance(each, Candidate)] == [root / "a.txt"]
        assert [each.reason for each in found if isinstance(each, Skipped)] == ["file name too long"]
    finally:
        subprocess.run(["rm", "-rf", str(root / "d")], check=True)  # shutil.rmtree would recurse too deep


# .gitignore


def test_gitignore_counts_in_folders_that_are_no_repository(root):
    make(root, "a.log", "b.txt", "build/c.txt", "sub/build", "sub/d.log", "sub/keep.log")
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "sub" / ".gitignore").write_text("!keep.log\n")
    assert files(root) == ["b.txt", "sub/build", "sub/keep.log"]


def test_gitignore_of_parents_counts_up_to_the_root_of_the_repository(tmp_path):
    repository = tmp_path / "repo"
    make(repository, "docs/a.tmp", "docs/b.txt", "docs/c.old", "docs/d.bak", "docs/deep/secret.txt")
    (tmp_path / ".gitignore").write_text("*.txt\n")  # beyond the root: says nothing
    (repository / ".git" / "info").mkdir(parents=True)
    (repository / ".git" / "info" / "exclude").write_text("*.old\n*.bak\n")
    (repository / ".gitignore").write_text("*.tmp\n!*.bak\n/docs/deep/secret.txt\n")
    assert files(repository, repository / "docs") == ["docs/b.txt", "docs/d.bak"]


def test_without_a_repository_the_parents_say_nothing(root):
    make(root, "docs/a.txt")
    (root / ".gitignore").write_text("*.txt\n")
    assert files(root, root / "docs") == ["docs/a.txt"]


def test_what_is_named_is_taken_though_git_ignores_it(root):
    make(root, "build/a.txt", "build/b.log", "c.log")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("build/\n*.log\n")
    assert files(root, root / "build", root / "c.log") == ["build/a.txt", "c.log"]


def test_a_repository_within_another_follows_its_own_rules(root):
    make(root, "inner/a.txt", "inner/b.md", "c.txt")
    (root / ".gitignore").write_text("*.txt\n")
    (root / "inner" / ".git").mkdir()
    (root / "inner" / ".gitignore").write_text("*.md\n")
    assert files(root) == ["inner/a.txt"]


def test_a_worktree_uses_the_exclude_file_of_its_repository(root):
    make(root, "tree/a.txt", "tree/b.old", "main/.git/worktrees/tree/commondir")
    (root / "main/.git/worktrees/tree/commondir").write_text("../..\n")
    make(root, "main/.git/info/exclude")
    (root / "main/.git/info/exclude").write_text("*.old\n")
    (root / "tree" / ".git").write_text(f"gitdir: {root}/main/.git/worktrees/tree\n")
    assert files(root, root / "tree") == ["tree/a.txt"]


def test_a_gitignore_that_is_no_file_or_no_text_does_no_harm(root):
    make(root, "a/x.txt", "b/x.txt", "c/x.txt")
    (root / "a" / ".gitignore").mkdir()
    (root / "b" / ".gitignore").write_bytes(b"\xff\xfe\0*\n[\n\\\n!\n")
    (root / "c" / ".gitignore").symlink_to("nowhere")
    assert files(root) == ["a/x.txt", "b/x.txt", "c/x.txt"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_project_is_walked_as_git_lists_it(root):
    make(
        root,
        *("src/a.py", "src/a.pyc", "src/gen/x.c", "src/gen/keep.c", "node_modules/p/i.js", "docs/a b.md", "docs/#x.md", "docs/!y.md"),
        *("logs/1.log", "logs/keep.log", "foo/bar/baz.txt", "foo/x/bar/baz.txt", "data/1.csv", "data/2.csv", "data/sub/3.csv", "é/x.txt"),
        *("white/a.txt", "white/a.py", "white/deep/b.py", "white/deep/b.txt", "anchored.txt", "sub/anchored.txt"),
    )
    (root / ".gitignore").write_text(
        "*.py[co]\r\nnode_modules/\n/anchored.txt\n*.log\n!keep.log\nfoo/**/baz.txt\ndata/*\n!data/sub\n\\#x.md\n\\!y.md\n"
        "docs/a\\ b.md   \nsrc/gen/*\n!src/gen/keep.c\n?/x.txt\n# comment\n\n[abc\n"
    )
    (root / "white" / ".gitignore").write_text("*\n!*/\n!*.py\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True, capture_output=True)
    command = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout.decode().split("\0")
    assert files(root) == sorted((name for name in listed if name and not name.endswith(".gitignore")), key=lambda name: Path(name).parts)
