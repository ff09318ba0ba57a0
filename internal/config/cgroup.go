package config

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// noLimit: limits from here on mean none. cgroup v1 writes the largest multiple of the page size in an int64 where
// nothing is set; no machine has an exbibyte.
const noLimit = 1 << 60

// cgroup2Memory is the memory limit of this process's cgroup in the unified hierarchy; 0 if there is none.
// Kernel documentation, admin-guide/cgroup-v2, "memory.max": bytes or "max".
func cgroup2Memory(root fs.FS) int64 {
	for line := range strings.Lines(readText(root, "proc/self/cgroup")) {
		// "0::/path": hierarchy 0 is the unified one.
		if p, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return leastLimit(root, "sys/fs/cgroup", p, "memory.max")
		}
	}
	return 0
}

// cgroup1Memory is the same for the memory controller of cgroup v1, also where v2 exists beside it.
// Kernel documentation, admin-guide/cgroup-v1/memory: memory.limit_in_bytes.
func cgroup1Memory(root fs.FS) int64 {
	for line := range strings.Lines(readText(root, "proc/self/cgroup")) {
		// "4:memory:/path", or several controllers mounted as one: "4:cpu,memory:/path".
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			if controller == "memory" {
				return leastLimit(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes")
			}
		}
	}
	return 0
}

// leastLimit reads file in the cgroup and in each one above it, up to the mount, and returns the least limit: a parent's
// binds as well. Directories that are not there are passed over, because in a container without a cgroup namespace the
// path is the host's while only the container's own cgroup is mounted, as the top.
func leastLimit(root fs.FS, mount, cgroup, file string) int64 {
	var least int64
	// Cleaned as an absolute path, so that the "/../.." the kernel shows for a cgroup outside of the namespace cannot
	// climb out of the mount.
	for dir := path.Clean("/" + cgroup); ; dir = path.Dir(dir) {
		if n := parseLimit(readText(root, mount+path.Join(dir, "/", file))); n > 0 && (least == 0 || n < least) {
			least = n
		}
		if dir == "/" {
			return least
		}
	}
}

// parseLimit reads a number of bytes; 0 for none ("max", v1's sentinel, anything that is no limit).
func parseLimit(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n >= noLimit {
		return 0
	}
	return n
}

// machineMemory is MemTotal of /proc/meminfo in bytes; 0 if unknown.
func machineMemory(root fs.FS) int64 {
	for line := range strings.Lines(readText(root, "proc/meminfo")) {
		if rest, found := strings.CutPrefix(line, "MemTotal:"); found {
			kib, isKiB := strings.CutSuffix(strings.TrimSpace(rest), " kB")
			if n := parseLimit(kib); isKiB && n < noLimit>>10 {
				return n << 10
			}
			return 0
		}
	}
	return 0
}

func readText(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(b)
}
