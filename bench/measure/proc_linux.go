package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process has used of the CPU, by the kernel's clock for it:
// nanoseconds, all threads, those that ended included. /proc/PID/stat counts
// whole ticks of 10 ms, and /proc/PID/schedstat the first thread alone.
func cpuTime(pid int) (time.Duration, error) {
	// The clock's number is built as the kernel's MAKE_PROCESS_CPUCLOCK does,
	// with CPUCLOCK_SCHED = 2; see clock_getcpuclockid(3).
	clock := int32(^pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// coreBusy is how long one core has been busy since boot, in steps of 10 ms, what
// the hypervisor took (steal) included.
func coreBusy(core int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseCoreBusy(stat, core)
}

func parseCoreBusy(stat []byte, core int) (time.Duration, error) {
	name := fmt.Sprintf("cpu%d", core)
	for line := range strings.Lines(string(stat)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != name {
			continue
		}
		var ticks int64
		// user nice system [idle iowait] irq softirq steal
		for _, i := range []int{1, 2, 3, 6, 7, 8} {
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			ticks += n
		}
		return time.Duration(ticks) * 10 * time.Millisecond, nil
	}
	return 0, fmt.Errorf("/proc/stat has no line %s", name)
}

// memory is what a process holds, in KiB.
type memory struct{ rss, anon float64 }

func processMemory(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	if m.rss, err = kibField(status, "VmRSS:"); err != nil {
		return m, err
	}
	m.anon, err = kibField(status, "RssAnon:")
	return m, err
}

// kernelMemory is what the whole machine holds in slabs, where sockets live, in
// KiB.
func kernelMemory() (float64, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return kibField(info, "Slab:")
}

// kibField reads a line "Name:  123 kB".
func kibField(text []byte, name string) (float64, error) {
	s := bufio.NewScanner(bytes.NewReader(text))
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) == 3 && fields[0] == name && fields[2] == "kB" {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("%s is not there", name)
}

// readMachine is what the figures were taken on.
func readMachine() (machine, error) {
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return machine{}, err
	}
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return machine{}, err
	}
	total, err := kibField(meminfo, "MemTotal:")
	if err != nil {
		return machine{}, err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return machine{}, os.NewSyscallError("uname", err)
	}
	m := machine{
		CPU:       "unknown",
		Cores:     bytes.Count(cpuinfo, []byte("processor\t:")),
		MemoryGiB: total / (1 << 20),
		Kernel:    unix.ByteSliceToString(uts.Sysname[:]) + " " + unix.ByteSliceToString(uts.Release[:]),
	}
	for line := range strings.Lines(string(cpuinfo)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name":
			m.CPU = strings.TrimSpace(value)
		case "flags":
			m.Virtual = strings.Contains(value, " hypervisor")
		}
	}
	return m, nil
}
