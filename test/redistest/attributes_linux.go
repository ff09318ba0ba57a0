package redistest

import "syscall"

// attributes have the kernel end the server when its starter dies, however that happens.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
