#!/bin/bash
# The peer: both tools run by hand for each system, one after the other, and their documents merged and validated.
# Usage: peer.sh RELEASE CONFIG TARGET SYSTEM=ARCHITECTURE...; bst in PATH gets CONFIG by a script, as buildstream-sbom has no option for it.
set -euo pipefail
release=$1 config=$2 target=$3
shift 3
bst=$(command -v bst)
mkdir -p "$target/bin"
printf '#!/bin/sh\nexec %q --config %q --no-interactive "$@"\n' "$bst" "$config" > "$target/bin/bst"
chmod +x "$target/bin/bst"
PATH=$target/bin:$PATH
for each in "$@"; do
    name=${each%=*} architecture=${each#*=}
    plain=${name//_/-} # debsbom makes identifiers of it, which have no underscore
    buildstream-sbom --directory "$release/source" --option arch "$architecture" --spdx-name "$name" \
        --spdx-namespace "https://example.org/$name" --spdx-creator "Tool: buildstream-sbom" \
        --output "$target/$name-elements.spdx.json" "systems/$name.bst" 2> "$target/$name.log"
    # What buildstream-sbom writes of files of the project is not valid, and not read by spdx-tools.
    jq '.packages |= map(if .downloadLocation | test("^https?://") then . else .downloadLocation = "NOASSERTION" end)' \
        "$target/$name-elements.spdx.json" > "$target/$name-mended.spdx.json"
    debsbom generate --root "$(echo "$release"/images/*-"$name".tar)" --with-licenses --distro-name "$plain-debian" \
        --out "$target/$name-debian" 2> "$target/$name.log"
    debsbom merge --distro-name "$plain" --out "$target/$name.spdx.json" --validate \
        "$target/$name-mended.spdx.json" "$target/$name-debian.spdx.json" 2> "$target/$name.log"
    pyspdxtools -i "$target/$name.spdx.json"
done
