# Shared by the scripts of this folder: the program, the data sets, and trainings
# that go on where they were stopped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
	echo "usage: ${0##*/} CIFAR10 FOLDER
CIFAR10  its images: a folder, .tar, .tar.gz or .zip of train/CLASS/IMAGE and test/CLASS/IMAGE
FOLDER   where data sets, runs and pictures go; what is there already is not done again" >&2
	exit 2
}
[ $# = 2 ] || usage
source=$1 work=$2
mkdir -p "$work"
CGO_ENABLED=0 go build -C "$root" -o bin/alexnet ./cmd/alexnet
alexnet=$root/bin/alexnet

# pack NAME [FLAGS...]: the data set work/NAME
pack() {
	[ -e "$work/$1" ] || "$alexnet" pack folder "$source" -out "$work/$1" "${@:2}"
}

# train RUN DATA NET [FLAGS...]: the run work/RUN of nets/NET.net on work/DATA. A run
# that is there goes on, and needs -steps of the flags alone.
train() {
	local run=$work/$1 data=$work/$2 net=$root/nets/$3.net
	shift 3
	if [ ! -e "$run/config.net" ]; then
		"$alexnet" train -config "$net" -data "$data" -run "$run" "$@"
		return
	fi
	local steps=()
	while (($#)); do
		if [ "$1" = -steps ]; then steps=(-steps "$2"); fi
		shift
	done
	"$alexnet" train -resume -data "$data" -run "$run" "${steps[@]}"
}
