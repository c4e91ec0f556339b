#!/bin/bash
# The peer: the same systems, files, checksums and copies by a plain script, one after the other, with no checks.
# Usage: peer.sh STATE DIRECTORY; STATE holds a release 26.47, from which the definitions are taken.
set -euo pipefail
state=$1 work=$2/peer
label=baserock-26.47
mkdir -p "$work"/{images,public}
sed "s#$state/cache/buildstream#$work/cache#g" "$state/buildstream.conf" > "$work/buildstream.conf"
cd "$state/releases/26.47/source"
for arch in x86_64 x86_32 armv7lhf; do
    [ -e "$state/releases/26.47/images/$label-minimal-system-$arch.tar" ] || continue
    bst="bst --config $work/buildstream.conf --no-interactive --option arch $arch"
    element=systems/minimal-system-$arch.bst
    $bst build "$element"
    $bst artifact checkout --deps none --tar "$work/images/$label-minimal-system-$arch.tar" "$element"
    mkdir -p "$work/tree-$arch"
    tar -xf "$work/images/$label-minimal-system-$arch.tar" -C "$work/tree-$arch"
    mke2fs -q -t ext4 -d "$work/tree-$arch" "$work/images/$label-minimal-system-$arch.img" 256M
done
cd "$work/images"
gzip --no-name ./*
sha256sum -- * > SHA256SUMS
cp -- * "$work/public/"
cd "$work/public"
sha256sum --quiet -c SHA256SUMS
