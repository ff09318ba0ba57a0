package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process has used of the CPU, by the kernel's clock for it: nanoseconds, all threads.
func cpuTime(pid int) (time.Duration, error) {
	// The clock's number is built as the kernel's MAKE_PROCESS_CPUCLOCK does, with CPUCLOCK_SCHED = 2; see clock_getcpuclockid(3).
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// machineBusy is how long all cores together have been busy since boot, in steps of 10 ms, what the hypervisor took included.
func machineBusy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system [idle iowait] irq softirq steal
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// residentKiB is what a process holds.
func residentKiB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return kibField(status, "VmRSS:")
}

// kibField reads a line "Name:  123 kB".
func kibField(text []byte, name string) (float64, error) {
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("%s is not there", name)
}

const (
	// calmFor is how long the memory must have stayed the same, within calmKiB, to be called settled.
	calmFor = 5 * time.Second
	calmKiB = 128
	calmMax = 3 * time.Minute
)

// settledKiB waits until a process's memory does not change any more. Nothing forces its garbage collector.
func settledKiB(pid int) (float64, error) {
	low, high, since := 0.0, 0.0, time.Now()
	for began := since; time.Since(began) < calmMax; time.Sleep(200 * time.Millisecond) {
		now, err := residentKiB(pid)
		if err != nil {
			return 0, err
		}
		low, high = min(low, now), max(high, now)
		if high-low > calmKiB {
			low, high, since = now, now, time.Now()
		}
		if time.Since(since) >= calmFor {
			return now, nil
		}
	}
	return 0, fmt.Errorf("the memory of process %d did not settle within %v", pid, calmMax)
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
