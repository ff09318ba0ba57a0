package config

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

func files(m map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range m {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestTheMemoryLimitIsFoundWhereverItIsSet(t *testing.T) {
	const meminfo = "MemTotal:       16252928 kB\nMemFree: 1 kB\n"
	tests := []struct {
		name   string
		files  map[string]string
		memory int64
		source string
	}{
		{"a container with cgroup v2 and a namespace of its own", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n", "proc/meminfo": meminfo,
		}, 512 << 20, "cgroup v2"},
		{"a service below its slice, where the slice is tighter", map[string]string{
			"proc/self/cgroup":                                    "0::/app.slice/fairlead.service\n",
			"sys/fs/cgroup/app.slice/memory.max":                  "268435456\n",
			"sys/fs/cgroup/app.slice/fairlead.service/memory.max": "1073741824\n",
		}, 256 << 20, "cgroup v2"},
		{"a limit of max on cgroup v2", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n", "proc/meminfo": meminfo,
		}, 16252928 << 10, "machine"},
		{"cgroup v1 with the host's path and the container's own mount", map[string]string{
			"proc/self/cgroup":                           "5:cpu,cpuacct:/ecs/abc\n4:memory:/ecs/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n", "proc/meminfo": meminfo,
		}, 2 << 30, "cgroup v1"},
		{"cgroup v1 with controllers mounted together", map[string]string{
			"proc/self/cgroup": "4:cpu,memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1048576\n",
		}, 1 << 20, "cgroup v1"},
		{"the unlimited sentinel of cgroup v1", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "proc/meminfo": meminfo,
		}, 16252928 << 10, "machine"},
		{"both versions side by side, the limit on v1", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
		}, 1 << 30, "cgroup v1"},
		{"a limit above the machine's memory", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1099511627776\n", "proc/meminfo": meminfo,
		}, 16252928 << 10, "machine"},
		{"a cgroup outside of the namespace", map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/memory.max": "1048576\n",
		}, 1 << 20, "cgroup v2"},
		{"a host that tells nothing", nil, 0, ""},
		{"files that make no sense", map[string]string{
			"proc/self/cgroup": "0::/\nnonsense\n::\n4:memory\n", "sys/fs/cgroup/memory.max": "-5\n", "proc/meminfo": "MemTotal: lots kB\n",
		}, 0, ""},
		{"a machine that counts in another unit", map[string]string{"proc/meminfo": "MemTotal: 5 MB\n"}, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := ReadHost(files(test.files))
			if h.Memory != test.memory || h.MemorySource != test.source {
				t.Errorf("got %d from %q, want %d from %q", h.Memory, h.MemorySource, test.memory, test.source)
			}
		})
	}
}

func TestConnectionsAreDerivedFromDescriptorsAndMemory(t *testing.T) {
	tests := []struct {
		name                string
		descriptors, memory int64
		want                int
	}{
		{"nothing known", 0, 0, 16_000},
		{"Fargate's default and its smallest memory", 65_535, 512 << 20, 38_229},
		{"Fargate's default and plenty of memory", 65_535, 8 << 30, 64_225},
		{"a raised limit and 2 GiB", 1_048_576, 2 << 30, 169_301},
		{"a laptop's old soft limit", 1024, 16 << 30, 896},
		{"descriptors unknown", 0, 1 << 30, 81_920},
		{"memory unknown", 20_000, 0, 19_600},
		{"a small container", 65_535, 64 << 20, 2730},
		{"hardly any memory", 65_535, 1, 1},
		{"hardly any descriptors", 3, 1 << 30, 1},
		{"no end of both", math.MaxInt64, noLimit, math.MaxInt32},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := DeriveMaxConnections(test.descriptors, test.memory); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestCapacityNamesWhatSetIt(t *testing.T) {
	tests := []struct {
		name    string
		host    Host
		setting int
		want    Capacity
	}{
		{"a setting", Host{Descriptors: 65_535}, 5000, Capacity{5000, "setting"}},
		{"a setting beyond the memory's suggestion", Host{Descriptors: 65_535, Memory: 64 << 20}, 50_000, Capacity{50_000, "setting"}},
		{"few descriptors", Host{Descriptors: 1024, Memory: 8 << 30}, 0, Capacity{896, "file descriptors"}},
		{"little memory", Host{Descriptors: 65_535, Memory: 64 << 20}, 0, Capacity{2730, "memory"}},
		{"an unknown host", Host{}, 0, Capacity{16_000, "default"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.host.Capacity(test.setting)
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestASettingBeyondTheDescriptorsIsRefusedWithAdvice(t *testing.T) {
	_, err := Host{Descriptors: 1024}.Capacity(1000)
	faults, ok := errors.AsType[Faults](err)
	if !ok || faults[0].Flag != "--max-connections" || !strings.Contains(err.Error(), "room for 896") || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("got %v", err)
	}
}

func TestTheMemoryLimitOfTheRuntimeFollowsTheHostUnlessTheOperatorSpoke(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	unset := func(string) (string, bool) { return "", false }
	set := func(name string) (string, bool) { return "off", name == "GOMEMLIMIT" }

	if got := (Host{Memory: 1 << 30}).ApplyMemoryLimit(set); got != 0 || debug.SetMemoryLimit(-1) != before {
		t.Errorf("GOMEMLIMIT was overruled: %d", got)
	}
	if got := (Host{}).ApplyMemoryLimit(unset); got != 0 || debug.SetMemoryLimit(-1) != before {
		t.Errorf("a limit was made up: %d", got)
	}
	want := int64(1<<30) / 100 * 90
	if got := (Host{Memory: 1 << 30}).ApplyMemoryLimit(unset); got != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("got %d, runtime has %d, want %d", got, debug.SetMemoryLimit(-1), want)
	}
}

func FuzzCgroupFiles(f *testing.F) {
	f.Add("0::/\n", "max\n", "9223372036854771712\n", "MemTotal: 16252928 kB\n")
	f.Add("4:memory:/a/b\n0::/a/b\n", "1\n", "2\n", "MemTotal: 3 kB\n")
	f.Add("4:cpu,memory:/../..\n0::../x\n", "-1", "+7", "MemTotal:kB\n")
	f.Add("0::/a:b:c\n:::\n4:memory\n", "99999999999999999999", "1e9", "MemTotal: 9223372036854775807 kB")
	f.Fuzz(func(t *testing.T, cgroup, v2, v1, meminfo string) {
		h := ReadHost(files(map[string]string{
			"proc/self/cgroup": cgroup, "proc/meminfo": meminfo,
			"sys/fs/cgroup/memory.max": v2, "sys/fs/cgroup/memory/memory.limit_in_bytes": v1,
		}))
		if h.Memory < 0 || h.Memory >= noLimit || (h.Memory == 0) != (h.MemorySource == "") {
			t.Fatalf("got %+v", h)
		}
		if c, err := h.Capacity(0); err != nil || c.Connections < 1 {
			t.Fatalf("%+v: capacity %+v, %v", h, c, err)
		}
	})
}

func TestThisHostCanBeRead(t *testing.T) {
	h := ReadHost(os.DirFS("/"))
	if c, err := h.Capacity(0); err != nil || c.Connections < 1 {
		t.Errorf("%+v: %+v, %v", h, c, err)
	}
}
