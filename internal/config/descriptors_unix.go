//go:build linux || darwin

package config

import "syscall"

// descriptorLimit is the soft limit of open files; 0 if unknown or unlimited.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= noLimit {
		return 0
	}
	return int64(limit.Cur)
}
