#!/bin/bash
# The peer: a loop over the components as GENIVI's own script had it, with its file of licences for each repository and commit.
# Usage: peer.sh COMPONENTS DIRECTORY; a line of COMPONENTS is a repository, its directory and a commit.
set -euo pipefail
while read -r repo path commit; do
    known=$2/licenses/${repo##*:}-$commit
    if [ ! -e "$known" ]; then
        mkdir -p "$2/licenses" "$2/repos"
        git clone --quiet --no-checkout "$path" "$2/repos/${repo##*:}"
        git -C "$2/repos/${repo##*:}" checkout --quiet "$commit"
        licensecheck -r "$2/repos/${repo##*:}" | cut -d: -f2- | sort -u > "$known.new"
        mv "$known.new" "$known"
    fi
    printf '%s\n%s\n' "$repo" "${repo//?/-}"
    cat "$known"
    echo
done < "$1" > "$2/manifest.txt"
