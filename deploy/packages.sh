#!/usr/bin/env bash
# Makes dist/plate-resort_<version>_<arch>.deb for the architectures that are named, Debian's arm64, armhf (any
# Raspberry Pi) and amd64 if none is. VERSION is the version; if it is not set, the last tag has it, and after that the
# commit is added, as in 1.2.0+5.gabcdef0. The packages of one commit are the same, byte for byte.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
[ $# -gt 0 ] || set -- arm64 armhf amd64
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export CGO_ENABLED=0
if [ -z "${VERSION:-}" ]; then
	VERSION=$(git describe --tags --match 'v[0-9]*' --dirty=+dirty 2>/dev/null ||
		echo "v0.0.0-$(git rev-list --count HEAD)-g$(git describe --always --exclude '*' --dirty=+dirty)")
	VERSION=$(sed -E 's/^(v[0-9.]+)-([a-z])/\1~\2/' <<<"$VERSION") # what comes before a release: 1.2.0~rc1
	VERSION=$(sed -E 's/^v//; s/-([0-9]+)-g/+\1.g/; s/(\+.*)\+/\1./' <<<"$VERSION")
fi
[[ $VERSION == [0-9]* ]] || { echo "the version $VERSION does not begin with a number" >&2; exit 2; }
build=dist/build
rm -rf "$build"
mkdir -p "$build"

go build -trimpath -o "$build/plate-resort" .
for shell in bash zsh fish; do
	"$build/plate-resort" completion "$shell" >"$build/plate-resort.$shell"
done

# The licenses of what is linked: those of the modules, and Go's own.
export GOOS=linux
while read -r module dir; do
	for file in "$dir"/LICENSE* "$dir"/NOTICE*; do
		[ ! -f "$file" ] || printf '==== %s: %s\n\n%s\n\n' "$module" "$(basename "$file")" "$(cat "$file")"
	done
done >"$build/licenses" < <(
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' . | LC_ALL=C sort -u
	echo "Go $(go env GOROOT)"
)

for arch; do
	case $arch in
	arm64 | amd64) export GOARCH=$arch ;;
	armhf) export GOARCH=arm GOARM=6 ;;
	*) echo "no package is made for $arch" >&2; exit 2 ;;
	esac
	stamp="-X github.com/plate-resort/plate-resort/cmd.stamped=$VERSION"
	go build -trimpath -buildvcs=false -ldflags="-s -w $stamp" -o "$build/$arch/plate-resort" .
	ARCH=$arch VERSION=$VERSION GOOS='' GOARCH='' GOARM='' go tool -modfile=.ci/nfpm.mod nfpm package --config deploy/nfpm.yaml --packager deb --target dist
done
