package config

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// That the Go runtime raises the soft limit is what ReadHost builds on; if a release stops doing so, this says it.
func TestTheRuntimeRaisesTheSoftLimitOfOpenFiles(t *testing.T) {
	if os.Getenv("FAIRLEAD_TEST_LOWERED") == "" {
		self := exec.Command("/bin/sh", "-c", `ulimit -Sn 64 && exec "$0" -test.run='^'"$1"'$'`, os.Args[0], t.Name())
		self.Env = append(os.Environ(), "FAIRLEAD_TEST_LOWERED=1")
		if out, err := self.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < limit.Max-1 {
		t.Errorf("the soft limit is still %d of %d", limit.Cur, limit.Max)
	}
}
