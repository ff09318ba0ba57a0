package config

import (
	"fmt"
	"io/fs"
	"math"
	"runtime/debug"
)

// What a connection is reckoned to cost, for deriving how many fit in a task's memory.
const (
	// kernelPerConnection: 3.7 to 4.7 KiB were measured for an idle TCP socket; the cgroup is charged for it.
	kernelPerConnection = 5 << 10
	// userPerConnection: under 1 KiB is the engine's own goal, and the garbage collector lets the heap grow to twice
	// what is live (GOGC=100) before it collects.
	userPerConnection = 2 << 10
	// trafficPerConnection: during a fan-out pass each connection has a packet or two in the kernel until it is
	// acknowledged (about 2 KiB each with their bookkeeping); some have a queue.
	trafficPerConnection = 5 << 10
	// bytesPerConnection, 12 KiB: lower it and more connections fit, until the kernel kills the task.
	bytesPerConnection = kernelPerConnection + userPerConnection + trafficPerConnection
	// baseMemory is for the program, the runtime and everything that is there once: about 25 MiB in use, the rest for
	// upgrades under way, large messages, profiles. Of a memory under 128 MiB it is half.
	baseMemory = 64 << 20

	// minReserve is the least number of descriptors kept back: listeners, pollers, health checks, the admin listener,
	// and the connections that will not be upgraded, or not yet. Above 6,400 it is 2 %, since upgrades under way
	// hold two descriptors for a moment and come in proportion.
	minReserve = 128

	// blindConnections is assumed where the host tells neither limit: what fits in 256 MiB.
	blindConnections = 16_000

	// heapShare of the memory is GOMEMLIMIT: beyond it the collector works harder instead of letting the heap grow.
	// What is left is for the kernel's sockets and for what the runtime does not count. It is a safety net, not a
	// budget: with connections at their maximum the heap is far below it.
	heapPercent = 90
)

// Host is what the machine or container allows this process.
type Host struct {
	// Descriptors is the soft limit of open files (RLIMIT_NOFILE); 0 if unknown or unlimited. The Go runtime raises
	// it to the hard limit before main begins, so nothing here does.
	Descriptors int64
	// Memory is the least of the cgroup's limit, those above it, and the machine's memory, in bytes; 0 if unknown.
	Memory int64
	// MemorySource says where Memory is from: "cgroup v2", "cgroup v1", "machine"; "" if unknown.
	MemorySource string
}

// ReadHost asks the operating system. root is the file system from "/" (os.DirFS("/")), injected for tests. What cannot
// be read is unknown, never an error: a server must start on a host without cgroups.
func ReadHost(root fs.FS) Host {
	h := Host{Descriptors: descriptorLimit()}
	for _, source := range []struct {
		name string
		read func(fs.FS) int64
	}{
		{"cgroup v2", cgroup2Memory},
		{"cgroup v1", cgroup1Memory},
		// On Fargate the limit may be set on the task and be invisible in the container; then this, the memory of the
		// task's own small machine, is the nearest there is.
		{"machine", machineMemory},
	} {
		if n := source.read(root); n > 0 && (h.Memory == 0 || n < h.Memory) {
			h.Memory, h.MemorySource = n, source.name
		}
	}
	return h
}

// Capacity is how many connections the task takes, and why.
type Capacity struct {
	Connections int    // at least 1
	By          string // what set it: "setting", "file descriptors", "memory" or "default"
}

// Capacity answers for MaxConnections = setting; 0 derives it from the host. A setting beyond what the descriptors allow
// is an error: accepting would fail, each time, only once the task is full. One beyond what the memory suggests is taken:
// whoever set it may know his traffic.
func (h Host) Capacity(setting int) (Capacity, error) {
	descriptors := descriptorCapacity(h.Descriptors)
	if setting > 0 {
		if h.Descriptors > 0 && setting > descriptors {
			return Capacity{}, Faults{{"--max-connections", fmt.Sprintf(
				"%d needs more file descriptors than the limit of %d, which leaves room for %d: raise the limit (ulimit -n; in ECS, nofile in the container's ulimits), or lower the setting",
				setting, h.Descriptors, descriptors)}}
		}
		return Capacity{setting, "setting"}, nil
	}
	c := Capacity{DeriveMaxConnections(h.Descriptors, h.Memory), "default"}
	switch {
	case h.Descriptors > 0 && c.Connections == descriptors:
		c.By = "file descriptors"
	case h.Memory > 0:
		c.By = "memory"
	}
	return c, nil
}

// DeriveMaxConnections is how many connections fit in a limit of open files and of memory in bytes; 0 for either means
// unknown. The answer is at least 1:
//
//	min(descriptors − max(128, 2 %), (memory − min(64 MiB, half)) / 12 KiB)
func DeriveMaxConnections(descriptors, memory int64) int {
	if descriptors <= 0 && memory <= 0 {
		return blindConnections
	}
	n := descriptorCapacity(descriptors)
	if memory > 0 {
		n = min(n, int(min(math.MaxInt32, max(1, (memory-min(baseMemory, memory/2))/bytesPerConnection))))
	}
	return n
}

func descriptorCapacity(limit int64) int {
	if limit <= 0 {
		return math.MaxInt32
	}
	return int(min(math.MaxInt32, max(1, limit-max(minReserve, limit/50))))
}

// ApplyMemoryLimit sets the runtime's soft memory limit to 90 % of h.Memory, so that a growing heap is collected before
// the kernel kills the task, and returns it in bytes. It does nothing and returns 0 if the memory is unknown or if
// GOMEMLIMIT is set (lookup is os.LookupEnv): the operator's word stands, "off" included.
//
// GOGC stays at its default: 400 saved 4–6 % of CPU and cost 2 KiB a connection, and memory is what decides how many
// connections a task holds.
func (h Host) ApplyMemoryLimit(lookup func(string) (string, bool)) int64 {
	if value, set := lookup("GOMEMLIMIT"); set && value != "" || h.Memory <= 0 {
		return 0
	}
	limit := h.Memory / 100 * heapPercent
	debug.SetMemoryLimit(limit)
	return limit
}
