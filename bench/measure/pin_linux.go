package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinThread binds one thread (0: the caller's) to one core.
func pinThread(tid, core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("bind to core %d: %w", core, os.NewSyscallError("sched_setaffinity", err))
	}
	return nil
}

// pinSelf binds every thread of this program to one core. New threads inherit
// that from whichever makes them, so it goes on until a look finds no new one.
func pinSelf(core int) error {
	pinned := map[int]bool{}
	for {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(pinned)
		for _, entry := range entries {
			tid, err := strconv.Atoi(entry.Name())
			if err != nil || pinned[tid] {
				continue
			}
			if err := pinThread(tid, core); err != nil {
				return err
			}
			pinned[tid] = true
		}
		if len(pinned) == before {
			return nil
		}
	}
}

// checkCores says whether the two cores are there to be used.
func checkCores(server, load int) error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	var cores []int
	for core := range len(allowed) * 64 {
		if allowed.IsSet(core) {
			cores = append(cores, core)
		}
	}
	switch {
	case len(cores) < 2:
		return fmt.Errorf("this process may use one core only (%v): server and load need one each, or they measure each other", cores)
	case server == load:
		return fmt.Errorf("server and load are both on core %d: give --server-core and --load-core two of %v", server, cores)
	case server < 0 || load < 0 || !allowed.IsSet(server) || !allowed.IsSet(load):
		return fmt.Errorf("cores %d and %d are not both available: give --server-core and --load-core two of %v", server, load, cores)
	}
	return nil
}

// checkDescriptors says whether so many connections fit into one process.
func checkDescriptors(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	return descriptorsFor(connections, limit.Max)
}

// spareDescriptors is what a process needs beside its connections: the server
// keeps 2 % for files, listeners and health checks.
const spareDescriptors = 600

// descriptorsFor looks at the hard limit: Go raises the soft one to it.
func descriptorsFor(connections int, limit uint64) error {
	need := uint64(connections + spareDescriptors)
	if limit >= need {
		return nil
	}
	return fmt.Errorf("%d connections need %d file descriptors in a process and the limit is %d: raise it with `ulimit -n %d` in this shell (as root, or in /etc/security/limits.conf), or measure fewer, see --help",
		connections, need, limit, need)
}
